"""Distilled: transfer sets whose translations are a model's own (sequence-level distillation, Kim & Rush 2016)."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.method import Distilled
from limbeck.transfer.decoded import Decoded, Translations
from limbeck.transfer.transfer_set import TransferSet


def distil(
    transfer_set: TransferSet, decoded: Decoded, distilled: Distilled, seed: int, language: str = ""
) -> TransferSet:
    """A transfer set to learn a model's translations from: ids, texts and order stay as they are.

    Each text has one translation then: the model's likeliest; with ``nearest``, of those that it found, the one nearest
    to gold (the paper's sequence-level interpolation); or gold's first, where the text was drawn to keep it. Empty
    translations are passed over: a text with none but empty ones is left out, and counted, for a student would learn to
    say nothing.

    Args:
        transfer_set: The texts, with gold or without.
        decoded: What the model found for all of them.
        distilled: Which translation is taken.
        seed: Of the draw of the texts that keep gold; a text's draw depends on it and on the text's id alone.
        language: Code of the target language; ``nearest`` cuts zh, ja and ko by it.

    Raises:
        LimbeckError: A text was not decoded, or all translations are empty.
    """
    counts: Counter[str] = Counter()
    examples = []
    for example in transfer_set:
        if example.targets and _drawn(example.id, seed) < distilled.gold:
            counts["gold"] += 1
            examples.append(replace(example, targets=example.targets[:1]))
            continue
        found = tuple((text, score) for text, score in decoded[example.id] if text.strip())
        if not found:
            counts["empty"] += 1
            continue
        best = nearest(found, example.targets, language) if distilled.nearest and example.targets else 0
        counts["other"] += best > 0
        examples.append(_taught(example, found[best][0], decoded.by))
    if not examples:
        what = f"all translations by {decoded.by} are empty: it has not learnt to translate"
        raise LimbeckError(
            what, fix="Train the teacher longer, or on more text; its dev score tells how good it is"
        )
    _tell(len(transfer_set), counts, decoded.by, distilled)
    return TransferSet(tuple(examples), transfer_set.labels)


def nearest(translations: Translations, references: tuple[str, ...], language: str = "") -> int:
    """The place of the translation with the highest sentence BLEU against the references; of equals the first.

    BLEU is sacrebleu's of sentences: words as it cuts those of the language (13a but for zh, ja and ko), exponential
    smoothing, n-grams up to the length of the sentence.
    """
    from sacrebleu.metrics import BLEU  # type: ignore[attr-defined]

    bleu = BLEU(effective_order=True, trg_lang=language)
    scores = [bleu.sentence_score(text, list(references)).score for text, _ in translations]
    return scores.index(max(scores))


def _drawn(id: str, seed: int) -> float:
    """A number from nought to one that follows from both."""
    digest = hashlib.blake2b(f"{seed}\x1f{id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64


def _taught(example: Example, translation: str, by: str) -> Example:
    origin = f"{example.origin}, translated by {by}" if example.origin else f"translated by {by}"
    return replace(example, targets=(translation,), origin=origin)


def _tell(texts: int, counts: Counter[str], by: str, distilled: Distilled) -> None:
    said = f"ask       {texts - counts['gold'] - counts['empty']:,} of {texts:,} texts translated by {by}"
    if distilled.nearest:
        said += f"; of {counts['other']:,} another than the likeliest is nearer to gold"
    if distilled.gold:
        said += f"; {counts['gold']:,} keep gold"
    progress.say(said)
    if counts["empty"]:
        progress.warn(f"{counts['empty']:,} texts are left out: their translations by {by} are empty")
