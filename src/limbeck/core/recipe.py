"""Recipe: the typed schema of a run. Every default is visible here, and in the resolved recipe of a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from limbeck.core import tasks
from limbeck.core.decoding import Decoding
from limbeck.core.files import atomic_write
from limbeck.core.schema import Settings, load_as
from limbeck.core.sources import Data, TeacherLabels, named


def _counted(value: Any) -> Any:
    if not isinstance(value, int | Sequence) or isinstance(value, str):
        raise ValueError("a list of whole numbers, or how many there shall be")
    return list(range(1, value + 1)) if isinstance(value, int) else value


def _number_as_name(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _once_each(seeds: list[int]) -> list[int]:
    if not seeds:
        raise ValueError("at least one seed is needed")
    twice = next((seed for place, seed in enumerate(seeds) if seed in seeds[:place]), None)
    if twice is not None:
        raise ValueError(f"seed {twice} is there twice; each seed is trained once")
    return seeds


Seed: TypeAlias = Annotated[int, Field(ge=0)]
Task: TypeAlias = tasks.Task
main_metric = tasks.main_metric


class Training(Settings):
    """One training run."""

    epochs: float = Field(10, gt=0)
    """Passes over the transfer set; the control takes as many steps, over its labelled part (of a method of several
    stages, as many as all of them on the transfer set)."""
    learning_rate: float = Field(1e-3, gt=0)
    """Its peak, after the warm-up."""
    embedding_rate: float = Field(1.0, gt=0)
    """Factor on the learning rate of embeddings; below 1 where they start from a good place, e.g. the teacher's."""
    chain_rate: float = Field(1.0, gt=0)
    """Factor on the learning rate of a tagger's transitions, start and end: a few numbers that begin at nought."""
    tokens_per_batch: int = Field(2048, gt=0)
    """Batches hold sentences of like length and at most this many tokens, padding included."""
    sentences_per_batch: int | None = Field(None, gt=0)
    """At most this many too: without it a batch holds many short sentences or few long ones, and each of the many
    weighs less in its step."""
    accumulate: int = Field(1, gt=0)
    """Batches per optimiser step."""
    warmup: float = Field(0.1, ge=0, le=1)
    """Share of steps over which the learning rate rises, before it falls."""
    schedule: Literal["linear", "inverse_sqrt"] = "linear"
    """How the rate falls after the warm-up: in a line to zero, or as one over the root of the step (Vaswani et al.)."""
    average: int = Field(1, gt=0)
    """What is evaluated, and kept: the mean of the weights at this many evaluations, the last ones."""
    weight_decay: float = Field(0.01, ge=0)
    """Of AdamW; biases, norms and embeddings do not decay."""
    clip: float = Field(10.0, gt=0)
    """Largest norm of the gradient; squared distances between logits have larger ones than cross-entropies."""
    evaluate: int = Field(10, gt=0)
    """Evaluations on dev, spread evenly over the run."""
    patience: int | None = Field(None, gt=0)
    """Stop after this many evaluations without a better dev score; null never stops early."""
    metric: tasks.Metric = "accuracy"
    """Picks the best checkpoint, on dev, and decides of classifiers, of scores and of sets of labels on test too:
    accuracy, macro_f1, mcc or binary_f1 (of the class ``positive``); of regression pearson (if left out) or
    spearman; of multilabel micro_f1 (if left out), macro_f1 or subset_accuracy; of taggers f1 (if left out),
    precision, recall or token_accuracy, which is all that tags without spans have; of translators bleu (if left
    out) or chrf."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """``auto`` is bf16 where the device has it natively, fp32 on a CPU."""
    checkpoint_seconds: float = Field(60, ge=0)
    """Least time between checkpoints for resuming; 0 writes one at every step."""
    trackers: list[str] = []
    """Trackers that accelerate knows, e.g. tensorboard."""


class FineTune(Training):
    """How a teacher is fine-tuned: the same loop, with an encoder's defaults."""

    epochs: float = Field(3, gt=0)
    learning_rate: float = Field(5e-5, gt=0)
    chain_rate: float = Field(100.0, gt=0)
    clip: float = Field(1.0, gt=0)
    evaluate: int = Field(6, gt=0)
    seed: int = Field(1, ge=0)
    """Of the classifier's start, batch order and dropout."""
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """Of translators: share of each token's probability that is spread over all tokens."""


