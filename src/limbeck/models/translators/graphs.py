"""ONNX graphs of translators.

A parallel translator is one graph, its ``search``. One that writes word by word (transformers' Marian, which is
Vaswani et al. 2017 with normalisation after each sub-layer) is two:

- ``encoder``: ``input_ids`` and ``attention_mask``, ``(batch, tokens)`` -> ``source_mask``, which is added to attention
  scores, and for each decoder layer ``source_keys.N`` ``(batch, heads, width, tokens)`` and ``source_values.N``
  ``(batch, heads, tokens, width)``: what the decoder looks at, made once.
- ``decoder``, one step: ``tokens`` ``(batch, beams)``, the last ones; ``order`` ``(rows,)``, which row of the step
  before each row (batch times beams) continues; ``best``, how many next tokens are wanted; the encoder's outputs; and
  for each layer the cache, ``keys.N`` and ``values.N`` ``(rows before, heads, length, width)`` -> ``scores`` and
  ``ids`` ``(batch, beams, best)``, log-probabilities and tokens, largest first; ``new_keys.N`` and ``new_values.N``.

The decoder is traced from a step written here, and not from transformers' own: the beams of a text look at its source
side by side, so that keys and values are not copied for each beam; beams change places within the graph; one product
makes queries, keys and values; and of the vocabulary only the likeliest tokens leave the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import MarianMTModel

from limbeck.core.errors import LimbeckError
from limbeck.models.tracing import trace

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limbeck.models.translators.translator import ParallelTranslator

TEXT = ("batch", "tokens")


def save_word_by_word(model: PreTrainedModel, encoder: Path, decoder: Path) -> None:
    """Write the graphs of a translator that writes word by word.

    Args:
        model: The translator, in evaluation mode.
        encoder: File of the one.
        decoder: File of the other.

    Raises:
        LimbeckError: It is no Marian.
    """
    if not isinstance(model, MarianMTModel):
        what = f"a {type(model).__name__} cannot be exported: its decoder is not of Marian's shape"
        raise LimbeckError(what, fix="Export a student, which is")
    device = model.device
    ids = torch.full((2, 3), int(model.config.eos_token_id), device=device)
    mask = torch.ones_like(ids)
    mask[1, 2] = 0
    step, source = _Step(model), _Source(model)
    layers = range(len(step.layers))
    memory = ["source_mask", *(f"source_{name}.{layer}" for name in ("keys", "values") for layer in layers)]
    cache = [f"{name}.{layer}" for name in ("keys", "values") for layer in layers]
    axes = {name: _memory_axes(name) for name in memory}
    texts = {"input_ids": ids, "attention_mask": mask}
    trace(model, source, texts, memory, {**dict.fromkeys(texts, TEXT), **axes}, encoder)
    with torch.no_grad():
        read = dict(zip(memory, source(ids, mask), strict=True))
    past = torch.zeros(4, step.heads, 2, step.width, device=device)
    inputs = {
        "tokens": ids,
        "order": torch.tensor([0, 1, 2, 2, 1, 3], device=device),
        "best": torch.tensor(4, device=device),
        **read,
        **dict.fromkeys(cache, past),
    }
    axes |= {"tokens": ("batch", "beams"), "order": ("rows",)}
    axes |= dict.fromkeys(cache, ("before", None, "length", None))
    axes |= {f"new_{name}": ("rows", None, "written", None) for name in cache}
    axes |= dict.fromkeys(("scores", "ids"), ("batch", "beams", "best"))
    outputs = ["scores", "ids", *(f"new_{name}" for name in cache)]
    trace(model, step, inputs, outputs, axes, decoder)


def save_parallel(model: ParallelTranslator, path: Path) -> None:
    """Write the graph of a parallel translator.

    It reads ``input_ids`` and ``attention_mask``, ``candidates`` (lengths that are tried) and ``longest`` (most tokens
    of a translation), and gives ``tokens`` ``(batch, places)`` and ``scores`` ``(batch,)``.

    Args:
        model: The translator, in evaluation mode.
        path: The file.
    """
    ids = torch.full((2, 4), int(model.config.eos_token_id), device=model.device)
    mask = torch.ones_like(ids)
    mask[1, 3] = 0
    inputs = {
        "input_ids": ids,
        "attention_mask": mask,
        "candidates": torch.tensor(2, device=model.device),
        "longest": torch.tensor(8, device=model.device),
    }
    axes = {"input_ids": TEXT, "attention_mask": TEXT, "tokens": ("batch", "places"), "scores": ("batch",)}
    trace(model, _Search(model), inputs, ["tokens", "scores"], axes, path)


def never_written(model: PreTrainedModel) -> list[int]:
    """Tokens that an autoregressive translator must not write, as its generation settings say."""
    settings: Any = model.generation_config
    banned = [words[0] for words in settings.bad_words_ids or () if len(words) == 1]
    return sorted({*banned, *(settings.suppress_tokens or ())})


def _memory_axes(name: str) -> tuple[str | None, ...]:
    last = ("tokens", None) if name.startswith("source_values") else (None, "tokens")
    return ("batch", None, *last)


class _Source(nn.Module):
    """The encoder, and what each decoder layer makes of its states."""

    def __init__(self, model: MarianMTModel) -> None:
        super().__init__()
        self.encoder = model.get_encoder()
        self.attentions = nn.ModuleList(layer.encoder_attn for layer in model.get_decoder().layers)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Mask, keys of each layer, values of each layer."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        added = (1 - attention_mask.to(states.dtype)) * torch.finfo(states.dtype).min
        batch, tokens = input_ids.shape
        layers: list[Any] = list(self.attentions)
        keys = [each.k_proj(states).view(batch, tokens, each.num_heads, -1) for each in layers]
        values = [each.v_proj(states).view(batch, tokens, each.num_heads, -1) for each in layers]
        return (
            added[:, None, None],
            *(each.permute(0, 2, 3, 1) for each in keys),
            *(each.transpose(1, 2) for each in values),
        )


class _Step(nn.Module):
    """One step of the decoder, for all beams of all texts."""

    def __init__(self, model: MarianMTModel) -> None:
        super().__init__()
        decoder: Any = model.get_decoder()
        self.layers, self.scale = decoder.layers, decoder.embed_scale
        self.embeddings, self.positions = decoder.embed_tokens.weight, decoder.embed_positions.weight
        attention = self.layers[0].self_attn
        self.heads, self.width = attention.num_heads, attention.head_dim
        self.inward = [_joined(layer.self_attn) for layer in self.layers]
        self.output: Any = model.lm_head
        self.added = model.final_logits_bias if model.final_logits_bias.any() else None
        never = torch.zeros(self.output.out_features, device=model.device)
        never[never_written(model)] = float("-inf")
        self.never = never if never_written(model) else None

    def forward(
        self, tokens: Tensor, order: Tensor, best: Tensor, source_mask: Tensor, *others: Tensor
    ) -> tuple[Tensor, ...]:
        """The likeliest next tokens, and the cache with what was written last."""
        count = len(self.layers)
        source_keys, source_values, keys, values = (
            others[at : at + count] for at in range(0, 4 * count, count)
        )
        states = functional.embedding(tokens, self.embeddings) * self.scale + self.positions[keys[0].shape[2]]
        grown: list[tuple[Tensor, Tensor]] = []
        for number, layer in enumerate(self.layers):
            cache = self._written(states, number, order, keys[number], values[number])
            grown.append(cache[1:])
            states = layer.self_attn_layer_norm(states + self._looked_back(layer, states.shape, *cache))
            seen = self._source(layer, states, source_mask, source_keys[number], source_values[number])
            states = layer.encoder_attn_layer_norm(states + seen)
            fed = layer.fc2(layer.activation_fn(layer.fc1(states)))
            states = layer.final_layer_norm(states + fed)
        scores, ids = self._likeliest(states, best)
        return scores, ids, *(each[0] for each in grown), *(each[1] for each in grown)

    def _written(
        self, states: Tensor, number: int, order: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The last tokens' queries ``(rows, heads, 1, width)``, and the cache in its new order with them."""
        inward = functional.linear(states, *self.inward[number]).reshape(-1, 3 * self.heads, 1, self.width)
        query, key, value = inward.split(self.heads, 1)
        return (
            query,
            torch.cat((keys.index_select(0, order), key), 2),
            torch.cat((values.index_select(0, order), value), 2),
        )

    def _looked_back(
        self, layer: Any, shape: Sequence[int], query: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        """Attention to what was written, ``(batch, beams, size)``."""
        seen = (query @ keys.transpose(2, 3)).softmax(-1) @ values
        looked: Tensor = layer.self_attn.out_proj(seen.reshape(shape))
        return looked

    def _source(self, layer: Any, states: Tensor, mask: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attention to the source, ``(batch, beams, size)``."""
        attention = layer.encoder_attn
        batch, beams, size = states.shape
        query = functional.linear(
            states, attention.q_proj.weight * attention.scaling, attention.q_proj.bias * attention.scaling
        )
        query = query.view(batch, beams, self.heads, self.width).transpose(1, 2)
        seen = ((query @ keys + mask).softmax(-1) @ values).transpose(1, 2)
        looked: Tensor = attention.out_proj(seen.reshape(batch, beams, size))
        return looked

    def _likeliest(self, states: Tensor, best: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities and tokens, ``(batch, beams, best)`` each."""
        logits = self.output(states)
        if self.added is not None:
            logits = logits + self.added
        scores = logits.log_softmax(-1)
        if self.never is not None:
            scores = scores + self.never
        count: Any = best.clamp(max=self.output.out_features)
        found = scores.topk(count)
        return found.values, found.indices


def _joined(attention: Any) -> tuple[Tensor, Tensor]:
    """Weight and bias of queries (scaled), keys and values in one."""
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    weights = [each.weight.detach() for each in projections]
    biases = [each.bias.detach() for each in projections]
    weights[0], biases[0] = weights[0] * attention.scaling, biases[0] * attention.scaling
    return torch.cat(weights), torch.cat(biases)


class _Search(nn.Module):
    """A parallel translator's search."""

    def __init__(self, model: ParallelTranslator) -> None:
        super().__init__()
        self.model: Any = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, candidates: Tensor, longest: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Tokens and scores."""
        tokens, scores = self.model.search(input_ids, attention_mask, candidates, longest)
        return tokens, scores
