"""Tracing: PyTorch's exporter, for models that are not written out as graphs by hand."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from limbeck.core.errors import LimbeckError
from limbeck.models.graph import OPSET
from limbeck.models.student import encoder_of

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


def trace(
    model: PreTrainedModel,
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    axes: Mapping[str, Sequence[str | None]],
    path: Path,
) -> None:
    """Write what a module computes, by tracing: unlike the newer exporter it needs no further package.

    Args:
        model: The model that the module calls; attention is written out meanwhile, for so it is traced the same for
            any length, with or without padding.
        module: Takes the inputs in a row.
        inputs: A sample of each, by name.
        outputs: Names of what it returns.
        axes: Of inputs and outputs, names of the axes whose sizes may change; None for one that may not.
        path: The file.

    Raises:
        LimbeckError: ONNX cannot express the module.
    """
    place = next(model.parameters()).device
    attention = encoder_of(model).config._attn_implementation
    # The exporter gives the module's mode back to all its parts: a new module's is training.
    module.train(model.training)
    try:
        model.set_attn_implementation("eager")
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                tuple(value.to(place) for value in inputs.values()),
                str(path),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes={
                    name: {number: axis for number, axis in enumerate(of) if axis}
                    for name, of in axes.items()
                },
                opset_version=OPSET,
                dynamo=False,
            )
    except (RuntimeError, ValueError, TypeError, torch.onnx.errors.OnnxExporterError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise LimbeckError(f"a {type(model).__name__} cannot be expressed in ONNX ({reason})") from error
    finally:
        model.set_attn_implementation(attention)
