"""Making a run repeat itself: random numbers as a function of the step, and algorithms that do not vary."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils import deterministic as switches


def seed_step(seed: int, step: int, process: int, device: torch.device) -> None:
    """Seed all generators for one step of one process.

    So what is drawn in a step (dropout, mostly) does not depend on what was drawn before it: an evaluation, a
    look by the loss doctor or a resumed run changes nothing, and no generator's state has to be kept.
    """
    digest = hashlib.blake2b(f"{seed} {step} {process}".encode(), digest_size=4).digest()
    value = int.from_bytes(digest, "little")
    random.seed(value)
    np.random.seed(value)  # noqa: NPY002 - code of others draws from it
    torch.default_generator.manual_seed(value)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(value)


@contextmanager
def deterministic() -> Iterator[None]:
    """Let PyTorch prefer deterministic algorithms; what it was set to before comes back."""
    # cuBLAS reads this when it starts; without it its matrix products vary.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    was = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = switches.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Filling every new tensor finds bugs, and costs time.
        switches.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        yield
    finally:
        torch.use_deterministic_algorithms(was, warn_only=warned)
        switches.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
