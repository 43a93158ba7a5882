"""Tokenisers: a model's own, or one of words; always the fast kind, so that tokenizer.json says all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, cast

from limbeck.core import fingerprint
from limbeck.core.errors import LimbeckError
from limbeck.text import resources
from limbeck.text.pieces import MARKS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

PAD, UNKNOWN = "[PAD]", "[UNK]"


def load_tokeniser(ref: str | Path) -> PreTrainedTokenizerFast:
    """The fast tokeniser of a model.

    Args:
        ref: A folder, ``package:NAME/FOLDER``, or a name on the hub.

    Raises:
        LimbeckError: There is none, or it has no fast version.
    """
    tokeniser = open_tokeniser(ref)
    if not tokeniser.is_fast:
        fix = "Choose a model with a tokenizer.json"
        raise LimbeckError("its tokeniser has no fast version", where=ref, fix=fix)
    return cast("PreTrainedTokenizerFast", tokeniser)


def open_tokeniser(ref: str | Path) -> PreTrainedTokenizerBase:
    """The tokeniser of a model, fast where there is a fast one, and with a token to pad with.

    Args:
        ref: A folder, ``package:NAME/FOLDER``, or a name on the hub.

    Raises:
        LimbeckError: There is none, or none can be loaded.
    """
    from transformers import AutoTokenizer

    place = resources.resolve(str(ref))
    try:
        tokeniser = AutoTokenizer.from_pretrained(str(place), use_fast=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        if not isinstance(place, Path) and (place.count("/") > 1 or place.startswith((".", "~", "/"))):
            raise LimbeckError("no such folder, and no name on the hub", where=ref) from None
        reason = str(error).strip().partition("\n")[0].rstrip(".:") or type(error).__name__
        fix = "Name a model on the hub, or a folder as save_pretrained writes it"
        raise LimbeckError(f"no tokeniser can be loaded ({reason})", where=ref, fix=fix) from None
    if tokeniser.pad_token is None:
        # Models that were trained without padding (GPT-2 and its kin) pad with their end of text by custom.
        tokeniser.pad_token = tokeniser.eos_token or tokeniser.unk_token
    if tokeniser.pad_token is None:
        raise LimbeckError("its tokeniser has no token to pad with", where=ref)
    return cast("PreTrainedTokenizerBase", tokeniser)


def word_tokeniser(
    words: Sequence[str],
    lowercase: bool = True,
    punctuation: bool = True,
    sides: bool = False,
    mask: str | None = None,
) -> PreTrainedTokenizerFast:
    """A tokeniser whose tokens are words and punctuation marks, split as BERT does before it cuts pieces.

    No special tokens are added to a sentence. ``[PAD]`` is 0, ``[UNK]`` 1, then the mask, where there is one, and the
    words in their order; a word that comes twice keeps its first place.

    Args:
        words: The vocabulary.
        lowercase: Lower-case the text first; accents stay.
        punctuation: Whether marks are tokens of their own; else words are what stands between spaces, as a tagger
            is given them.
        sides: Whether its models are told which of a pair's texts a token is of.
        mask: What stands in texts for a word that was left out: one token, however it is spelt.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    first = (PAD, UNKNOWN, *([] if mask is None else [mask]))
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys((*first, *words)))}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=False)
    backend.pre_tokenizer = (
        pre_tokenizers.BertPreTokenizer() if punctuation else pre_tokenizers.WhitespaceSplit()
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        unk_token=UNKNOWN,
        mask_token=mask,
        model_input_names=["input_ids", *["token_type_ids"] * sides, "attention_mask"],
    )


def whole_words(tokeniser: PreTrainedTokenizerFast) -> dict[str, int]:
    """Tokens that begin a word, as they stand in text, and their ids; of two that look alike, the first.

    Of WordPiece those without ``##``, of tokenisers that write spaces into pieces (``▁film``, ``Ġfilm``) those with
    one. Special tokens are left out. A token may be the whole word, or the first piece of a longer one.
    """
    model = tokeniser.backend_tokenizer.model
    inner = getattr(model, "continuing_subword_prefix", None)
    has_marks = type(model).__name__ in ("BPE", "Unigram")
    special = set(tokeniser.all_special_tokens)
    found: dict[str, int] = {}
    for token, number in sorted(tokeniser.get_vocab().items(), key=itemgetter(1)):
        begins = token.startswith(MARKS) if has_marks else not (inner and token.startswith(inner))
        if begins and token not in special:
            found.setdefault(tokeniser.convert_tokens_to_string([token]).strip(), number)
    return found


def fingerprint_tokeniser(tokeniser: PreTrainedTokenizerFast) -> str:
    """Digest of what decides which ids a text becomes; not of truncation and padding, which callers set."""
    content = json.loads(tokeniser.backend_tokenizer.to_str())
    content.pop("truncation", None)
    content.pop("padding", None)
    return fingerprint.of_value([content, tokeniser.pad_token_id])
