"""The steps of a run. Each reads folders and writes one; a step that is already done says so and does nothing."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.core import progress, recipe, tasks
from limbeck.core.errors import LimbeckError
from limbeck.core.files import StepFolder, write_json
from limbeck.core.method import Stage
from limbeck.evaluate.current import note_steps
from limbeck.models.forest import ForestForSequenceClassification, Settings as ForestSettings
from limbeck.models.shapes import shape_of
from limbeck.pipeline import ensembles, inner, judge, side_by_side
from limbeck.pipeline.budget import steps_of
from limbeck.pipeline.folders import require
from limbeck.pipeline.hearing import answers_for, fitted, heard
from limbeck.pipeline.inputs import (
    evaluate_inputs,
    export_inputs,
    made,
    pack_inputs,
    prepare_inputs,
    rewrite_inputs,
    student_inputs,
    teach_inputs,
    weights_inputs,
)
from limbeck.pipeline.measuring import measure_texts
from limbeck.pipeline.run import Run, versions
from limbeck.pipeline.transfer_text import MADE, tell_text
from limbeck.pipeline.translation import TranslationRun
from limbeck.text import resources
from limbeck.text.packing import pack as pack_text
from limbeck.train.adapt import adapt
from limbeck.train.grow import grow
from limbeck.train.loop import Trained, train as train_model
from limbeck.transfer import rewrites
from limbeck.transfer.checks import check_learners
from limbeck.transfer.prepare import prepare as prepare_data
from limbeck.transfer.tokenwise import TokenAnswers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limbeck.transfer.decoded import Shard

CACHE = "cache"
"""Folder inside a step's own, for what it has done so far; gone once the step is."""


LAYERS = "layers.json"
"""Beside a stage's weights: how many layers both models have, and which of them it compared."""


def prepare(run: Run) -> None:
    """Read the data, clean it, cut it; write the transfer set, dev and test."""
    resources.check_sums(run.recipe.checksums)
    inputs = prepare_inputs(run)
    if _skip(run.prepared_folder, inputs, "prepare"):
        # There may be more of them than when it was prepared.
        check_learners(run.prepared.train.examples, run.recipe.task, run.learners_from_gold)
        return
    with _writing(run, run.prepared_folder, inputs) as folder:
        run.write_prepared(
            prepare_data(run.recipe.data, task=run.recipe.task, learners=run.learners_from_gold), folder
        )


def rewrite(run: Run) -> None:
    """Make more text of the transfer set, where the recipe asks for it."""
    if not run.rewriters:
        progress.say("rewrite   nothing: the recipe asks for no more text")
        return
    require_current(run, "prepare")
    inputs = rewrite_inputs(run)
    if _skip(run.rewritten_folder, inputs, "rewrite"):
        return
    with _writing(run, run.rewritten_folder, inputs) as folder:
        done = rewritten(run, folder / CACHE)
        done.transfer_set.save(folder, "transfer")
        write_json(folder / MADE, [asdict(each) for each in done.made])
        shutil.rmtree(folder / CACHE, ignore_errors=True)
    for each in done.made:
        dropped = "".join(f", {count:,} {reason}" for reason, count in each.dropped.items())
        progress.say(f"rewrite   {each.rewriter}: {each.kept:,} new texts of {each.drawn:,} drawn{dropped}")
    made = len(done.transfer_set) - len(run.prepared.train)
    progress.say(f"rewrite   {made:,} new texts beside {len(run.prepared.train):,}")


def rewritten(run: Run, cache: Path | None = None, *, sketch: bool = False) -> rewrites.Rewritten:
    """The training set with what the recipe's rewriters make of it, or about as much; see ``rewrites.rewrite``."""
    unseen = {"dev": run.prepared.dev.examples, "test": run.prepared.test.examples}
    return rewrites.rewrite(run.prepared.train, run.rewriters, unseen, cache=cache, tune=adapt, sketch=sketch)


def pack(run: Run) -> None:
    """Tokenise raw text and pack it to length, where a method hears it."""
    if not run.hears_raw:
        progress.say("pack      nothing: no method of the recipe hears raw text")
        return
    require_current(run, "prepare", "rewrite")
    inputs = pack_inputs(run)
    if _skip(run.packed_folder, inputs, "pack"):
        return
    data = run.recipe.data
    with _writing(run, run.packed_folder, inputs) as folder:
        packed = pack_text(
            data.raw, run.tokeniser, data.raw_length, folder, shuffle=data.raw_shuffle, seed=data.seed
        )
    what = f"{packed.tokens:,} tokens of {packed.lines:,} lines in {packed.blocks:,} blocks"
    progress.say(f"pack      {what}", **asdict(packed))