class StudentChoice(BaseModel):
    """Which student; the other keys are those of ``limbeck.models.KIND``."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)
    kind: str = "bilstm"
    """bilstm, forest, siamese, static or transformer; of taggers bilstm or transformer; of translators autoregressive,
    flowseq, inat, insertion, levenshtein, maskt or vanilla. Pairs of texts a siamese student reads one by one and then
    compares; all others read them joined, which is best done by a transformer: there each word of one text can look at
    those of the other."""
    max_length: int = Field(128, gt=2)
    """Tokens kept of a sentence, special tokens included; longer ones are cut and counted."""

    @property
    def settings(self) -> dict[str, Any]:
        """The kind's own keys."""
        return dict(self.model_extra or {})


class TeacherChoice(Settings):
    """Who teaches: a model (fine-tuned here or elsewhere), or a file of answers."""

    model: str | None = None
    """A folder, a hub name, or ``package:NAME/FOLDER`` inside an installed package."""
    fine_tune: FineTune | None = None
    """Null takes the model as it is: then it must already know the labels; where it calls them otherwise, or knows
    others too, ``labels`` says so."""
    scratch: StudentChoice | None = None
    """For translators: a kind of student with its keys, built here from nothing and trained as ``fine_tune`` says."""
    members: int = Field(1, gt=0)
    """Of ``scratch``, and of classifiers that are fine-tuned: so many are trained, from other seeds, and asked together
    as an ensemble: the mean of their probabilities."""
    ensemble: list[TeacherChoice] = []
    """For classifiers: several teachers, each said like one, that are asked together; each is asked once, and its
    answers are stored by themselves, so that other ``weights`` ask nothing again."""
    weights: Literal["equal", "fitted"] | list[Annotated[float, Field(ge=0)]] = "equal"
    """Of an ensemble of classifiers: how its members' probabilities are averaged; ``fitted`` takes the weights under
    which dev's gold is the likeliest, a list gives one a member (they are divided by their sum)."""
    engine: Literal["pytorch", "ctranslate2"] = "pytorch"
    """For translators: what decodes the texts; ``ctranslate2`` is quicker, and takes one autoregressive model."""
    prefix: str = ""
    """For translators: what a ``model`` wants before each text, of T5 say: ``translate English to French:``."""
    languages: tuple[str, str] | None = None
    """For translators: of a ``model`` for many languages, its codes of the text's and the translation's language, e.g.
    [eng_Latn, deu_Latn]."""
    answers: str | None = None
    """JSON Lines, CSV or Parquet with an ``id`` or ``text`` column and one column a label, or a ``probabilities``
    or ``logits`` object or list, or as ``limbeck predict`` writes them; of regression one column ``score``."""
    answers_are: Literal["probabilities", "logits"] = "probabilities"
    """What the numbers in that file are."""
    max_length: int = Field(128, gt=2)
    """Tokens kept of a sentence, special tokens included."""
    labels: TeacherLabels = {}
    """The teacher's labels to ours, where they differ, e.g. {LABEL_0: negative}. Several may become one, whose
    probability is theirs together ({B-MISC: O, I-MISC: O}; not of a CRF's tags), and null leaves one out: the others
    keep their proportions ({neutral: null})."""

    @model_validator(mode="after")
    def _one_of(self) -> TeacherChoice:
        given = (self.model, self.scratch, self.answers, self.ensemble or None)
        if sum(each is not None for each in given) != 1:
            raise ValueError("give one of 'model', 'scratch', 'answers' and 'ensemble'")
        if self.labels and self.fine_tune is not None:
            raise ValueError(
                "'labels' is of a teacher that is taken as it is; one that is fine-tuned here learns ours"
            )
        if self.ensemble and self.fine_tune is not None:
            raise ValueError("'fine_tune' is of a model; say it of each member of 'ensemble' that is one")
        if any(each.ensemble or each.scratch or each.weights != "equal" for each in self.ensemble):
            raise ValueError("a member of 'ensemble' is a model or a file of answers")
        if self.scratch is not None and self.fine_tune is None:
            raise ValueError(
                "'scratch' builds a model that knows nothing; say in 'fine_tune' how it is trained"
            )
        if self.answers is not None and self.fine_tune is not None:
            raise ValueError("'fine_tune' needs a 'model'; a file of answers cannot be fine-tuned")
        return self

    @model_validator(mode="after")
    def _translators_fit(self) -> TeacherChoice:
        if self.members > 1 and self.fine_tune is None:
            raise ValueError("'members' are built from 'scratch', or fine-tuned; a 'model' as it is is one")
        if self.members > 1 and self.engine == "ctranslate2":
            raise ValueError("'members' asks for several models, and CTranslate2 decodes with one")
        if self.model is None and (self.prefix or self.languages):
            raise ValueError(
                "'prefix' and 'languages' are of a 'model' that knows them; what is built here does not"
            )
        return self

    @model_validator(mode="after")
    def _weights_fit(self) -> TeacherChoice:
        if self.weights != "equal" and len(self.each) == 1:
            raise ValueError("'weights' are of an ensemble, and there is one teacher")
        if isinstance(self.weights, list):
            if len(self.weights) != len(self.each):
                raise ValueError(f"{len(self.weights)} 'weights' for {len(self.each)} members")
            if not sum(self.weights):
                raise ValueError("all 'weights' are nought")
        return self

    @property
    def each(self) -> list[TeacherChoice]:
        """The teachers that make it up, one by one: those of ``ensemble``, and a seed for each of ``members``."""
        if self.ensemble:
            return [member for choice in self.ensemble for member in choice.each]
        if self.members == 1 or self.fine_tune is None or self.scratch is not None:
            return [self]  # translators' members are one teacher
        seeded = [
            self.fine_tune.model_copy(update={"seed": self.fine_tune.seed + n}) for n in range(self.members)
        ]
        alone = {"members": 1, "weights": "equal"}
        return [self.model_copy(update={**alone, "fine_tune": fine_tune}) for fine_tune in seeded]


