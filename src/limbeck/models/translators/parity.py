"""Parity of translators: how far a bundle's translations are from PyTorch's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from sacrebleu import corpus_bleu

from limbeck.core.example import Example
from limbeck.models.outputs import evaluating
from limbeck.models.parity import Parity, difference_of
from limbeck.models.translators.decode import translate
from limbeck.serve.decoders import WordByWord
from limbeck.serve.exported import Precision
from limbeck.serve.translator import TranslatorBundle
from limbeck.structure.edits import distances, padded
from limbeck.text.encode import Encoded, collate
from limbeck.text.translations import encode_translations

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from limbeck.core.decoding import Decoding
    from limbeck.models.translators.translator import Hypothesis
    from limbeck.text.subwords import Subwords

    Floats = NDArray[np.float32]
    Ints = NDArray[np.int64]

ROWS = 16
"""Texts whose log-probabilities of all tokens are compared at a time."""


@dataclass(frozen=True, slots=True)
class TranslationParity(Parity):
    """How far one precision of a bundle is from PyTorch.

    Attributes:
        largest_difference: Of a token's log-probability after PyTorch's translation so far, relative to the largest; of
            a parallel translator, of a translation's score.
        changed: Share of tokens that are others, each written after PyTorch's tokens before it; of a parallel
            translator, insertions, deletions and replacements over tokens.
        predictions: Tokens that were compared.
        sentences: Share of translations that are others.
        bleu: Of its translations, with PyTorch's as references, in points; n-grams up to the longest that there are.
    """

    sentences: float
    bleu: float

    def facts(self) -> dict[str, float]:
        """What ``bundle.json`` says of it."""
        told = {"largest_difference": self.largest_difference, "changed": self.changed}
        return {**told, "sentences": self.sentences, "bleu": self.bleu}


def translation_parity(
    model: PreTrainedModel,
    subwords: Subwords,
    folder: Path,
    texts: Sequence[str],
    max_length: int,
    decoding: Decoding,
    precisions: Sequence[Precision],
) -> dict[Precision, TranslationParity]:
    """Compare a bundle with the translator that it was made from.

    Args:
        model: An autoregressive or a parallel translator.
        subwords: What it reads and writes.
        folder: The bundle.
        texts: What both translate.
        max_length: Tokens kept of a text.
        decoding: How both search.
        precisions: Which of the bundle's models are compared.
    """
    examples = [Example(str(number), text) for number, text in enumerate(texts)]
    encoded = encode_translations(subwords, examples, None, max_length)
    decoding = decoding.model_copy(update={"keep": 1})
    expected = [best for best, *_ in translate(model, encoded, decoding)]
    written = [subwords.decode(each.tokens) for each in expected]
    found = {}
    for precision in precisions:
        bundle = TranslatorBundle(folder, precision)
        told = bundle.predict(texts, decoding)
        others = [mine.tokens != theirs.tokens for mine, theirs in zip(told, expected, strict=True)]
        bleu = corpus_bleu(
            [each.text for each in told], [written], force=True, use_effective_order=True
        ).score
        if isinstance(bundle.model, WordByWord):
            compared = _after_the_same(model, bundle.model, encoded, expected)
        else:
            scores = (np.array([each.score for each in side], dtype=np.float32) for side in (told, expected))
            tokens = [[each.tokens for each in side] for side in (told, expected)]
            compared = (difference_of(*scores), *_edited(*tokens))
        found[precision] = TranslationParity(*compared, sentences=float(np.mean(others)), bleu=bleu)
    return found


def _after_the_same(
    model: PreTrainedModel, exported: WordByWord, encoded: Encoded, expected: Sequence[Hypothesis]
) -> tuple[float, float, int]:
    """Let both go through PyTorch's translations: largest difference, share of other tokens, number of tokens."""
    differences, changed, tokens = [0.0], 0, 0
    with evaluating(model), torch.inference_mode():
        for start in range(0, len(encoded), ROWS):
            rows = np.arange(start, min(start + ROWS, len(encoded)))
            inputs = collate(encoded, rows).inputs
            begun, real = _begun([expected[row].tokens for row in rows.tolist()], exported)
            wanted = model(
                input_ids=inputs["input_ids"].to(model.device),
                attention_mask=inputs["attention_mask"].to(model.device),
                decoder_input_ids=torch.from_numpy(begun).to(model.device),
            ).logits.log_softmax(-1)
            mine = _followed(
                exported,
                inputs["input_ids"].numpy(),
                inputs["attention_mask"].numpy(),
                begun,
                wanted.shape[2],
            )
            written = np.isfinite(mine)  # what must not be written has no probability
            theirs = np.where(written, wanted.float().cpu().numpy(), -np.inf)
            differences.append(difference_of(mine[real][written[real]], theirs[real][written[real]]))
            changed += int((mine.argmax(2) != theirs.argmax(2))[real].sum())
            tokens += int(real.sum())
    return max(differences), changed / max(tokens, 1), tokens


def _begun(translations: Sequence[tuple[int, ...]], exported: WordByWord) -> tuple[Ints, NDArray[np.bool_]]:
    """What the decoder reads to write them, ``(texts, length)``, and where that is real."""
    rows = [(exported.start, *tokens)[: exported.longest] for tokens in translations]
    begun = np.full((len(rows), max(map(len, rows))), exported.end, dtype=np.int64)
    real = np.zeros(begun.shape, dtype=bool)
    for number, row in enumerate(rows):
        begun[number, : len(row)] = row
        real[number, : len(row)] = True
    return begun, real


def _followed(
    exported: WordByWord, input_ids: Ints, attention_mask: Ints, begun: Ints, vocabulary: int
) -> Floats:
    """Log-probabilities of all tokens after each beginning, ``(texts, length, vocabulary)``."""
    steps = exported.read(input_ids, attention_mask)
    order = np.arange(len(begun))
    found = np.zeros((*begun.shape, vocabulary), dtype=np.float32)
    for place in range(begun.shape[1]):
        scores, ids = steps.next(begun[:, place : place + 1], order, vocabulary)
        np.put_along_axis(found[:, place], ids[:, 0], scores[:, 0], axis=1)
    return found


def _edited(found: Sequence[tuple[int, ...]], expected: Sequence[tuple[int, ...]]) -> tuple[float, int]:
    """Insertions, deletions and replacements, over the number of tokens expected; and that number."""
    tokens = sum(map(len, expected))
    edits = int(distances(padded(found), padded(expected)).sum())
    return edits / max(tokens, 1), tokens
