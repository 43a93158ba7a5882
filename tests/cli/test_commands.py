"""The command as a person runs it: a whole run, each step alone, and what is said when something is wrong."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Limbeck = Callable[..., Any]


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


@pytest.mark.parametrize(
    "command", ["plan", "distill", "train", "ask", "study modes", "ablate --over mappings"]
)
def test_what_is_wrong_with_a_recipe_is_told_at_once(command: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: x\nstudnt: {}\n")
    code = "import sys; from limbeck.cli import main; assert main(sys.argv[1:]) == 2; sys.exit('torch' in sys.modules)"
    words = [sys.executable, "-c", code, *command.split(), str(recipe)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stderr == f"limbeck: {recipe}:2: unknown key 'studnt'. Did you mean 'student'?\n"
    assert done.returncode == 0, "it waited for torch"


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

    *_, left, seconds, more, _ = planned[-1].split("|")
    assert (left.strip(), seconds.strip(), more.strip()) == (
        "left to do, on this machine",
        "3 s",
        "",
    )  # the report

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
    limbeck("compare", recipe)  # a recipe stands for its run

    limbeck("train", recipe, "train.epochs=1")
    for command in ("report", "compare", "analyse"):
        told = limbeck(command, folder, status=2).sentence
        what = "'students/gold/seed-1' was made after this run was evaluated, or from another recipe"
        assert told == f"limbeck: {folder}: {what}. Run 'limbeck distill {folder}' to bring it up to date."
    limbeck("distill", folder)
    limbeck("report", recipe)


def test_who_stops_it_is_told_what_is_kept(limbeck: Limbeck, monkeypatch: pytest.MonkeyPatch) -> None:
    from limbeck.cli import init

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(init, "write_recipe", interrupt)
    told = limbeck("init", "reviews.csv", status=130).sentence
    assert told == "limbeck: stopped; finished work is kept, and the same command goes on from there"


@pytest.mark.recipe
def test_a_step_out_of_turn_names_the_one_before(limbeck: Limbeck, recipe_file: Callable[..., Path]) -> None:
    recipe = recipe_file()
    assert "Run 'limbeck prepare' first" in limbeck("ask", recipe, status=2).sentence
    limbeck("prepare", recipe)
    assert "Run 'limbeck teach' first" in limbeck("ask", recipe, status=2).sentence
    limbeck("teach", recipe)
    assert "Run 'limbeck train' first" in limbeck("export", recipe, status=2).sentence


@pytest.mark.recipe
def test_a_step_after_a_change_names_the_one_to_run_again(
    limbeck: Limbeck, recipe_file: Callable[..., Path]
) -> None:
    recipe = recipe_file()
    limbeck("prepare", recipe)
    told = limbeck("teach", recipe, "data.test=50", status=2).sentence
    assert (
        "prepared: made from other data or settings than the recipe now has. Run 'limbeck prepare' first"
        in told
    )
    limbeck("teach", recipe)
    told = limbeck("ask", recipe, "teacher.fine_tune.epochs=1", status=2).sentence
    assert "teacher: made from other data" in told


@pytest.mark.recipe
def test_a_runs_recipe_is_the_one_that_its_work_was_done_by(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    from limbeck.core import recipe as recipes

    recipe, noted = recipe_file(seeds=1), tmp_path / "runs/tiny/recipe.yaml"
    for step in ("prepare", "teach", "train"):
        limbeck(step, recipe)
    limbeck("distill", recipe, "data.train=missing.csv", status=2)
    limbeck("distill", recipe, "student.embeddings=missing.txt", status=2)
    assert recipes.load(noted).data.train[0].path == str(tmp_path / "reviews.csv")
    assert recipes.load(noted).student.settings["embeddings"] == "random"
    limbeck("train", recipe, "train.epochs=3")
    assert recipes.load(noted).train.epochs == 3


@pytest.mark.recipe
def test_students_of_an_earlier_recipe_vouch_for_no_other(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = recipe_file(seeds=1, control=False)
    for step in ("prepare", "teach", "train"):
        limbeck(step, recipe)
    changes = ("student.embeddings=missing.txt", "teacher.fine_tune.epochs=1")
    done = limbeck("distill", recipe, *changes, status=2)
    assert "missing.txt" in done.sentence and "teach " not in done.stderr  # before the teacher works


def test_no_teacher_is_praised_before_it_is_looked_at(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "answers.csv").write_text("text,awful,great\nwhat a film,0.1,0.9\n")
    recipe = recipe_file(teacher={"answers": str(tmp_path / "answers.csv")})
    limbeck("prepare", recipe)
    told = limbeck("teach", recipe, status=2)
    assert "its labels are ours" not in told.stderr


@pytest.mark.recipe
def test_a_tokeniser_truncates_where_the_student_was_taught_to(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    recipe = recipe_file(seeds=1, student={"kind": "static", "dimension": 8, "max_length": 16})
    for step in ("prepare", "teach", "train"):
        limbeck(step, recipe)
    student = AutoTokenizer.from_pretrained(tmp_path / "runs/tiny/students/logit_regression/seed-1")
    assert len(student("film " * 50, truncation=True).input_ids) == 16
    teacher = AutoTokenizer.from_pretrained(tmp_path / "runs/tiny/teacher")
    assert teacher.model_max_length == 64


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
    assert "answer" in limbeck("distill", recipe, "name=other", status=2).sentence


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


def test_a_job_that_dies_is_told_in_one_sentence(
    limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = recipe_file(control=False)
    for step in ("prepare", "teach", "ask"):
        limbeck(step, recipe)
    # A script without the guard of multiprocessing starts itself again in every process.
    script = tmp_path / "script.py"
    script.write_text(f"import limbeck\nlimbeck.distill({str(recipe)!r}, 'jobs=2')\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert "LimbeckError: jobs: a process that trained a student ended before its time" in done.stderr


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
    assert "there is such a file already" in limbeck("init", "my tweets.csv", status=2).sentence


@pytest.mark.parametrize(
    ("file", "content", "pair"),
    [
        (
            "rte.tsv",
            "index\tsentence1\tsentence2\tlabel\n"
            + "".join(f"{n}\tA dog barks {n}.\tIt barks.\t{n % 2}\n" for n in range(20)),
            ("sentence1", "sentence2", "label"),
        ),
        (
            "questions.tsv",
            "".join(f"{n}\tHow do I {n} ?\tWhat is {n} of it ?\t{'ab'[n % 2]}\n" for n in range(20)),
            (1, 2, 3),
        ),
    ],
)
def test_init_on_pairs_of_texts(
    limbeck: Limbeck, tmp_path: Path, file: str, content: str, pair: tuple[str | int, ...]
) -> None:
    from limbeck.core import recipe
    from limbeck.text import readers

    (tmp_path / file).write_text(content)
    assert f"pairs of texts from '{pair[0]}' and '{pair[1]}'" in limbeck("init", file).stdout
    loaded = recipe.load(tmp_path / "recipe.yaml")
    source = loaded.data.train[0]
    assert source.format == "glue" or (source.text, source.second, source.label) == pair
    assert loaded.student.kind == "siamese"
    assert all(example.second for example in readers.read(source))


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


TWEETS = "New B-LOC\nYork I-LOC\nis O\nbig O\n\nBonn B-LOC\nis O\nsmall O\n\n" * 4
SPANS = '{"text": "Bonn is small", "label": [[0, 4, "LOC"]]}\n' * 4
LISTS = '{"tokens": ["Bonn", "is", "small"], "ner_tags": ["B-LOC", "O", "O"]}\n' * 4


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("ner.conll", TWEETS, "8 sentences of words tagged LOC"),
        ("ner.txt", TWEETS, "8 sentences of words tagged LOC"),
        ("ner.tsv", TWEETS.replace(" ", "\t"), "8 sentences of words tagged LOC"),
        ("pos.txt", "this D\nis V\na D\nword N\n\n" * 4, "4 sentences of words tagged D, N, V"),
        ("pairs.txt", "Bonn:B-LOC is:O small:O <=> tell\n" * 4, "4 sentences of words tagged LOC"),
        ("spans.jsonl", SPANS, "4 sentences of words tagged LOC"),
        ("lists.jsonl", LISTS, "4 sentences of words tagged LOC"),
        ("seq.in", "Bonn is small\n" * 4, "4 sentences of words tagged LOC"),
    ],
)
def test_init_on_tagged_words(limbeck: Limbeck, tmp_path: Path, file: str, content: str, told: str) -> None:
    from limbeck.core import recipe
    from limbeck.text import readers

    (tmp_path / file).write_text(content)
    (tmp_path / "seq.out").write_text("B-LOC O O\n" * 4)
    assert told in limbeck("init", file).stdout
    loaded = recipe.load(tmp_path / "recipe.yaml")
    assert loaded.task == "tagging"
    assert all(example.tags for example in readers.read(loaded.data.train[0], task="tagging"))


def test_methods_are_told(limbeck: Limbeck, tmp_path: Path) -> None:
    assert "soft_labels" in limbeck("methods").stdout
    assert "Hinton" in limbeck("methods", "soft_labels").stdout
    limbeck("methods", "--pages", tmp_path / "pages")
    assert "temperature" in (tmp_path / "pages" / "soft_labels.md").read_text()
    assert "Did you mean" in limbeck("methods", "soft_lables", status=2).sentence


def test_pages_of_methods_and_recipes_are_those_in_the_repository(limbeck: Limbeck, tmp_path: Path) -> None:
    limbeck("methods", "--pages", tmp_path / "docs" / "methods")
    kept = Path(__file__).parents[2] / "docs"
    pages = [*(tmp_path / "docs").rglob("*.md")]
    assert len(pages) > 5
    for page in pages:
        same = kept / page.relative_to(tmp_path / "docs")
        assert page.read_text() == same.read_text(), "stale: run 'limbeck methods --pages docs/methods'"


def test_the_recipe_on_a_methods_page_is_one_and_changes_no_default() -> None:
    from limbeck import methods
    from limbeck.cli.cards import page

    for name in methods.names():
        _, block = page(name).split("```yaml\n")
        told = yaml.safe_load(block.partition("```")[0])["method"]
        method = methods.get(told.pop("name"))
        needed = {key for key, field in method.settings_class.model_fields.items() if field.is_required()}
        given = method.settings(told).model_dump(exclude_defaults=True)
        assert given.keys() == needed, name


def test_every_key_of_a_recipe_is_explained() -> None:
    from limbeck.cli.cards import recipe_page

    for row in recipe_page().splitlines():
        assert not row.endswith("|  |"), row


def test_adapt_reads_files_and_folders(
    limbeck: Limbeck, encoder: Path, reviews: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForMaskedLM

    (tmp_path / "more" / "deep").mkdir(parents=True)
    (tmp_path / "more" / "deep" / "a.txt").write_text("a lovely film\n\na dull plot\n")
    (tmp_path / "more" / "notes.md").write_text("not read")
    told = limbeck("adapt", encoder, reviews, tmp_path / "more", "--out", "adapted", "--epochs", "1").stdout
    assert re.search(
        r"adapted: loss of a masked token \d\.\d+ before, \d\.\d+ after \d+ steps on 218 sentences", told
    )
    assert "(24 others held out" in told
    _, loading = AutoModelForMaskedLM.from_pretrained("adapted", output_loading_info=True)
    assert not loading["missing_keys"]
    again = limbeck("adapt", encoder, reviews, tmp_path / "more", "--out", "adapted", "--epochs", "1").stdout
    assert again == told
    assert "masked-LM head" in limbeck("adapt", "--help").stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere.txt", "--out", "o"], "nowhere.txt: no such file or folder."),
        (["empty", "--out", "o"], "empty: no text files (*.txt) in this folder."),
        (["reviews.csv", "--column", "review", "--out", "o"], "there is no column 'review'"),
        (
            ["reviews.csv", "--out", "reviews.csv"],
            "reviews.csv: this is there already, and holds something else.",
        ),
        (["reviews.csv", "--out", "o", "--epochs", "0"], "'epochs': input should be greater than 0"),
    ],
)
def test_adapt_refuses(
    limbeck: Limbeck, encoder: Path, reviews: Path, tmp_path: Path, words: list[str], sentence: str
) -> None:
    (tmp_path / "empty").mkdir()
    assert sentence in limbeck("adapt", encoder, *words, status=2).sentence
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("similarity", "Most sentences. [default: 1000]"),
        ("probe", "logistic or perceptron. [default: logistic]"),
        ("compare", "[default: the first run's first student]"),
        ("analyse", "[default: each run's first]"),
        ("init", "[default: distilbert-base-uncased;"),
        ("adapt", "[default: 3e-4;"),
    ],
)
def test_help_tells_what_happens_without_an_option(limbeck: Limbeck, command: str, told: str) -> None:
    """In the terminal's markup a bracket is a tag, and a default in one was not shown."""
    assert told in " ".join(limbeck(command, "--help").stdout.replace("│", " ").split())


def test_an_example_in_a_help_text_is_taken(limbeck: Limbeck) -> None:
    from limbeck.cli.probe import asked
    from limbeck.pipeline.probing import ProbeSettings
    from limbeck.pipeline.similarity import SimilaritySettings

    for command, schema in (("probe", ProbeSettings), ("similarity", SimilaritySettings)):
        shown = " ".join(limbeck(command, "--help").stdout.replace("│", " ").split())
        (example,) = re.findall(r"Another setting, e\.g\. (\S+=\d+)\.", shown)
        assert asked(schema, None, ["a", "b"], [example], {})


def test_a_plan_fits_a_terminal(limbeck: Limbeck, recipe_file: Callable[..., Path], monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", limbeck("plan", recipe_file()).stdout)
    assert "nothing was written" in shown and "prepare" in shown
    assert max(map(len, shown.splitlines())) <= 80