class Choice(BaseModel):
    """A thing chosen by name; the other keys are its own settings."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)
    name: str
    """Its name."""

    @property
    def settings(self) -> dict[str, Any]:
        """Its own keys."""
        return dict(self.model_extra or {})


class MethodChoice(Choice):
    """Which method; the other keys are those of ``limbeck.methods.NAME``."""

    name: str = "logit_regression"
    """A method of ``limbeck methods``, or the dotted path of a module of your own."""
    label: str | None = Field(None, pattern=r"^[\w.-]+$")
    """What tables and folders call it; needed where one method stands in the list twice."""

    @property
    def title(self) -> str:
        """What tables and folders call it."""
        return self.label or self.name.rpartition(".")[2]


class Evaluation(Settings):
    """What is measured at the end."""

    resamples: int = Field(10_000, gt=0)
    """Of the paired bootstrap."""
    interval: float = Field(0.95, gt=0, lt=1)
    """How sure an interval is."""
    decoding: Decoding = Decoding()
    """How translators translate test; on dev, while they train, they are greedy."""
    measures: bool = True
    """Of translators: measure each distilled text (complexity, faithfulness, word order), where eflomal is there."""
    latency_sentences: int = Field(200, ge=0)
    """Test sentences timed one at a time, the models taking turns; 0 measures no speed."""


class Analysis(Settings):
    """What ``limbeck analyse`` looks into; no step of a run depends on it."""

    slices: dict[str, str] = {}
    """Slices of your own, by name: an expression over columns (``length > 30 and "but" in words``), or a function
    (``module:function`` or ``file.py:function``) that is given each row."""
    smallest: int = Field(20, gt=1)
    """A slice with fewer examples is not tested, nor one that leaves out fewer."""
    rare: int = Field(5, gt=0)
    """A word is rare that stands in the training text at most this many times."""
    tolerance: float | None = Field(None, gt=0)
    """Of regression: a score this near to gold is right; null is a tenth of the range of the test set's gold."""
    margin: float = Field(10.0, gt=0)
    """Of translators: points of chrF by which a translation must be the better one of two."""


class Export(Settings):
    """The bundle that is deployed."""

    int8: bool = True
    """Whether the bundle holds an int8 model too."""
    tolerance: float = Field(1e-4, gt=0)
    """Largest difference of a logit (of a translator, a log-probability) between PyTorch and ONNX (float32), relative
    to the largest."""
    changed: float = Field(0.02, ge=0, le=1)
    """Largest share of predictions that int8 may change; of a translator, of tokens, each written after those that
    PyTorch wrote (a parallel one's: edits), for a single other token may change all that follow it."""


TrainingKind = TypeVar("TrainingKind", bound=Training)


