"""Weights: how many numbers of a model were learnt."""

from __future__ import annotations

from torch import nn


def learnt(model: nn.Module) -> int:
    """Numbers that were learnt, here or where the model comes from; what layers share counts once.

    Tables of sinusoidal positions are computed, and are none of them, though libraries keep some as parameters.
    """
    computed = {
        id(parameter)
        for module in model.modules()
        if any("Sinusoidal" in kind.__name__ for kind in type(module).__mro__)
        for parameter in module.parameters()
    }
    return sum(each.numel() for each in model.parameters() if id(each) not in computed)
