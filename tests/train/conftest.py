"""Fixtures for training; the tiny task itself is in train_task.py, where processes find it too."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from limbeck.core import progress

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []

    class Listener(progress.Reporter):
        def warn(self, text: str, **facts: Any) -> None:
            told.append(text)

        def say(self, text: str, **facts: Any) -> None:
            told.append(text)

    monkeypatch.setattr(progress, "_reporter", Listener())
    return told
