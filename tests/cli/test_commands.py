"""The command as a person runs it: a whole run, each step alone, and what is said when something is wrong."""

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from limbeck.core import progress


class Done(NamedTuple):
    """What a command left on its two streams."""

    stdout: str
    stderr: str


Limbeck = Callable[..., Done]


@pytest.fixture
def limbeck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Limbeck:
    """Runs the command in a folder of its own, in this process: importing PyTorch anew each time takes seconds."""
    from limbeck.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(progress, "_reporter", progress.Reporter())

    def run(*arguments: str | Path, status: int = 0, typed: str = "") -> Done:
        capfd.readouterr()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
        ended = main([str(argument) for argument in arguments])
        done = Done(*capfd.readouterr())
        assert ended == status, f"status {ended}\n{done.stdout}\n{done.stderr}"
        return done

    return run


def sentence(done: Done) -> str:
    """The one sentence of a refusal: the last line, no traceback before it."""
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def limbeck_process(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    words = [sys.executable, "-m", "limbeck", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, **options)


def test_help_answers_at_once_and_loads_no_torch() -> None:
    limbeck_process("--help")
    start = time.perf_counter()
    assert "distill" in limbeck_process("--help").stdout
    taken = time.perf_counter() - start
    check = "import sys, limbeck.cli.app; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
    assert taken < 2  # half a second where nothing else runs; this machine may be busy


def test_the_process_ends_with_status_2_and_one_sentence(tmp_path: Path) -> None:
    done = limbeck_process("plan", tmp_path / "none.yaml")
    assert done.returncode == 2
    assert (
        done.stderr
        == f"limbeck: {tmp_path / 'none.yaml'}: no such recipe. 'limbeck init' writes one to start from.\n"
    )


@pytest.mark.recipe
def test_a_whole_run_and_the_same_again(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = recipe_file()
    planned = limbeck("plan", recipe)
    assert "nothing was written" in planned.stdout
    assert not (tmp_path / "runs").exists()

    first = limbeck("--log", "json", "distill", recipe)
    assert "logit_regression" in first.stdout
    assert "report:" in first.stdout
    events = [json.loads(line) for line in first.stderr.splitlines()]
    assert {"info"} <= {event["kind"] for event in events}
    folder = tmp_path / "runs" / "tiny"
    for name in ("recipe.yaml", "versions.json", "report.html", "report.md", "evaluation/evaluation.json"):
        assert (folder / name).is_file(), name
    for name in ("model.onnx", "model.int8.onnx", "tokenizer.json", "bundle.json", "README.md"):
        assert (folder / "bundle" / name).is_file(), name

    planned = limbeck("plan", recipe).stdout.splitlines()
    steps = [
        row
        for row in planned
        if row.startswith("| ") and row.split()[1] in ("prepare", "teach", "ask", "train")
    ]
    assert len(steps) == 5
    assert all(
        "| done |" in row
        for row in [*steps, *(row for row in planned if "| export" in row or "| evaluate" in row)]
    )

    again = limbeck("distill", recipe)
    assert again.stderr.count("done before, skipped") >= 7
    assert "  teach" not in again.stderr.replace("teach     ", "")
    assert first.stdout == again.stdout

    told = limbeck("predict", folder / "bundle", "a lovely bright film", "dull and cold")
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert [line["text"] for line in lines] == ["a lovely bright film", "dull and cold"]
    assert all(abs(sum(line["scores"].values()) - 1) < 1e-3 for line in lines)
    table = limbeck("predict", folder / "bundle", "--format", "csv", typed="a tender end\n")
    assert table.stdout.splitlines()[0] == "text,label,score,bad,good"
    assert len(table.stdout.splitlines()) == 2

    assert "logits" in limbeck("store", "list", tmp_path / "runs" / "store").stdout
    assert "whole" in limbeck("store", "verify", tmp_path / "runs" / "store").stdout


@pytest.mark.recipe
def test_the_steps_one_by_one_make_the_same_run(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = recipe_file(
        seeds=1, rewrite=["ngrams"], method=["soft_labels", {"name": "hard_labels", "label": "hard"}]
    )
    folder = tmp_path / "runs" / "tiny"
    for step, left in (
        ("prepare", "prepared"),
        ("rewrite", "rewritten"),
        ("teach", "teacher"),
        ("ask", "../store"),
        ("train", "students/hard/seed-1"),
        ("export", "bundle"),
        ("evaluate", "evaluation"),
    ):
        assert not (folder / left).exists()
        limbeck(step, recipe)
        assert (folder / left).is_dir(), step
    limbeck("report", folder)
    assert "hard" in (folder / "report.md").read_text()


@pytest.mark.recipe
def test_a_step_out_of_turn_names_the_one_before(limbeck: Limbeck, recipe_file: Callable[..., Path]) -> None:
    recipe = recipe_file()
    assert "Run 'limbeck prepare' first" in sentence(limbeck("ask", recipe, status=2))
    limbeck("prepare", recipe)
    assert "Run 'limbeck teach' first" in sentence(limbeck("ask", recipe, status=2))
    limbeck("teach", recipe)
    assert "Run 'limbeck train' first" in sentence(limbeck("export", recipe, status=2))


@pytest.mark.recipe
def test_a_step_after_a_change_names_the_one_to_run_again(
    limbeck: Limbeck, recipe_file: Callable[..., Path]
) -> None:
    recipe = recipe_file()
    limbeck("prepare", recipe)
    told = sentence(limbeck("teach", recipe, "data.test=50", status=2))
    assert (
        "prepared: made from other data or settings than the recipe now has. Run 'limbeck prepare' first"
        in told
    )
    limbeck("teach", recipe)
    told = sentence(limbeck("ask", recipe, "teacher.fine_tune.epochs=1", status=2))
    assert "teacher: made from other data" in told


@pytest.mark.recipe
def test_answers_of_somebody_elses_model_teach_too(
    limbeck: Limbeck, recipe_file: Callable[..., Path], reviews: Path, tmp_path: Path
) -> None:
    lines = [line.rpartition(",") for line in reviews.read_text().splitlines()[1:]]
    answers = tmp_path / "answers.jsonl"
    answers.write_text(
        "".join(
            json.dumps(
                {
                    "text": text,
                    "probabilities": {"bad": 0.9, "good": 0.1}
                    if label == "bad"
                    else {"bad": 0.2, "good": 0.8},
                }
            )
            + "\n"
            for text, _, label in lines
        )
    )
    recipe = recipe_file(
        teacher={"answers": str(answers)},
        student={"kind": "static", "tokeniser": "words", "embeddings": "random", "dimension": 8},
    )
    limbeck("distill", recipe, "seeds=1")
    found = json.loads((tmp_path / "runs/tiny/evaluation/evaluation.json").read_text())
    (teacher,) = [row for row in found["summary"] if row["role"] == "teacher"]
    assert teacher["mean"]["accuracy"] == 1.0

    answers.write_text("\n".join(answers.read_text().splitlines()[:50]) + "\n")
    assert "answer" in sentence(limbeck("distill", recipe, "name=other", status=2))


def test_jobs_train_the_same_students(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = recipe_file(control=False)
    for step in ("prepare", "teach", "ask"):
        limbeck(step, recipe)
    weights = [
        tmp_path / f"runs/tiny/students/logit_regression/seed-{seed}/model.safetensors" for seed in (1, 2)
    ]
    limbeck("train", recipe, "jobs=2")
    side_by_side = [path.read_bytes() for path in weights]
    for path in weights:
        (path.parent / "done.json").unlink()
    limbeck("train", recipe)
    assert [path.read_bytes() for path in weights] == side_by_side


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["train.epohs=3"], "unknown key 'train.epohs'. Did you mean 'epochs'?"),
        (["method=logit_regresion"], "no method 'logit_regresion'. Did you mean 'logit_regression'?"),
        (
            ["method={name: soft_labels, temprature: 3}"],
            "unknown key 'method.temprature'. Did you mean 'temperature'?",
        ),
        (["student.kind=bilstms"], "bilstm"),
        (["student={kind: bilstm, hiden: 3}"], "unknown key 'student.hiden'. Did you mean 'hidden'?"),
        (["rewrite=ngram"], "no rewriter 'ngram'. Did you mean 'ngrams'?"),
        (["data.train.label=stars"], "there is no column 'stars'"),
        (["data.train=missing.csv"], "missing.csv"),
        (["data.test=1000"], "test"),
        (["method=[gold, gold]"], "the recipe lists 'gold' twice"),
        (["checksums={reviews.csv: ab00}"], "SHA-256"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused_before_any_work(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path, changes: list[str], words: str
) -> None:
    recipe = recipe_file(data={"train": {"path": str(tmp_path / "reviews.csv")}, "dev": 40, "test": 60})
    told = sentence(limbeck("distill", recipe, *changes, status=2))
    assert words in told
    assert not (tmp_path / "runs" / "tiny" / "teacher").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"text,label\n", "no rows"),
        (b"text,label\nfine,good\nbad \xff,bad\n", "not UTF-8"),
        (b"text,label\n" + b"".join(b"text %d,same\n" % n for n in range(50)), "label"),
        (b"text,label\na,b,c,d\n", "bad.csv:2"),
    ],
)
def test_a_file_that_cannot_be_learnt_from(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    recipe = recipe_file(data={"train": str(tmp_path / "bad.csv")})
    told = sentence(limbeck("prepare", recipe, status=2))
    assert words in told
    assert "bad.csv" in told
    assert not (tmp_path / "runs" / "tiny" / "prepared").exists()


def test_a_label_that_only_the_test_set_has(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "test.csv").write_text("text,label\nwhat a film,splendid\n")
    recipe = recipe_file(data={"train": str(tmp_path / "reviews.csv"), "test": str(tmp_path / "test.csv")})
    told = sentence(limbeck("prepare", recipe, status=2))
    assert "splendid" in told and "test.csv:2" in told


@pytest.mark.recipe
def test_a_teacher_with_other_labels(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    limbeck("prepare", recipe_file())
    limbeck("teach", recipe_file())
    teacher = {"model": str(tmp_path / "runs/tiny/teacher")}
    (tmp_path / "reviews.csv").write_text((tmp_path / "reviews.csv").read_text().replace(",good", ",great"))
    told = sentence(limbeck("distill", recipe_file(teacher=teacher, name="other"), status=2))
    assert "great" in told and "good" in told


def test_init_writes_a_recipe_that_reads_back(limbeck: Limbeck, tmp_path: Path) -> None:
    from limbeck.core import recipe

    (tmp_path / "my tweets.csv").write_text(
        'id;"a tweet";mood\n' + "".join(f"{n};some words here {n};{'ab'[n % 2]}\n" for n in range(40))
    )
    assert "text from 'a tweet', labels from 'mood'" in limbeck("init", "my tweets.csv").stdout
    loaded = recipe.load(tmp_path / "recipe.yaml")
    assert (loaded.name, loaded.data.train[0].text, loaded.data.train[0].label) == (
        "my-tweets",
        "a tweet",
        "mood",
    )
    assert "there is such a file already" in sentence(limbeck("init", "my tweets.csv", status=2))


@pytest.mark.parametrize(
    ("file", "content", "options", "read"),
    [
        ("2024.csv", "text,label\n" + "one text,a\nother text,b\n" * 9, [], ("2024", "text", "label")),
        ("yes.csv", "text,label\n" + "one text,no\nother text,yes\n" * 9, [], ("yes", "text", "label")),
        ("bare.tsv", "a\tthe first of all texts\n" + "b\tother\na\ttext\n" * 9, [], ("bare", 1, 0)),
        (
            "nested.jsonl",
            "".join(f'{{"data": {{"text": "some {n}"}}, "mark": {{"label": {n % 2}}}}}\n' for n in range(9)),
            [],
            ("nested", "data.text", "mark.label"),
        ),
        (
            "old.csv",
            "text,label\n" + "un café,a\nun thé,b\n" * 9,
            ["--encoding", "cp1252"],
            ("old", "text", "label"),
        ),
    ],
)
def test_init_on_other_peoples_files(
    limbeck: Limbeck,
    tmp_path: Path,
    file: str,
    content: str,
    options: list[str],
    read: tuple[str, str | int, str | int],
) -> None:
    from limbeck.core import recipe
    from limbeck.text import readers

    (tmp_path / file).write_text(content, encoding="cp1252" if options else "utf-8")
    limbeck("init", file, *options)
    loaded = recipe.load(tmp_path / "recipe.yaml")
    source = loaded.data.train[0]
    assert (loaded.name, source.text, source.label) == read
    examples = readers.read(source)
    assert len(examples) in (9, 18, 19)
    assert len({example.gold for example in examples}) == 2


def test_methods_are_told(limbeck: Limbeck, tmp_path: Path) -> None:
    assert "soft_labels" in limbeck("methods").stdout
    assert "Hinton" in limbeck("methods", "soft_labels").stdout
    limbeck("methods", "--pages", tmp_path / "pages")
    assert "temperature" in (tmp_path / "pages" / "soft_labels.md").read_text()
    assert "Did you mean" in sentence(limbeck("methods", "soft_lables", status=2))


def test_pages_of_methods_and_recipes_are_those_in_the_repository(limbeck: Limbeck, tmp_path: Path) -> None:
    limbeck("methods", "--pages", tmp_path / "docs" / "methods")
    kept = Path(__file__).parents[2] / "docs"
    pages = [*(tmp_path / "docs").rglob("*.md")]
    assert len(pages) > 5
    for page in pages:
        same = kept / page.relative_to(tmp_path / "docs")
        assert page.read_text() == same.read_text(), "stale: run 'limbeck methods --pages docs/methods'"


def test_every_key_of_a_recipe_is_explained() -> None:
    from limbeck.cli.cards import recipe_page

    for row in recipe_page().splitlines():
        assert not row.endswith("|  |"), row
