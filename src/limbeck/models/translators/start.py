"""How the layers of translators start: weaker the higher they stand.

With a norm after each residual connection, gradients fade from the top layer down, and a translator of six layers may
learn nothing in the time in which one of three learns much. Zhang, Titov and Sennrich (2019, "Improving Deep
Transformer with Depth-Scaled Initialization and Merged Attention") therefore divide the uniform start of Glorot and
Bengio by the root of a layer's depth (DS-Init, with their alpha of 1).
"""

from __future__ import annotations

import torch
from torch import nn
from transformers.models.marian.modeling_marian import MarianDecoderLayer, MarianEncoderLayer

from limbeck.models.translators.layers import DecoderLayer

LAYERS = (MarianEncoderLayer, MarianDecoderLayer, DecoderLayer)


@torch.no_grad()
def start_layers(model: nn.Module) -> None:
    """Draw the weights of all layers anew, in the ``l``-th of a stack from ``U(-b, b) / sqrt(l)``.

    There ``b = sqrt(6 / (inputs + outputs))``; biases and norms stay as they are. A layer that stands alone, as in the
    couplings of a flow, is a first one.
    """
    stacks = (module for module in model.modules() if isinstance(module, nn.ModuleList))
    depths = {layer: depth for stack in stacks for depth, layer in enumerate(stack, start=1)}
    for layer in model.modules():
        if isinstance(layer, LAYERS):
            for module in layer.modules():
                if isinstance(module, nn.Linear):
                    nn.init.xavier_uniform_(module.weight, gain=depths.get(layer, 1) ** -0.5)
