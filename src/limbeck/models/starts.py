"""Starts of a transformer student: the teacher's embeddings and layers, narrowed where the student is narrower.

What a wide encoder says is kept as far as a narrow one can say it, part by part:

- *Hidden states* (``width`` to ``narrow``) are projected on orthonormal axes ``P``, ``(width, narrow)``, the same for
  every layer, so that a layer reads what the one below writes. A weight that reads states becomes ``W P``, one that
  writes them ``Pᵀ W``; a table of embeddings becomes ``E P``, which keeps its mean, for the layers expect it. A norm's
  scale ``g`` becomes the diagonal of ``Pᵀ diag(g) P``, its bias ``b`` becomes ``Pᵀ b``.
- *The axes* are the first principal ones of the word embeddings as the first layer gets them, beside the direction in
  which all coordinates are equal; they are turned so that this stays the direction of equal coordinates. Norms subtract
  the mean over coordinates, which then is the same part of a state in both.
- *Embeddings* that are narrower than the states and projected to them (ELECTRA's) have axes of their own.
- *Heads*, the dimensions inside of them and the units of the *feed-forward* layers are chosen, not mixed, for what
  stands between their two weights is no linear map: those are kept whose incoming and outgoing weights have the largest
  product of norms. Queries and keys go together, and so do values and the attention's output. Queries are scaled by
  ``sqrt(narrow head / head)``, because attention divides by the root of a head's width.

Where nothing is narrower, all of this is a copy. Axes: ``width``, ``narrow``, ``heads``, ``units``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from limbeck.core.errors import LimbeckError
from limbeck.models.embeddings import principal_axes
from limbeck.models.student import encoder_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Parts:
    """What a family calls the linear parts of a layer; whatever else is in it is a norm."""

    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    attended: str = "attention.output.dense"
    up: str = "intermediate.dense"
    down: str = "output.dense"


BERT = Parts()
DISTILBERT = Parts(
    "attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "ffn.lin1", "ffn.lin2"
)
FAMILIES = {
    **dict.fromkeys(("bert", "camembert", "electra", "roberta", "xlm-roberta"), BERT),
    "distilbert": DISTILBERT,
}
"""Families whose parts can be narrowed, by model type; others can only be copied."""


def copy_layers(teacher: PreTrainedModel, student: PreTrainedModel, layers: Sequence[int] | None) -> None:
    """Give a student the teacher's embeddings, pooler and some of its layers, narrowed to the student's shape.

    Args:
        teacher: Where from.
        student: Where to: a model with an encoder of the same family, no wider than the teacher's.
        layers: Numbers of the teacher's layers, from 0, one for each of the student's; None leaves the student's
            layers, and its pooler, as they are.

    Raises:
        LimbeckError: The encoder has no list of layers to choose from, or the student's shape does not fit into it.
    """
    source, target = encoder_of(teacher), encoder_of(student)
    name = _layer_list(source, source.config.num_hidden_layers)
    weights: Weights = source.state_dict()
    if (_shape(source), _embedding_width(source)) != (_shape(target), _embedding_width(target)):
        weights = _narrowed(weights, source, target, name, layers)
    mine: Weights = target.state_dict()
    for key, value in mine.items():
        wanted = key
        if key.startswith(f"{name}."):
            number, rest = key.removeprefix(f"{name}.").split(".", 1)
            wanted = "" if layers is None else f"{name}.{layers[int(number)]}.{rest}"
        elif layers is None and not key.startswith("embeddings"):
            wanted = ""
        # A teacher without a pooler (say) leaves the student's as it is.
        if wanted in weights:
            value.copy_(weights[wanted])


def evenly(layers: int, of: int) -> list[int]:
    """Layers of the teacher for a student of so many, the last one among them.

    Counted from 1, ``g(m) = m N / M`` for a teacher of N layers and a student of M: the uniform strategy of TinyBERT
    (Jiao et al. 2020).
    """
    return [(number + 1) * of // layers - 1 for number in range(layers)]


def _layer_list(encoder: nn.Module, count: int) -> str:
    """Name of the list that holds the encoder's layers."""
    for name, module in encoder.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return str(name)
    kind = type(encoder).__name__
    fix = "Train one from scratch: give layers instead"
    raise LimbeckError(f"'student.from_teacher': {kind} has no list of layers to choose from", fix=fix)


def feed_forward_of(config: Any) -> str:
    """What a configuration calls the width of its feed-forward layers."""
    names = ("intermediate_size", "hidden_dim", "ffn_dim", "d_ff")
    return next((name for name in names if hasattr(config, name)), names[0])


def _shape(encoder: PreTrainedModel) -> tuple[int, int, int]:
    """Width, heads and feed-forward units."""
    config = encoder.config
    return config.hidden_size, config.num_attention_heads, getattr(config, feed_forward_of(config), 0)