def _fitted(training: TrainingKind, task: Task) -> TrainingKind:
    """With the task's own metric where none was chosen."""
    chosen = training.metric if "metric" in training.model_fields_set else None
    return training.model_copy(update={"metric": main_metric(task, chosen)})


class Recipe(Settings):
    """A whole run."""

    name: str = Field("run", pattern=r"^[\w.-]+$")
    """Of the run's folder."""
    task: Task = "classification"
    """What teacher and student do: ``classification`` of sentences, ``regression`` (a score of each), ``multilabel``
    (any number of labels of each), ``tagging`` of their words, or ``translation``."""
    positive: Annotated[str | None, BeforeValidator(_number_as_name)] = None
    """Of two classes the one whose F1 is ``binary_f1``; null is the second by name, of 0 and 1 the 1."""
    data: Data
    """Where examples come from."""
    rewrite: Annotated[list[Choice], BeforeValidator(named)] = []
    """Ways to make more text of the transfer set: rules, ngrams, masked_lm or causal_lm; each sees what the ones before
    it left."""
    teacher: TeacherChoice
    """Who teaches."""
    student: StudentChoice = StudentChoice()
    """Who is taught."""
    method: Annotated[list[MethodChoice], BeforeValidator(named), Field(min_length=1)] = [MethodChoice()]
    """One method, or a list of methods to compare."""
    control: bool = True
    """Train the same student without a teacher too, on the same budget of steps."""
    seeds: Annotated[list[Seed], BeforeValidator(_counted), AfterValidator(_once_each)] = [1, 2, 3]
    """A list of seeds, or how many."""
    train: Training = Field(Training(), validate_default=True)
    """How students are trained."""
    evaluate: Evaluation = Evaluation()
    """What is measured at the end."""
    export: Export = Export()
    """What is deployed."""
    analyse: Analysis = Analysis()
    """What ``limbeck analyse`` looks into."""
    jobs: int = Field(1, gt=0)
    """Students trained side by side, each in a process with its share of the cores: quicker for small students."""
    inner_states: Literal["auto", "live", "stored", "kept"] = "auto"
    """Of methods that compare states or attention token by token, where the teacher's come from: ``live`` asks it anew
    at every step; ``stored`` asks it once, before students are trained, and holds its states on disk (in the run's
    folder, ``inner``) until they are; ``kept`` leaves them there. ``auto`` stores them on a CPU, where they are read
    more than once and fit into 8 GB and a quarter of the free disk; a GPU is asked anew."""
    out: str = "runs"
    """Folder of run folders; the run is written to ``OUT/NAME``."""
    store: str | None = None
    """Folder of the answer store; by default ``OUT/store``, shared by the runs beside it."""
    checksums: dict[str, str] = {}
    """SHA-256 of files named in this recipe: path as written there to digest."""

    @field_validator("train", mode="after")
    @classmethod
    def _train_fits_task(cls, train: Training, info: ValidationInfo) -> Training:
        return _fitted(train, info.data.get("task", "classification"))

    @field_validator("teacher", mode="after")
    @classmethod
    def _teacher_fits_task(cls, teacher: TeacherChoice, info: ValidationInfo) -> TeacherChoice:
        task = info.data.get("task", "classification")
        changes: dict[str, Any] = {
            "ensemble": [cls._teacher_fits_task(each, info) for each in teacher.ensemble]
        }
        if teacher.fine_tune is not None:
            changes["fine_tune"] = _fitted(teacher.fine_tune, task)
        return teacher.model_copy(update=changes)

    @model_validator(mode="after")
    def _positive_is_of_classes(self) -> Recipe:
        if self.positive is not None and self.task != "classification":
            raise ValueError(f"'positive' is one of two classes, and the task is {self.task}")
        return self

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.out).expanduser() / self.name

    @property
    def store_folder(self) -> Path:
        """The answer store's folder."""
        return Path(self.store or Path(self.out) / "store").expanduser()


def load(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe from YAML; ``key=value`` overrides go in by dotted key, values read as YAML.

    Relative paths in a recipe are relative to where the command runs.

    Raises:
        LimbeckError: The file cannot be read, or does not fit the schema.
    """
    return load_as(Recipe, path, overrides, fix="'limbeck init' writes one to start from")


def save(recipe: Recipe, path: Path) -> None:
    """Write the resolved recipe, every default spelt out."""
    with atomic_write(path) as file:
        yaml.safe_dump(recipe.model_dump(mode="json"), file, sort_keys=False, allow_unicode=True, width=110)
