"""Probing: models, tasks and baselines that a person names, to what every layer of every model tells of language."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from limbeck.analyse.probes import builder, edges, senteval
from limbeck.analyse.probes.classifier import Kind
from limbeck.analyse.probes.corpus import Corpus, Parsed, from_tagged, from_treebank
from limbeck.analyse.probes.scoring import Row, Scoring, probes_of, rows_of_task
from limbeck.analyse.probes.task import EdgeTask, SentenceTask, Sizes, Task, majority, rows_of
from limbeck.analyse.representations import Representations
from limbeck.analyse.states import Pooling
from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.files import write_json
from limbeck.core.schema import Settings
from limbeck.core.sources import Sources, one_or_many
from limbeck.pipeline.probed_models import Probed, fresh, is_run, probed_models, word_vectors
from limbeck.report import probed
from limbeck.report.page import renew
from limbeck.text.resources import resolve
from limbeck.transfer.store import AnswerStore

RESULTS = "probes.json"
NAMES = (*builder.RULES, *edges.RULES)
"""Every task: of sentences, then of spans."""


class ProbeSettings(Settings):
    """What ``limbeck probe`` is asked."""

    models: Annotated[list[str], BeforeValidator(one_or_many)] = Field(min_length=1)
    """Run folders (teacher, students, control), model folders, ``package:NAME/FOLDER``, names on the hub;
    ``NAME=FOLDER`` says what pages call it."""
    senteval: str | None = None
    """Folder of SentEval's published files; tasks that are not there are built, where there is text for it."""
    treebank: Annotated[list[str], BeforeValidator(one_or_many)] = []
    """Files or folders of trees in Penn's brackets (.mrg), out of which tasks are built."""
    tagged: Sources = []
    """Tagged text: files or folders of ``word/TAG`` lines, or sources as in a recipe for a tagger; parts of speech are
    told from entities and chunks by their tags."""
    tasks: list[str] | None = None
    """Which tasks; null for all that the text can give."""
    sizes: Sizes = Sizes()
    """Most examples of a task."""
    poolings: Annotated[list[Pooling], BeforeValidator(one_or_many)] = Field(["mean"], min_length=1)
    """How a layer's states become one of a sentence: ``mean``, ``max``, ``first`` or ``last`` token; a model is asked
    for those that mean something for it."""
    classifiers: Annotated[list[Kind], BeforeValidator(one_or_many)] = Field(["logistic"], min_length=1)
    """``logistic`` regression, or a ``perceptron`` with one hidden layer."""
    penalties: list[Annotated[float, Field(gt=0)]] = Field([0.1, 1.0, 10.0], min_length=1)
    """Strengths of the classifiers' L2 penalty that dev chooses from."""
    seeds: int = Field(3, gt=0)
    """Probes of a kind; each learns from its own draw of train, and from the student of its own seed."""
    drawn: float = Field(0.8, gt=0, le=1)
    """Share of train in a draw."""
    controls: bool = True
    """Whether spans are told from random labels, too (Hewitt and Liang), for selectivity."""
    vectors: str | None = None
    """A word-vector file, for a baseline without a model."""
    vector_words: str | None = None
    """The word list of an npy file of vectors; null looks beside it."""
    random: bool = True
    """Whether a twin of the first model with random weights is probed, too."""
    max_length: int = Field(128, gt=2)
    """Tokens kept of a sentence by models of no run."""
    resamples: int = Field(1000, gt=0)
    """Of the bootstrap over test examples."""
    interval: float = Field(0.95, gt=0, lt=1)
    """How much of it an interval holds."""
    seed: int = Field(1, ge=0)
    """Says which examples tasks are made of."""
    store: str = "runs/store"
    """The answer store, where states are kept."""
    out: str | None = None
    """Folder of the results; null is ``probes`` in the run's folder, where one run is named, else ``probes`` here."""

    @field_validator("tasks")
    @classmethod
    def _known(cls, names: list[str] | None) -> list[str] | None:
        unknown = next((name for name in names or () if name not in NAMES), None)
        if unknown is not None:
            raise ValueError(f"there is no task '{unknown}'; there are {', '.join(NAMES)}")
        return names

    @property
    def scoring(self) -> Scoring:
        """How probes are trained and scored."""
        return Scoring(
            tuple(self.classifiers),
            tuple(self.penalties),
            self.seeds,
            self.drawn,
            self.controls,
            self.resamples,
            self.interval,
        )

    @property
    def folder(self) -> Path:
        """Where results go."""
        if self.out is not None:
            return Path(self.out).expanduser()
        run = self.run
        return Path("probes") if run is None else run / "probes"

    @property
    def run(self) -> Path | None:
        """The one run that is probed; None where there are several, or none."""
        runs = [place for place in (name.rpartition("=")[2] for name in self.models) if is_run(place)]
        return Path(runs[0]).expanduser() if len(runs) == 1 else None


@dataclass(frozen=True, slots=True, eq=False)
class Tasks:
    """What models are asked.

    Attributes:
        tasks: Of sentences, then of spans.
        published: Names of those that were read as they were published.
        lacking: Why others are not there, by name.
    """

    tasks: Sequence[Task]
    published: frozenset[str]
    lacking: dict[str, str]