def _projects(encoder: PreTrainedModel) -> bool:
    """Whether embeddings are projected to the width of the states (ELECTRA's may be)."""
    return hasattr(encoder, "embeddings_project")


def _embedding_width(encoder: PreTrainedModel) -> int:
    config = encoder.config
    width: int = config.embedding_size if _projects(encoder) else config.hidden_size
    return width


# ------------------------------------------------------------ narrowing


def _narrowed(
    weights: Weights,
    source: PreTrainedModel,
    target: PreTrainedModel,
    name: str,
    layers: Sequence[int] | None,
) -> Weights:
    """The source's weights in the target's shape, under the same names; of its layers those asked for."""
    parts = FAMILIES.get(source.config.model_type)
    if parts is None:
        known = ", ".join(sorted(FAMILIES))
        what = f"no {source.config.model_type} can be narrowed; of these families one can: {known}"
        raise LimbeckError(f"'student.start': {what}", fix="Keep the teacher's shape, or start at random")
    _check_fits(_shape(source), _shape(target), layers is not None)
    if _projects(source) and not _projects(target):
        what = (
            f"{target.config.hidden_size} is the width of the embeddings, which are projected in the teacher"
        )
        raise LimbeckError(f"'student.hidden_size': {what}", fix="Choose another one")
    axes = _axes(_embedded(source), target.config.hidden_size, "hidden_size")
    found = _narrow_embeddings(weights, source, target, axes)
    if "pooler.dense.weight" in weights:
        found |= _narrow_pooler(weights["pooler.dense.weight"], weights["pooler.dense.bias"], axes)
    for number in set(layers or ()):
        prefix = f"{name}.{number}."
        layer = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        narrow = _narrow_layer(layer, parts, axes, _shape(source), _shape(target))
        found |= {prefix + key: value for key, value in narrow.items()}
    return found


def _check_fits(theirs: tuple[int, int, int], ours: tuple[int, int, int], with_layers: bool) -> None:
    """Refuse a student that is wider anywhere than its teacher."""
    pairs = list(zip(("hidden_size", "heads", "intermediate"), ours, theirs, strict=True))
    of_head = ours[0] // ours[1], theirs[0] // theirs[1]
    for key, mine, its in pairs if with_layers else pairs[:1]:
        if mine > its:
            fix = f"Choose {its} or less, or start: random"
            raise LimbeckError(f"'student.{key}': {mine} asked for, and the teacher has {its}", fix=fix)
    if with_layers and of_head[0] > of_head[1]:
        what = f"{ours[1]} heads would each be {of_head[0]} wide, and the teacher's are {of_head[1]}"
        raise LimbeckError(f"'student.heads': {what}", fix="Choose more heads, or start: random")


def _axes(states: Tensor, narrow: int, key: str) -> Tensor:
    """``P``, ``(width, narrow)``, of states ``(tokens, width)``; the identity where nothing is narrower."""
    count, width = states.shape
    if narrow == width:
        return torch.eye(width)
    if narrow > count:
        raise LimbeckError(f"'student.{key}': {narrow} asked for, of {count} tokens' embeddings")
    equal = torch.full((width, 1), width**-0.5)
    others = states - states @ equal @ equal.T
    axes = torch.cat([equal, torch.from_numpy(principal_axes(others.numpy(), narrow - 1))], dim=1)
    # A reflection that swaps the first axis and the direction of equal coordinates (Householder).
    between = torch.eye(narrow)[0] - narrow**-0.5
    turned: Tensor = axes - 2 * torch.outer(axes @ between, between) / between.square().sum()
    return turned


@torch.no_grad()
def _embedded(encoder: Any, projected: bool = True) -> Tensor:
    """Every token as the first layer gets it, at a mean position, ``(tokens, width)``; or before it is projected."""
    parts = encoder.embeddings
    states = parts.word_embeddings.weight + parts.position_embeddings.weight.mean(0)
    if hasattr(parts, "token_type_embeddings"):
        states = states + parts.token_type_embeddings.weight[0]
    states = parts.LayerNorm(states)
    if projected and _projects(encoder):
        states = encoder.embeddings_project(states)
    found: Tensor = states.float().cpu()
    return found