def teach(run: Run) -> None:
    """Fine-tune the teacher on the labelled examples, where the recipe asks for it; else check that it can teach."""
    require_current(run, "prepare")
    if run.members:
        _teach_members(run)
        return
    choice = run.recipe.teacher
    if choice.fine_tune is None:
        _ = run.teacher  # loading it is the check
        what = "" if run.recipe.task == "translation" else "; its labels are ours"
        progress.say(f"teach     {run.teacher_called}: taken as it is{what}")
        return
    inputs = teach_inputs(run)
    if _skip(run.teacher_folder, inputs, "teach"):
        return
    tokeniser, settings = run.teacher_tokeniser, run.picked(choice.fine_tune)
    assert tokeniser is not None
    dev = run.as_teacher_reads(run.prepared.dev.examples)
    with _writing(run, run.teacher_folder, inputs) as folder:
        for place, model, seed in run.untaught_teachers():
            what = f"teach     {run.teacher_called}" + f", {place}" * (place != ".")
            trained = train_model(
                model,
                tokeniser,
                run.task.gold(settings),
                run.encoded_for_teacher,
                None,
                dev,
                settings,
                folder / place,
                seed,
                score=run.teacher_score,
                stage="teacher",
                what=what,
            )
            _tell(what, trained, settings.metric)


def _teach_members(run: Run) -> None:
    """Each of an ensemble's members by itself, and their weights, where these are fitted."""
    for member in run.members:
        teach(member)
    if not ensembles.is_fitted(run):
        return
    inputs = weights_inputs(run)
    if not _skip(run.weights_folder, inputs, "teach     weights"):
        with run.weights_folder.writing(inputs) as folder:
            ensembles.fit(run, folder)


def ask(run: Run, shard: Shard | None = None) -> None:
    """Ask the teacher about the transfer set and the test set; only what the store does not hold is asked.

    Args:
        run: The run.
        shard: Of translations: decode this part of the texts only, into the store; see ``transfer.decoded.decode``.
    """
    require_current(run, "prepare", "rewrite", "teach")
    run.ask(shard)


def train(run: Run) -> None:
    """Train every method's student, and the control, for every seed."""
    require_current(run, "prepare", "rewrite", "pack", "teach")
    pairs = [(title, seed) for title in run.methods for seed in run.recipe.seeds]
    left = [pair for pair in pairs if not run.student_folder(*pair).is_done(student_inputs(run, *pair))]
    if left:
        inner.keep(run, {title for title, _ in left})  # once, here, and not by every process
    together = left if run.recipe.jobs > 1 and len(left) > 1 else []
    for title, seed in pairs:
        if (title, seed) not in together:
            train_student(run, title, seed)
    if together:
        run.ask()  # once, here, and not by every process
        side_by_side.train(run, together)
    inner.clear(run)


def train_student(run: Run, title: str, seed: int) -> None:
    """Train one student: the stages of its method, one after the other."""
    what = f"train     {title}, seed {seed}"
    inputs = student_inputs(run, title, seed)
    if _skip(run.student_folder(title, seed), inputs, what):
        return
    stages = run.students_stages(title)
    model = run.new_student(seed, stages[0])
    if run.grows:
        with _writing(run, run.student_folder(title, seed), inputs) as folder:
            _grow(run, title, seed, stages[0], model, folder)
        return
    with _writing(run, run.student_folder(title, seed), inputs) as folder:
        for stage, budget in zip(stages, steps_of(run, title), strict=True):
            last = stage is stages[-1]
            fitted(run, stage, model, seed)
            trained = train_model(
                model,
                run.tokeniser,
                stage.objective,
                heard(run, title, stage),
                inner.answers(run, title, stage),
                run.encoded_dev,
                run.training,
                folder if last else folder / stage.name,
                seed,
                steps=budget,
                score=run.score,
                stage=stage.name,
                keeps=stage.keeps,
                masked=stage.masked,
                what=what,
            )
            _note_layers(run, stage, model, folder if last else folder / stage.name)
    _tell(what, trained, run.training.metric)


def _grow(run: Run, title: str, seed: int, stage: Stage, model: PreTrainedModel, folder: Path) -> None:
    """Grow a student that follows no gradient."""
    answers, settings = answers_for(run, title, stage), run.student_settings
    assert isinstance(model, ForestForSequenceClassification) and isinstance(settings, ForestSettings)
    assert not isinstance(answers, TokenAnswers)
    trained = grow(
        model,
        run.tokeniser,
        settings,
        stage.objective,
        heard(run, title, stage),
        answers,
        run.encoded_dev,
        folder,
        seed,
        score=run.score,
        metric=run.training.metric,
        stage=stage.name,
    )
    size = f"{model.config.nodes:,} nodes, {trained.seconds:.0f} s"
    score = tasks.shown(run.training.metric, trained.dev_score)
    what = f"train     {title}, seed {seed}: {run.training.metric} {score} on dev; {size}"
    progress.say(what, **asdict(trained))


def _note_layers(run: Run, stage: Stage, student: PreTrainedModel, folder: Path) -> None:
    """Which layers a stage compared, for the report."""
    own, theirs = shape_of(student), run.teacher_model and shape_of(run.teacher_model)
    if stage.objective.pairs and own and theirs:
        write_json(
            folder / LAYERS, {"student": own.layers, "teacher": theirs.layers, "pairs": stage.objective.pairs}
        )


def export(run: Run) -> None:
    """Export the student with the best dev score to ONNX, float32 and int8, and check it against PyTorch."""
    require_current(run, "prepare", "rewrite", "teach", "train")
    title, seed = run.best
    inputs = export_inputs(run)
    if _skip(run.bundle_folder, inputs, "export"):
        return
    with _writing(run, run.bundle_folder, inputs) as folder:
        report = run.write_bundle(folder, title, seed, judge.card(run, title, seed))
    progress.say(f"export    {title}, seed {seed}: {judge.parity_line(report)}")


def evaluate(run: Run) -> None:
    """Score teacher, students and control on the test set, and time them side by side."""
    require_current(run, "prepare", "rewrite", "teach", "train", "export")
    if isinstance(run, TranslationRun):
        measure_texts(run)
    inputs = evaluate_inputs(run)
    if _skip(run.evaluation_folder, inputs, "evaluate"):
        # One of them may have been done anew, to the same end.
        note_steps(run.folder, run.evaluation_folder.path)
        return
    with _writing(run, run.evaluation_folder, inputs) as folder:
        judge.judge(run, folder)
        tell_text(run, folder)
        note_steps(run.folder, folder)


def require_current(run: Run, *names: str) -> None:
    """Insist that these steps are finished, and were done with this recipe.

    Raises:
        LimbeckError: One is not, or what it read has changed since.
    """
    for name in names:
        for folder, inputs in made(run, name):
            require(folder, name)
            if not folder.is_done(inputs):
                what = "made from other data or settings than the recipe now has"
                raise LimbeckError(what, where=folder.path, fix=f"Run 'limbeck {name}' first")


ALL = (prepare, rewrite, pack, teach, ask, train, export, evaluate)
"""The steps, in order."""


def _tell(what: str, trained: Trained, metric: str) -> None:
    took = f"{trained.steps:,} steps, {trained.seconds:.0f} s"
    score = tasks.shown(metric, trained.dev_score)
    progress.say(f"{what}: {metric} {score} on dev after {took}", **asdict(trained))


@contextmanager
def _writing(run: Run, folder: StepFolder, inputs: Mapping[str, Any]) -> Iterator[Path]:
    """The step's folder to write into; once it is whole, the run's recipe is the one that it was made by."""
    with folder.writing(inputs) as partial:
        yield partial
    note(run)


def note(run: Run) -> None:
    """Write down the resolved recipe and the versions that it ran with."""
    recipe.save(getattr(run, "whole", run).recipe, run.folder / "recipe.yaml")
    write_json(run.folder / "versions.json", {"python": platform.python_version(), **versions()})


def _skip(folder: StepFolder, inputs: Mapping[str, Any], what: str) -> bool:
    """Whether the step is done already; says so."""
    if not folder.is_done(inputs):
        return False
    progress.say(f"{what:<10}{': ' * (len(what) > 10)}done before, skipped", step=what, skipped=True)
    return True
