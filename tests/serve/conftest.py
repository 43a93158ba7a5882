"""A bundle of a tiny student, made here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from limbeck import models
from limbeck.core.recipe import Export
from limbeck.models import bilstm
from limbeck.models.export import export

TEXTS = ["a good film", "bad", "the story was long , and the film was not", "good good good"]
LABELS = ("bad", "good", "so-so")


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    settings = bilstm.Settings(dimension=8, hidden=6, relu=5)
    tokeniser = models.tokeniser_for(settings, teacher_tokeniser=None, texts=TEXTS)
    model = models.build("bilstm", settings, labels=LABELS, tokeniser=tokeniser, teacher=None, seed=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    folder = tmp_path_factory.mktemp("run") / "bundle"
    export(
        model,
        tokeniser,
        folder,
        texts=TEXTS,
        max_length=12,
        settings=Export(changed=1),
        card={"name": "tiny"},
    )
    return folder
