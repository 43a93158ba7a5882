"""Subwords: the pieces of words that a translator reads and writes, learnt from its training text.

A text is put into Unicode's composed form (NFC), its white space becomes single spaces, and a space is kept as the
mark ``▁`` at the start of the word after it, as sentencepiece does (Kudo and Richardson, 2018). Letters, digits and
other signs are never in one piece. Pieces are learnt by byte-pair encoding (Sennrich et al., 2016) or as a unigram
model (Kudo, 2018); a character too rare to be one is spelt in bytes, so that any text comes back whole.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from limbeck.core import fingerprint
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Vocabulary
from limbeck.text import resources
from limbeck.text.tokeniser import fingerprint_tokeniser, open_tokeniser

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.normalizers import Normalizer
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

PAD, START, END, UNKNOWN, MASK = "<pad>", "<s>", "</s>", "<unk>", "<mask>"
SPECIAL = (PAD, START, END, UNKNOWN, MASK)
"""Their ids are 0 to 4. The decoder starts with START; UNKNOWN stands for a text of which nothing is left."""
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
FIXED = (*SPECIAL, *BYTES)
"""Pieces of every vocabulary, the first of it."""
SPACE = "▁"
WHITE = r"[\s\x1c-\x1f]+"
"""White space as Python has it."""
PARTS = rf"{SPACE}?[\p{{L}}\p{{M}}]+|{SPACE}?\p{{N}}+|{SPACE}?[^\p{{L}}\p{{M}}\p{{N}}{SPACE}]+"
"""Letters, digits, other signs: what pieces do not go across."""
LONGEST = 2**20
"""Bytes of a text that a unigram model still learns from."""
NEVER = -1e4
"""Log-probability of pieces of a unigram model that stand for no text."""
TARGET = "target"
"""Folder of the target language's pieces, where they are not joint."""


@dataclass(frozen=True)
class Subwords:
    """The pieces of both languages.

    Attributes:
        source: What a text is cut by: its pieces, and ``</s>``.
        target: The same of a translation; the same object where pieces are joint.
        joint: Whether both languages share one set of pieces.
    """

    source: PreTrainedTokenizerBase
    target: PreTrainedTokenizerBase
    joint: bool

    @classmethod
    def learn(cls, examples: Iterable[Example], settings: Vocabulary) -> Subwords:
        """Learn pieces from texts and all their translations; the same text gives the same pieces.

        Args:
            examples: Training text; untranslated examples teach the source language.
            settings: How many pieces, of which kind, and whether joint. Short texts may not have as many.

        Raises:
            LimbeckError: A language has no text.
        """
        kept = list(examples)
        texts = [example.text for example in kept]
        targets = [target for example in kept for target in example.targets]
        if not targets:
            raise LimbeckError("no translation to learn the pieces of the target language from")
        if settings.joint:
            both = learn_pieces([*texts, *targets], settings)
            return cls(both, both, joint=True)
        return cls(learn_pieces(texts, settings), learn_pieces(targets, settings), joint=False)

    @classmethod
    def load(
        cls, folder: Path | str, source_language: str | None = None, target_language: str | None = None
    ) -> Subwords:
        """Read what :meth:`save_pretrained` wrote, or the tokeniser of any translation model.

        Args:
            folder: A folder, ``package:NAME/FOLDER``, or a name on the hub.
            source_language: Of a model for many languages, its code of the text's; None leaves what it was saved with.
            target_language: Its code of the translation's.

        Raises:
            LimbeckError: There is no tokeniser, or it does not know a language.
        """
        source = open_tokeniser(folder)
        _set_languages(source, source_language, target_language, folder)
        inner = Path(resources.resolve(str(folder))) / TARGET
        if not (inner / "tokenizer.json").is_file():
            return cls(source, source, joint=True)
        return cls(source, open_tokeniser(inner), joint=False)

    def save_pretrained(self, folder: Path | str) -> None:
        """Write both as transformers does: the source's into the folder, another of the target into ``target``."""
        self.source.save_pretrained(str(folder))
        if not self.joint:
            self.target.save_pretrained(str(Path(folder) / TARGET))

    @cached_property
    def fingerprint(self) -> str:
        """Digest of what decides which ids a text becomes."""
        return fingerprint.of_value([_digest(self.source), None if self.joint else _digest(self.target)])

    def decode(self, tokens: Sequence[int]) -> str:
        """The translation that ids of the target language spell; special tokens are passed over."""
        ids = [int(token) for token in tokens]
        text = self.target.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text).strip()


def _digest(tokeniser: PreTrainedTokenizerBase) -> str:
    languages = [getattr(tokeniser, "src_lang", None), getattr(tokeniser, "tgt_lang", None)]
    if tokeniser.is_fast:
        content: Any = fingerprint_tokeniser(cast("PreTrainedTokenizerFast", tokeniser))
    else:
        content = [type(tokeniser).__name__, tokeniser.get_vocab(), tokeniser.special_tokens_map]
    return fingerprint.of_value([content, languages])


