"""CTranslate2: the same translator in a faster engine for CPUs and GPUs, for greedy and beam search.

The model is converted by CTranslate2's own loaders of transformers' families. Its tokens are named by their ids, so
that any tokeniser does. CTranslate2 rounds otherwise than PyTorch, and its beam search ends by a rule of its own
(:data:`PATIENCE`); so a few translations may differ, and what it finds is kept apart from what PyTorch finds.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.models.translators.search import longest_translation
from limbeck.models.translators.translator import Hypothesis
from limbeck.text.encode import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FAMILIES: dict[str, tuple[str, dict[str, bool]]] = {
    "marian": ("BartLoader", {"normalize_before": False, "normalize_embedding": False}),
    "bart": ("BartLoader", {"normalize_before": False}),
    "mbart": ("BartLoader", {"normalize_before": True}),
    "m2m_100": ("M2M100Loader", {}),
    "t5": ("T5Loader", {}),
    "mt5": ("MT5Loader", {}),
}
"""Of each model type CTranslate2's loader of its weights, and what that shall read in the configuration. Marian's own
loader takes the last token for padding that the decoder starts with, which is so in converted Marian models alone."""
TOKENS_PER_BATCH = 2048
"""What is translated at a time, padding included."""
PATIENCE = 2
"""Beam search ends when this many times as many translations are finished as there are beams (Kasai et al., 2022,
"A call for clarity in beam search"). CTranslate2's own 1 ends before transformers' search does and misses the likeliest
translation of some texts; with 2 both found the same for 300 sentences of Multi30k, for a fifth more time."""


class CTranslator:
    """A translator, converted to CTranslate2 (float32).

    Scores are as in :mod:`limbeck.models.translators.search`: log-probabilities over the length, the end token counted,
    to the penalty's power; but tokens that must not be written have no share of the probabilities.

    Args:
        model: An autoregressive translator; it is left as it is.
        device: Where to compute.

    Raises:
        LimbeckError: CTranslate2 is not installed, or has no conversion for this model.
    """

    def __init__(self, model: PreTrainedModel, device: torch.device) -> None:
        ctranslate2 = _library()
        with tempfile.TemporaryDirectory() as folder:
            convert(model, Path(folder))
            # Read into memory here: the folder may go.
            self._translator = ctranslate2.Translator(
                folder, device=device.type, compute_type="float32", intra_threads=torch.get_num_threads()
            )
        generation = model.generation_config
        assert generation is not None
        self._model = model
        self._forced = generation.forced_bos_token_id
        self._never = [[str(token)] for token in generation.suppress_tokens or ()]
        self._never += [[str(token) for token in tokens] for tokens in generation.bad_words_ids or ()]

    def translate(self, encoded: Encoded, decoding: Decoding) -> list[tuple[Hypothesis, ...]]:
        """Translations of each sentence, best first; as :func:`limbeck.models.translators.decode.translate` does.

        Args:
            encoded: The sentences, as that model's tokeniser cuts them.
            decoding: How to search.

        Raises:
            LimbeckError: Random numbers are asked for.
        """
        if decoding.draws:
            what = (
                "CTranslate2 draws the texts of a batch by common numbers, so that no draw could be repeated"
            )
            raise LimbeckError(what, where="engine", fix="Sample with the engine 'pytorch'")
        prefix = [] if self._forced is None else [str(self._forced)]
        results = self._translator.translate_batch(
            [list(map(str, tokens)) for tokens in _rows(encoded)],
            [prefix] * len(encoded) if prefix else None,
            max_batch_size=TOKENS_PER_BATCH,
            batch_type="tokens",
            beam_size=decoding.beams if decoding.search == "beam" else 1,
            num_hypotheses=decoding.keep,
            patience=PATIENCE,
            length_penalty=decoding.length_power,
            max_decoding_length=longest_translation(self._model, decoding),
            min_decoding_length=0,
            max_input_length=0,
            suppress_sequences=self._never or None,
            return_scores=True,
        )
        return [tuple(self._found(*pair, prefix) for pair in zip(r.hypotheses, r.scores, strict=True))
                for r in results]  # fmt: skip

    @staticmethod
    def _found(tokens: Sequence[str], score: float, prefix: Sequence[str]) -> Hypothesis:
        written = tokens[len(prefix) :] if list(tokens[: len(prefix)]) == list(prefix) else tokens
        return Hypothesis(tuple(map(int, written)), score, len(tokens) + 1)


def convert(model: PreTrainedModel, folder: Path) -> None:
    """Write a translator in CTranslate2's format, float32; its tokens are called by their ids.

    Args:
        model: An autoregressive translator; it is left as it is.
        folder: An empty folder.

    Raises:
        LimbeckError: CTranslate2 is not installed, or has no conversion for this model.
    """
    _library()
    from ctranslate2.converters import transformers as families

    kind = model.config.model_type
    if kind not in FAMILIES:
        raise LimbeckError(
            f"CTranslate2 has no conversion for a {type(model).__name__}",
            where="engine",
            fix=f"Take the engine 'pytorch'; converted are models of the types {', '.join(FAMILIES)}",
        )
    name, reads = FAMILIES[kind]
    shell = copy.copy(model)  # shares the weights; the loader writes into its configuration
    shell.config = copy.deepcopy(model.config)
    for key, value in reads.items():
        setattr(shell.config, key, value)
    if hasattr(shell.config, "scale_decoder_outputs"):  # transformers 5 has another name for it than 4 had
        shell.config.tie_word_embeddings = shell.config.scale_decoder_outputs
    with torch.no_grad():
        spec = getattr(families, name)().get_model_spec(shell)
        spec.register_source_vocabulary(_names(model.get_encoder().get_input_embeddings()))
        spec.register_target_vocabulary(_names(model.get_output_embeddings()))
        _name_special(spec.config, model)
        spec.validate()
        spec.optimize()
        spec.save(str(folder))


def _name_special(config: Any, model: PreTrainedModel) -> None:
    generation = model.generation_config
    assert generation is not None
    start = generation.decoder_start_token_id
    start = model.config.decoder_start_token_id if start is None else start
    end = generation.eos_token_id
    config.decoder_start_token = config.bos_token = str(start)
    config.eos_token = str(end[0] if isinstance(end, list) else end)
    config.unk_token = "0"  # no token is unknown: all are named by their ids


def _names(embeddings: Any) -> list[str]:
    return [str(number) for number in range(len(embeddings.weight))]


def _rows(encoded: Encoded) -> list[list[int]]:
    ends = encoded.offsets.tolist()
    return [encoded.tokens[start:end].tolist() for start, end in pairwise(ends)]


def _library() -> Any:
    try:
        import ctranslate2
    except ImportError:
        raise LimbeckError(
            "CTranslate2 is not installed", where="engine", fix="Run pip install 'limbeck[ctranslate2]'"
        ) from None
    return ctranslate2
