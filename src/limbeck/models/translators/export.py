"""Export of a translator as a bundle that answers without PyTorch, compared with PyTorch before it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.files import write_json
from limbeck.models.bundling import appearing, provenance, save_tokeniser, spread
from limbeck.models.card import card_page
from limbeck.models.outputs import evaluating
from limbeck.models.parity import require
from limbeck.models.quantise import quantise
from limbeck.models.translators.graphs import save_parallel, save_word_by_word
from limbeck.models.translators.parity import translation_parity
from limbeck.models.translators.passes import PassStudent, save_passes
from limbeck.models.translators.translator import ParallelTranslator
from limbeck.serve import loops
from limbeck.serve.exported import CARD, ENDINGS, TOKENISER, Precision
from limbeck.serve.translator import TARGET_TOKENISER, TranslatorBundle
from limbeck.text.encode import first_id

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limbeck.core.decoding import Decoding
    from limbeck.core.recipe import Export
    from limbeck.text.subwords import Subwords

CHECKED = 200
"""Texts at most that the bundle and PyTorch both translate, spread evenly over those given."""


def export_translator(
    model: PreTrainedModel,
    subwords: Subwords,
    folder: Path,
    *,
    texts: Sequence[str],
    max_length: int,
    decoding: Decoding,
    settings: Export,
    card: Mapping[str, Any],
) -> dict[str, Any]:
    """Write a bundle: ONNX graphs, tokenisers, card. All of it appears at once, or nothing does.

    Args:
        model: The student: transformers' Marian, or a parallel translator.
        subwords: What it reads and writes.
        folder: Where to; what else is in it stays.
        texts: Texts on which the bundle must agree with PyTorch.
        max_length: Tokens kept of a text, its end included.
        decoding: How the bundle searches where nothing else is asked for.
        settings: Whether to make int8, and how far the bundle may be from PyTorch.
        card: Facts for the card, as pairs of name and value.

    Returns:
        What ``bundle.json`` says; ``parity`` by precision is that of
        :class:`limbeck.models.translators.parity.TranslationParity`.

    Raises:
        LimbeckError: The model is of another kind, the bundle answers differently from PyTorch, or it cannot be
            written.
    """
    if not texts:
        raise LimbeckError("no text was given to compare the bundle with PyTorch on")
    if decoding.draws:
        what = "'decoding.search': a bundle looks for the likeliest translations, and draws none"
        raise LimbeckError(what, fix="Choose beam or greedy")
    with appearing(folder) as partial, progress.task("export", 4) as task:
        save_onnx(model, partial)
        task.advance()
        if settings.int8:
            for path in sorted(partial.glob(f"*{ENDINGS['fp32']}")):
                quantise(path, path.with_suffix("").with_suffix(ENDINGS["int8"]))
        task.advance()
        _save_tokenisers(subwords, partial)
        report = {
            "task": TranslatorBundle.task,
            **_how(model, subwords, decoding, max_length),
            **provenance(model, partial, card),
        }
        write_json(partial / CARD, report)
        report["parity"] = _check(model, subwords, partial, texts, max_length, decoding, settings)
        task.advance(2)
        write_json(partial / CARD, report)
        (partial / "README.md").write_text(card_page(report), encoding="utf-8")
    return report


def save_onnx(model: PreTrainedModel, folder: Path) -> None:
    """Write the float32 graphs of a translator into a folder.

    Args:
        model: transformers' Marian, or a parallel translator.
        folder: Where ``encoder.onnx`` and ``decoder.onnx`` go, or ``model.onnx``; of a student that translates in
            several passes ``encoder.onnx`` and a file a pass.

    Raises:
        LimbeckError: The model is of another kind.
    """
    with evaluating(model):
        if isinstance(model, PassStudent):
            save_passes(model, folder)
        elif isinstance(model, ParallelTranslator):
            save_parallel(model, folder / "model.onnx")
        else:
            save_word_by_word(model, folder / "encoder.onnx", folder / "decoder.onnx")


def _save_tokenisers(subwords: Subwords, folder: Path) -> None:
    save_tokeniser(subwords.source, folder / TOKENISER)
    if not subwords.joint:
        save_tokeniser(subwords.target, folder / TARGET_TOKENISER)


def _how(model: PreTrainedModel, subwords: Subwords, decoding: Decoding, max_length: int) -> dict[str, Any]:
    """How texts are read, and translations written."""
    config: Any = model.config
    source = subwords.source
    parallel = isinstance(model, ParallelTranslator)
    return {
        "decoding": decoding.model_dump(),
        "max_length": max_length,
        "pad_id": first_id(source.pad_token_id, source.eos_token_id),
        "unknown_id": first_id(source.unk_token_id, source.pad_token_id),
        # The decoder reads the start token, and not the last one.
        "longest": config.max_position_embeddings - (not parallel),
        "split_special_tokens": bool(getattr(source, "split_special_tokens", False)),
        **_loop(model),
    }


def _loop(model: PreTrainedModel) -> dict[str, Any]:
    """What the bundle's loop over the model must know."""
    config: Any = model.config
    if isinstance(model, PassStudent):
        return {"loop": loops.told(model.loop()), "graphs": list(model.graphs())}
    if isinstance(model, ParallelTranslator):
        return {"candidates": model.most_candidates}
    return {"start_id": config.decoder_start_token_id, "end_id": config.eos_token_id}


def _check(
    model: PreTrainedModel,
    subwords: Subwords,
    folder: Path,
    texts: Sequence[str],
    max_length: int,
    decoding: Decoding,
    settings: Export,
) -> dict[str, dict[str, float]]:
    """Compare the bundle with PyTorch.

    Raises:
        LimbeckError: A log-probability is too far off, or too many tokens change.
    """
    precisions: list[Precision] = ["fp32", "int8"] if settings.int8 else ["fp32"]
    checked = spread(texts, CHECKED)
    found = translation_parity(model, subwords, folder, checked, max_length, decoding, precisions)
    return require(found, settings, folder, "log-probability", "tokens")
