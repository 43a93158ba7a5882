"""Bundles of a tiny classifier, of tiny taggers and of a tiny translator, made here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from limbeck import models
from limbeck.core.decoding import Decoding
from limbeck.core.recipe import Export
from limbeck.models import bilstm
from limbeck.models.export import export
from limbeck.models.taggers import bilstm as bilstm_tagger
from tiny_translation import write_bundle

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


TAGS = ("O", "B-X", "I-X", "B-Y", "I-Y")
PARTS_OF_SPEECH = ("ADJ", "DET", "NOUN", "X")


def tagger_bundle(folder: Path, tags: tuple[str, ...], **settings) -> Path:
    torch.set_num_threads(1)
    chosen = bilstm_tagger.Settings(embeddings="random", dimension=8, hidden=6, tokeniser="words", **settings)
    tokeniser = models.tokeniser_for(chosen, teacher_tokeniser=None, texts=TEXTS, task="tagging")
    model = models.build(
        "bilstm", chosen, labels=tags, tokeniser=tokeniser, teacher=None, seed=2, task="tagging"
    )
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.7)
    sentences = [text.split() for text in TEXTS]
    export(
        model,
        tokeniser,
        folder,
        texts=sentences,
        max_length=12,
        settings=Export(changed=1),
        card={"name": "tiny"},
    )
    return folder


@pytest.fixture(scope="session")
def tagger_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tagger") / "bundle"
    return tagger_bundle(folder, TAGS, spelling="cnn", spelling_size=6, constrain=True)


@pytest.fixture(scope="session")
def part_of_speech_folder(tmp_path_factory) -> Path:
    return tagger_bundle(tmp_path_factory.mktemp("pos") / "bundle", PARTS_OF_SPEECH)


@pytest.fixture(scope="session")
def translator_folder(tmp_path_factory) -> Path:
    """Of an untrained translator that writes word by word."""
    folder = tmp_path_factory.mktemp("translator") / "bundle"
    return write_bundle(folder, TEXTS, 20, Decoding(beams=3, max_length=8))