def run_probes(settings: ProbeSettings) -> Path:
    """Probe models, and write ``probes.json``, ``probes.md`` and ``probes.html``.

    Args:
        settings: What is asked.

    Returns:
        The page.

    Raises:
        LimbeckError: A model, file or folder is missing or damaged, or there is no task.
    """
    asked = make_tasks(settings)
    models = _with_baselines(settings)
    store = AnswerStore(Path(settings.store).expanduser())
    rows: list[Row] = []
    for number, model in enumerate(models, 1):
        progress.say(f"probe     {model.name} ({number} of {len(models)})")
        rows += [{"model": model.name, **row} for row in probe_model(model, asked.tasks, settings, store)]
    content = {
        "models": [_told_of(model) for model in models],
        "tasks": [told_of_task(task, asked.published) for task in asked.tasks],
        "lacking": asked.lacking,
        "rows": rows,
        "settings": settings.model_dump(mode="json"),
    }
    write_json(settings.folder / RESULTS, content)
    page = probed.write(settings.folder)
    if settings.run is not None:
        renew(settings.run)
    return page


def make_tasks(settings: ProbeSettings) -> Tasks:
    """Read or build the tasks.

    Raises:
        LimbeckError: A file is missing or malformed, or nothing can be asked.
    """
    sentence_names = (
        None if settings.tasks is None else [name for name in settings.tasks if name in builder.RULES]
    )
    found = {} if settings.senteval is None else _published(settings, settings.senteval, sentence_names)
    made, spans = dict(found), list[EdgeTask]()
    lacking: dict[str, str] = {}
    corpus = Corpus.of(_sentences(settings))
    if corpus.sentences or settings.tasks is not None:  # else nobody misses what is not built
        names = builder.RULES if sentence_names is None else sentence_names
        missing = [name for name in names if name not in found]
        built = builder.build(corpus, missing, settings.sizes, settings.seed)
        made |= {task.name: task for task in built.tasks}
        spans, without = edges.build(corpus, settings.tasks, settings.sizes, settings.seed)
        lacking = {**built.lacking, **without}
    tasks: list[Task] = [*(made[name] for name in builder.RULES if name in made), *spans]
    if not tasks:
        reason = next(iter(lacking.values()), "no text is named")
        fix = "Name SentEval's files (--senteval), trees (--treebank) or tagged text (--tagged)"
        raise LimbeckError(f"there is nothing to probe for ({reason})", fix=fix)
    for why in lacking.values() if settings.tasks is not None else ():
        progress.warn(f"left out: {why}")
    return Tasks(tasks, frozenset(found), lacking)


def _published(settings: ProbeSettings, place: str, names: Sequence[str] | None) -> dict[str, SentenceTask]:
    """SentEval's tasks as published; where there is text to build of, those whose files are there."""
    folder = Path(resolve(place))
    if settings.treebank or settings.tagged:
        asked = list(senteval.FILES) if names is None else names
        names = [name for name in asked if (folder / senteval.FILES[name]).is_file()]
        if asked and not names and folder.is_dir():
            progress.warn(
                f"{folder} holds none of SentEval's files asked for, such as {senteval.FILES[asked[0]]}"
            )
    return {task.name: task for task in senteval.read(folder, names, settings.sizes, settings.seed)}


def _sentences(settings: ProbeSettings) -> Iterable[Parsed]:
    for path in settings.treebank:
        yield from from_treebank(Path(resolve(path)))
    for source in settings.tagged:
        yield from from_tagged(source)


def _with_baselines(settings: ProbeSettings) -> list[Probed]:
    """What is probed, and what it is held against."""
    models = probed_models(settings.models, settings.max_length, settings.seeds)
    if settings.random:
        models.append(fresh(models[0], settings.seeds))
    if settings.vectors is not None:
        models.append(word_vectors(settings.vectors, settings.vector_words))
    return models


def probe_model(
    model: Probed, tasks: Sequence[Task], settings: ProbeSettings, store: AnswerStore
) -> list[Row]:
    """All rows of a model: its states are read once, then every probe is trained on them."""
    members = filled(model, tasks, settings.poolings, store)
    how = settings.scoring
    rows: list[Row] = []
    with progress.task(
        f"probes of {model.name}", sum(probes_of(task, members, how) for task in tasks)
    ) as task:
        for one in tasks:
            task.note(one.name)
            rows += rows_of_task(one, members, how, task.advance)
    return rows


def filled(
    model: Probed, tasks: Sequence[Task], poolings: Sequence[Pooling], store: AnswerStore
) -> list[Representations]:
    """The states of a model's members for all tasks, read in one pass each."""
    found = []
    for member in model.members:
        states = Representations(member, store, poolings)
        of_sentences = (words for task in tasks if isinstance(task, SentenceTask) for words in task.sentences)
        of_spans = (words for task in tasks if isinstance(task, EdgeTask) for words in task.sentences)
        states.fill(of_sentences, of_spans)
        found.append(states)
    return found


def _told_of(model: Probed) -> dict[str, Any]:
    pattern = model.members[0]
    return {
        "name": model.name,
        "role": model.role,
        "seeds": len(model.members),
        "widths": list(pattern.widths),
        "folder": model.folder,
    }


def told_of_task(task: Task, published: frozenset[str]) -> dict[str, Any]:
    """What a page says of a task."""
    return {
        "name": task.name,
        "of": "spans" if isinstance(task, EdgeTask) else "sentences",
        "from": "published" if task.name in published else "built",
        "classes": len(set(task.labels)),
        **{part: len(rows) for part, rows in rows_of(task).items()},
        "majority": majority(task),
    }