def _narrow_embeddings(
    weights: Weights, source: PreTrainedModel, target: PreTrainedModel, axes: Tensor
) -> Weights:
    """The tables, their norm and, where the target has one, the projection, by the states' axes ``P``.

    Embeddings that are projected have axes of their own, ``Q``: a table becomes ``E Q`` and the projection
    ``sqrt(width / narrow) Pᵀ W Q``, where ``W`` is the identity of a source that has none, and the root makes up for
    the norm, which gives each of its fewer coordinates the same size. Without a projection, Q is P.
    """
    own, scale = axes, 1.0
    if _projects(target):
        mine, its = _embedding_width(target), _embedding_width(source)
        if mine > its:
            what = f"'student.embedding_size': {mine} asked for, and the teacher has {its}"
            raise LimbeckError(what, fix=f"Choose {its} or less, or start: random")
        own = _axes(_embedded(source, projected=False), mine, "embedding_size")
        scale = (its / mine) ** 0.5
    found = {
        key: _narrow_states(key, value.detach().cpu(), own) if value.is_floating_point() else value.cpu()
        for key, value in weights.items()
        if key.startswith("embeddings.")
    }
    if _projects(target):
        through = weights.get("embeddings_project.weight", torch.eye(len(own))).detach().cpu()
        bias = weights.get("embeddings_project.bias", torch.zeros(len(through))).detach().cpu()
        found |= {
            "embeddings.LayerNorm.bias": found["embeddings.LayerNorm.bias"] / scale,
            "embeddings_project.weight": scale * axes.T @ through @ own,
            "embeddings_project.bias": axes.T @ bias,
        }
    return found


def _narrow_pooler(weight: Tensor, bias: Tensor, axes: Tensor) -> Weights:
    """It reads states; of what it says, which a new classifier reads, the strongest units are kept."""
    weight = weight.detach().float().cpu() @ axes
    rows = _strongest(weight.norm(dim=1), axes.shape[1])
    return {"pooler.dense.weight": weight[rows], "pooler.dense.bias": bias.detach().cpu()[rows]}


def _narrow_states(key: str, value: Tensor, axes: Tensor) -> Tensor:
    """A table of embeddings, or a norm's scale or bias."""
    return axes.T.square() @ value if value.ndim == 1 and key.endswith("weight") else value @ axes


def _narrow_layer(
    layer: Weights, parts: Parts, axes: Tensor, theirs: tuple[int, int, int], ours: tuple[int, int, int]
) -> Weights:
    """A layer's weights in another shape; shapes are width, heads, feed-forward units."""
    layer = {key: value.detach().float().cpu() for key, value in layer.items()}
    readers = (parts.query, parts.key, parts.value, parts.up)
    writers = (parts.attended, parts.down)
    for key, value in layer.items():
        part, _, kind = key.rpartition(".")
        if part in writers:
            layer[key] = axes.T @ value
        elif part not in readers:
            layer[key] = _narrow_states(key, value, axes)
        elif kind == "weight":
            layer[key] = value @ axes
    together, apart = _attention_units(layer, parts, theirs, ours)
    units = _strongest(_through(layer, parts.up, parts.down), ours[2])
    kept = {parts.query: together, parts.key: together, parts.value: apart, parts.up: units}
    for part, rows in kept.items():
        layer[f"{part}.weight"] = layer[f"{part}.weight"][rows]
        layer[f"{part}.bias"] = layer[f"{part}.bias"][rows]
    layer[f"{parts.attended}.weight"] = layer[f"{parts.attended}.weight"][:, apart]
    layer[f"{parts.down}.weight"] = layer[f"{parts.down}.weight"][:, units]
    scale = ((ours[0] // ours[1]) / (theirs[0] // theirs[1])) ** 0.5
    for kind in ("weight", "bias"):
        layer[f"{parts.query}.{kind}"] = layer[f"{parts.query}.{kind}"] * scale
    return layer


def _attention_units(
    layer: Weights, parts: Parts, theirs: tuple[int, int, int], ours: tuple[int, int, int]
) -> tuple[Tensor, Tensor]:
    """Rows of queries and keys, and rows of values, that are kept: the strongest of the strongest heads."""
    heads, width = theirs[1], theirs[0] // theirs[1]
    said = _through(layer, parts.value, parts.attended).view(heads, width)
    asked = layer[f"{parts.query}.weight"].norm(dim=1) * layer[f"{parts.key}.weight"].norm(dim=1)
    chosen = _strongest(said.sum(1), ours[1])
    many = ours[0] // ours[1]

    def rows(strength: Tensor) -> Tensor:
        inside = torch.stack([_strongest(strength[head], many) for head in chosen])  # (heads, kept)
        return (chosen[:, None] * width + inside).flatten()

    return rows(asked.view(heads, width)), rows(said)


def _through(layer: Weights, reader: str, writer: str) -> Tensor:
    """For each unit between two weights, the norm of what comes in times that of what goes out: ``(units,)``."""
    incoming: Tensor = layer[f"{reader}.weight"].norm(dim=1)
    outgoing: Tensor = layer[f"{writer}.weight"].norm(dim=0)
    return incoming * outgoing


def _strongest(strength: Tensor, count: int) -> Tensor:
    """Places of the largest values, in the order in which they stand: ``(count,)``."""
    return strength.argsort(descending=True, stable=True)[:count].sort().values