def _set_languages(tokeniser: Any, source: str | None, target: str | None, folder: Path | str) -> None:
    """Of a tokeniser for many languages, which two are meant."""
    for key, code in (("src_lang", source), ("tgt_lang", target)):
        if code is None:
            continue
        if not hasattr(tokeniser, key):
            fix = "Leave the languages out: it knows one pair, or puts them into the text"
            raise LimbeckError("its tokeniser does not tell languages apart", where=folder, fix=fix)
        try:
            setattr(tokeniser, key, code)
        except KeyError:
            raise LimbeckError(f"its tokeniser knows no language '{code}'", where=folder) from None


# Learning.


def learn_pieces(texts: Sequence[str], settings: Vocabulary) -> PreTrainedTokenizerFast:
    """A tokeniser of pieces that these texts are made of, and of ``</s>`` after each; see :class:`Vocabulary`."""
    room = settings.size - len(FIXED)
    usual = _of_usual_characters(texts, room // 2)
    return _wrapped(_bpe(usual, room) if settings.model == "bpe" else _unigram(usual, room))


def _of_usual_characters(texts: Sequence[str], most: int) -> Iterable[str]:
    """The texts without their rarer characters, which are spelt in bytes."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    usual = sorted(counts, key=lambda character: (-counts[character], character))
    rare = {ord(character): " " for character in usual[most:]}
    return (text.translate(rare) for text in texts) if rare else texts


def _bpe(texts: Iterable[str], room: int) -> Tokenizer:
    """Pieces by byte-pair encoding."""
    from tokenizers import Tokenizer, models, trainers

    scratch = _set_up(Tokenizer(models.BPE()))
    trainer = trainers.BpeTrainer(vocab_size=room, min_frequency=2, show_progress=False)
    scratch.train_from_iterator(texts, trainer)
    learnt = json.loads(scratch.to_str())["model"]
    pieces = sorted(learnt["vocab"], key=learnt["vocab"].get)
    vocabulary = {piece: number for number, piece in enumerate((*FIXED, *pieces))}
    merges = [(left, right) for left, right in learnt["merges"]]
    return _set_up(Tokenizer(models.BPE(vocabulary, merges, unk_token=UNKNOWN, byte_fallback=True)))


def _unigram(texts: Iterable[str], room: int) -> Tokenizer:
    """Pieces of a unigram model; learnt by sentencepiece, for tokenizers learns others every time."""
    from tokenizers import Tokenizer, models

    scores = [(piece, NEVER) for piece in FIXED]
    scores += [(piece, score) for piece, score in _scored_pieces(texts, room) if piece not in FIXED]
    return _set_up(Tokenizer(models.Unigram(scores, unk_id=FIXED.index(UNKNOWN), byte_fallback=True)))


def _scored_pieces(texts: Iterable[str], room: int) -> list[tuple[str, float]]:
    """Pieces and their log-probabilities."""
    try:
        import sentencepiece
    except ImportError:
        fix = "Install it: pip install 'limbeck[translation]', or set 'data.vocabulary.model: bpe'"
        raise LimbeckError("pieces of a unigram model are learnt by sentencepiece", fix=fix) from None
    written = io.BytesIO()
    normalise = _normaliser().normalize_str
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(normalise(text) for text in texts),
        model_writer=written,
        model_type="unigram",
        vocab_size=room,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="identity",
        max_sentence_length=LONGEST,
        bos_id=-1,
        eos_id=-1,
        minloglevel=2,
    )
    learnt = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    return [(learnt.id_to_piece(number), learnt.get_score(number)) for number in range(len(learnt))]


def _normaliser() -> Normalizer:
    from tokenizers import Regex, normalizers

    spaces = [normalizers.Replace(Regex(WHITE), " "), normalizers.Strip()]
    return normalizers.Sequence([normalizers.NFC(), normalizers.Replace(SPACE, "_"), *spaces])


def _set_up(tokeniser: Tokenizer) -> Tokenizer:
    """With how text is normalised, and cut before pieces are looked for; and how pieces become text."""
    from tokenizers import Regex, decoders, pre_tokenizers

    tokeniser.normalizer = _normaliser()
    tokeniser.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always", split=True),
            pre_tokenizers.Split(Regex(PARTS), "isolated"),
        ]
    )
    tokeniser.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokeniser


def _wrapped(backend: Tokenizer) -> PreTrainedTokenizerFast:
    """As transformers has it, ending every text in ``</s>``; a text that spells a special token is text."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    backend.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", pair=f"$A {END} $B {END}", special_tokens=[(END, FIXED.index(END))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        unk_token=UNKNOWN,
        mask_token=MASK,
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )
