"""A teacher that translates: it decodes texts, and says what it expects at every place of a given translation."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from limbeck.core import fingerprint
from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.signals import NextTokens, SignalName, Signals
from limbeck.models.translators.decode import translate, unpenalised
from limbeck.models.translators.loading import load_translator
from limbeck.models.translators.next_tokens import next_tokens
from limbeck.models.translators.search import TOKEN_SETTINGS
from limbeck.models.translators.translator import ParallelTranslator
from limbeck.text.batching import batches
from limbeck.text.encode import Encoded, collate
from limbeck.text.ragged import places
from limbeck.text.subwords import Subwords
from limbeck.text.translations import encode_translations
from limbeck.transfer.decoded import Translations
from limbeck.transfer.teachers import check_length, fingerprint_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from limbeck.models.translators.ctranslate import CTranslator
    from limbeck.models.translators.translator import Hypothesis

NEXT_TOKENS: frozenset[SignalName] = frozenset({"next_tokens"})
TOP_K = 8
"""Likeliest tokens that are given at each place, where nobody says how many."""
TOKENS_PER_BATCH = 1024
"""Tokens that next tokens are given of at a time, padding included: each costs the scores of all tokens there are."""
Engine = Literal["pytorch", "ctranslate2"]


class TranslationTeacher:
    """A translator, trained here or any of transformers'; or an ensemble, the mean of whose probabilities counts.

    Args:
        models: One, or several of the same vocabulary; they are put into evaluation mode.
        subwords: Their pieces of words.
        max_length: Tokens kept of a text, and of a translation that it is asked about, the end included.
        name: What a person calls it.
        top_k: Likeliest tokens that it gives at each place of a translation.
        engine: What it decodes with; next tokens are PyTorch's.
        prefix: What is put before each text, as T5 wants it, e.g. ``translate English to German:``.
        device: Where it computes; by default a GPU where there is one.

    Attributes:
        fingerprint: Of weights, pieces, ``max_length`` and ``prefix``; neither of ``top_k`` nor of ``engine``.

    Raises:
        LimbeckError: A model cannot read texts of ``max_length``, there are none, or CTranslate2 is to decode with
            several.
    """

    labels: tuple[str, ...] = ()

    def __init__(
        self,
        models: Sequence[PreTrainedModel],
        subwords: Subwords,
        max_length: int,
        name: str = "",
        *,
        top_k: int = TOP_K,
        engine: Engine = "pytorch",
        prefix: str = "",
        device: torch.device | None = None,
    ) -> None:
        if not models:
            raise LimbeckError("a teacher has at least one model", where=name or "teacher")
        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.models: tuple[PreTrainedModel, ...] = tuple(model.eval().to(self.device) for model in models)
        self.subwords, self.max_length, self.prefix = subwords, max_length, prefix
        self.name = name or str(models[0].config.name_or_path)
        self.top_k, self.engine = min(top_k, len(subwords.target)), engine
        parallel = any(isinstance(model, ParallelTranslator) for model in models)
        self.offers: frozenset[SignalName] = frozenset() if parallel else NEXT_TOKENS
        for model in models:
            check_length(model, max_length, self.name)
        if engine == "ctranslate2" and len(models) > 1:
            what = "CTranslate2 decodes with one model, and this teacher is an ensemble"
            raise LimbeckError(what, where="engine", fix="Take the engine 'pytorch'")
        members = [[fingerprint_model(model), _generation(model)] for model in models]
        self.fingerprint = fingerprint.of_value([members, subwords.fingerprint, max_length, prefix])

    @property
    def model(self) -> PreTrainedModel:
        """The first of its models."""
        return self.models[0]

    @classmethod
    def load(
        cls,
        reference: str | Path,
        max_length: int,
        *,
        languages: tuple[str, str] | None = None,
        top_k: int = TOP_K,
        engine: Engine = "pytorch",
        prefix: str = "",
    ) -> TranslationTeacher:
        """Any translation model of transformers, or one of Limbeck's.

        Args:
            reference: A folder, ``package:NAME/FOLDER``, or a name on the hub.
            max_length: Tokens kept of a text, the end included.
            languages: Of a model for many languages, its codes of the text's and of the translation's.
            top_k: Likeliest tokens that it gives at each place of a translation.
            engine: What it decodes with.
            prefix: What is put before each text.

        Raises:
            LimbeckError: There is no such model or tokeniser, it is no translator, it does not know a language, or its
                texts are shorter.
        """
        model = load_translator(reference)
        subwords = Subwords.load(reference, *(languages or ()))
        if languages is not None:
            _begin_with(model, subwords.target, languages[1])
        return cls((model,), subwords, max_length, str(reference), top_k=top_k, engine=engine, prefix=prefix)

    def giving(self, top_k: int) -> TranslationTeacher:
        """The same teacher, giving so many tokens at each place."""
        other = copy.copy(self)
        other.top_k = min(top_k, len(self.subwords.target))
        return other

    def encode(self, examples: Sequence[Example], targets: bool = False) -> Encoded:
        """The texts as its models read them, with their first translations where these are asked for."""
        read = prefixed(examples, self.prefix)
        return encode_translations(self.subwords, read, () if targets else None, self.max_length)

    def decode(self, examples: Sequence[Example], decoding: Decoding) -> list[Translations]:
        """Translations of each example with their scores, best first, in the order of the examples.

        Raises:
            LimbeckError: The engine has no conversion for the model, or cannot search in this way.
        """
        encoded = self.encode(examples)
        if self.engine == "ctranslate2":
            found = self._converted.translate(encoded, decoding)
        else:
            model, *others = self.models
            found = translate(model, encoded, decoding, others=others, device=self.device)
        return [tuple(map(self._told, hypotheses)) for hypotheses in found]

    def log_probabilities(self, found: Sequence[tuple[str, float]], decoding: Decoding) -> list[float | None]:
        """Mean log-probability of the tokens of translations of its own (nats), with no length penalty.

        Where there was one, it is undone by the translation's number of tokens, as they are cut again from its text; a
        model may have written the same text in other pieces. None of an empty translation of a parallel teacher.

        Args:
            found: Translations with their scores, as :meth:`decode` gives them.
            decoding: How they were searched for.
        """
        if not self.offers:
            return [score if text else None for text, score in found]
        if decoding.length_power == 1:
            return [score for _, score in found]
        read = [Example(str(row), "", targets=(text,)) for row, (text, _) in enumerate(found)]
        targets = encode_translations(self.subwords, read, (), decoding.max_length).targets
        assert targets is not None
        lengths = [
            length if text else 1 for (text, _), length in zip(found, targets.lengths.tolist(), strict=True)
        ]
        return [
            unpenalised(score, length, decoding) for (_, score), length in zip(found, lengths, strict=True)
        ]

    def answer(self, examples: Sequence[Example], needs: frozenset[SignalName]) -> Signals:
        """What it expects at every place of each example's first translation, without gradients.

        Returns:
            On the teacher's device, ``next_tokens`` of all examples on end, in their order, one row a token of the
            translation and one for its end; one without translation has none. The ``mask`` ``(examples, tokens)`` says
            how many each has.

        Raises:
            LimbeckError: Other signals are asked for, or the teacher writes many tokens at once.
        """
        if lacking := sorted(needs - self.offers):
            raise LimbeckError(f"a translator does not give {', '.join(lacking)}", where=self.name)
        encoded = self.encode(examples, targets=True)
        assert encoded.targets is not None
        lengths, offsets = encoded.targets.lengths, encoded.targets.offsets
        ids = torch.zeros(int(offsets[-1]), self.top_k, dtype=torch.int64, device=self.device)
        logs = torch.zeros(int(offsets[-1]), self.top_k, device=self.device)
        model, *others = self.models
        for rows in batches(encoded.sizes, TOKENS_PER_BATCH):
            rows = rows[lengths[rows] > 0]
            if not len(rows):
                continue
            with torch.no_grad():  # a loss may keep what it says for its gradient
                said = next_tokens(model, collate(encoded, rows).to(self.device).inputs, self.top_k, others)
            real, positions = places(offsets[rows], lengths[rows])
            items = torch.from_numpy(positions[real]).to(self.device)
            ids[items], logs[items] = said.ids, said.log_probabilities
        mask = torch.from_numpy(places(offsets[:-1], lengths)[0].astype(np.int64)).to(self.device)
        return Signals(next_tokens=NextTokens(ids, logs), mask=mask)

    @cached_property
    def _converted(self) -> CTranslator:
        from limbeck.models.translators.ctranslate import CTranslator

        return CTranslator(self.model, self.device)

    def _told(self, hypothesis: Hypothesis) -> tuple[str, float]:
        return self.subwords.decode(hypothesis.tokens), hypothesis.score


def prefixed(examples: Sequence[Example], prefix: str) -> Sequence[Example]:
    """The texts with what is put before each."""
    return [replace(each, text=f"{prefix} {each.text}") for each in examples] if prefix else examples


def _begin_with(model: PreTrainedModel, tokeniser: PreTrainedTokenizerBase, language: str) -> None:
    """Make a model for many languages write this one: it says so before the first word, or where it starts."""
    name_to_id = getattr(tokeniser, "get_lang_id", tokeniser.convert_tokens_to_ids)
    generation = model.generation_config
    assert generation is not None
    if (
        type(tokeniser).__name__ == "MBartTokenizer"
    ):  # of the first mBART; the one for fifty languages is as the others
        generation.decoder_start_token_id = model.config.decoder_start_token_id = name_to_id(language)
    else:
        generation.forced_bos_token_id = name_to_id(language)


def _generation(model: PreTrainedModel) -> dict[str, object]:
    return {key: getattr(model.generation_config, key, None) for key in TOKEN_SETTINGS}
