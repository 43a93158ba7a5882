"""Whichever of limbeck and transformers is imported first, the Auto classes know the students."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

ORDERS = {
    "limbeck first": "import limbeck; import transformers",
    "transformers first": "import transformers; import limbeck",
    "auto classes loaded before": "import transformers; transformers.AutoModelForSequenceClassification; import limbeck",
    "configurations loaded before": "import transformers; transformers.AutoConfig; import limbeck",
    "models loaded before": "import transformers; transformers.PreTrainedModel; import limbeck",
    "a student first": "import limbeck.models.bilstm; import transformers",
    "a transformer student first": "import limbeck.models.transformer; import transformers",
    "a tagger first": "import limbeck.models.taggers.transformer; import transformers",
    "another tagger first": "import limbeck.models.taggers.bilstm; import transformers",
    "a translator first": "import limbeck.models.translators.vanilla; import transformers",
    "heads first": "import limbeck.models.heads; import transformers",
    "registered twice": "import limbeck.models.auto as auto; auto.register(); auto.register(); import transformers",
}


def run(code):
    done = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tokeniser, labels, tmp_path_factory):
    from limbeck import models
    from limbeck.models import bilstm

    folder = tmp_path_factory.mktemp("student")
    models.build(
        "bilstm", bilstm.tiny(), labels=labels, tokeniser=tokeniser, teacher=None, seed=1
    ).save_pretrained(folder)
    tokeniser.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tagger_folder(tokeniser, tmp_path_factory):
    from limbeck.models.taggers import transformer

    folder = tmp_path_factory.mktemp("tagger")
    tagger = transformer.build(transformer.tiny(), labels=("O", "B-X"), tokeniser=tokeniser, teacher=None)
    tagger.save_pretrained(folder)
    tokeniser.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def translator_folder(tokeniser, tmp_path_factory):
    from limbeck.models.translators import vanilla
    from limbeck.text.subwords import Subwords

    folder = tmp_path_factory.mktemp("translator")
    pieces = Subwords(tokeniser, tokeniser, joint=True)
    vanilla.build(vanilla.tiny(), labels=(), tokeniser=pieces, teacher=None).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("order", ORDERS)
def test_auto_classes_know_the_students(order, folder, tagger_folder, translator_folder):
    """One of each task, another one first each time; none of them needs numba to be loaded."""
    kinds = [
        ("SequenceClassification", folder, "BiLSTM"),
        ("TokenClassification", tagger_folder, "TransformerTagger"),
        ("Seq2SeqLM", translator_folder, "Vanilla"),
    ]
    turn = list(ORDERS).index(order) % len(kinds)
    kinds = kinds[turn:] + kinds[:turn]
    loads = [
        f"""
print(type(transformers.AutoConfig.from_pretrained({str(place)!r})).__name__)
print(type(transformers.AutoModelFor{task}.from_pretrained({str(place)!r})).__name__)
"""
        for task, place, _ in kinds
    ]
    said = run("".join([ORDERS[order], *loads, "import sys; print('numba' in sys.modules)"])).split()
    named = [(f"{name}Config", f"{name.removesuffix('Tagger')}For{task}") for task, _, name in kinds]
    assert said == [*(name for both in named for name in both), "False"]


def test_pipelines_know_the_students(folder):
    code = f"""import limbeck; from transformers import pipeline
print(len(pipeline("text-classification", {str(folder)!r})(["a film"])))"""
    assert run(code).strip() == "1"


def test_importing_limbeck_is_light():
    code = """import sys, limbeck, limbeck.models
heavy = [name for name in ("torch", "transformers", "pydantic", "numpy", "onnxruntime") if name in sys.modules]
print(heavy, limbeck.models.kinds(), limbeck.models.kinds("tagging"), limbeck.__version__ != "")"""
    assert (
        run(code).strip()
        == "[] ['bilstm', 'siamese', 'static', 'transformer', 'forest'] ['bilstm', 'transformer'] True"
    )


def test_the_finder_leaves_other_modules_and_their_loaders_alone():
    code = """import limbeck, sys, inspect
import transformers.models.auto.configuration_auto as auto
assert inspect.getsource(auto)
assert sum(type(f).__name__ == "_AfterImport" for f in sys.meta_path) == 1
import importlib; importlib.reload(limbeck)
assert sum(type(f).__name__ == "_AfterImport" for f in sys.meta_path) == 1
"""
    run(code)


def test_public_names_are_imported_when_first_used():
    code = """import sys, limbeck
assert "limbeck.serve.bundle" not in sys.modules
assert {"Bundle", "LimbeckError", "__version__"} <= set(dir(limbeck))
from limbeck import Bundle
assert Bundle is limbeck.Bundle
try:
    limbeck.Bundel
except AttributeError as error:
    print(error)"""
    assert run(code).strip() == "module 'limbeck' has no attribute 'Bundel'"
