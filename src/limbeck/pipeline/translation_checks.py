"""What methods want of a translation recipe: told before any work, not hours later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from limbeck.core.errors import LimbeckError
from limbeck.models.translators.shape import POSITIONS
from limbeck.pipeline.distilling import decodings

if TYPE_CHECKING:
    from limbeck.core.decoding import Decoding
    from limbeck.core.method import Stage
    from limbeck.core.recipe import Recipe
    from limbeck.pipeline.translation import TranslationRun

AUTOREGRESSIVE = "autoregressive"
"""The kind of student that writes one token after the other."""
FLOWSEQ = "flowseq"
"""The kind that knows importance weighted decoding."""


def stages_by_title(run: TranslationRun) -> Iterator[tuple[str, Stage]]:
    """All stages, each with the title of its method."""
    for title in run.methods:
        for stage in run.stages_of(title):
            yield title, stage


def check_methods(run: TranslationRun) -> None:
    """The checks that need no data.

    Raises:
        LimbeckError: A method trains successors, and nobody says how; or it compares tokens of models that write in
            different ways.
    """
    for title, stage in stages_by_title(run):
        if stage.trains == "successor" and run.recipe.teacher.fine_tune is None:
            raise LimbeckError(
                f"'{title}' trains successors of the teacher, and the recipe does not say how",
                where="teacher.fine_tune",
                fix="Say there how a teacher is trained, or leave the method out",
            )
        if stage.objective.needs:
            _check_one_after_the_other(run, title)


def check_decodings(run: TranslationRun) -> None:
    """Insist on searches that the models can do.

    Raises:
        LimbeckError: Students would draw translations, or models that write all tokens at once draw, or find several.
    """
    student = run.recipe.student
    judged = run.recipe.evaluate.decoding
    if judged.search == "sampling":
        what = "'evaluate.decoding.search' is sampling, and exported students draw nothing"
        raise LimbeckError(what, where="evaluate.decoding.search", fix="Choose beam or greedy")
    asked = {"teacher": run.teachers_kind, "student": student.kind}
    wanted = {"teacher": [judged, *decodings(run)], "student": [judged]}
    _check_importance(asked, judged, decodings(run))
    for role, kind in asked.items():
        where = f"{role}.kind" if role == "student" else "teacher.scratch.kind"
        if kind == AUTOREGRESSIVE:
            continue
        if any(each.keep > 1 or each.search == "sampling" for each in wanted[role]):
            what = f"the {role} ({kind}) finds one translation of a text, its likeliest, and others are asked for"
            fix = "Leave 'keep' and 'search: sampling' out of 'decoding', or choose an autoregressive one"
            raise LimbeckError(what, where=where, fix=fix)


def _check_importance(asked: Mapping[str, str], judged: Decoding, teachers: Iterable[Decoding]) -> None:
    """Insist on a model that knows importance weighted decoding, where it is asked for."""
    if any(each.search == "importance" for each in teachers) and asked["teacher"] != FLOWSEQ:
        what = f"'search: importance' is for flowseq, and the teacher is of kind {asked['teacher']}"
        raise LimbeckError(what, where="teacher.scratch.kind", fix="Choose another search in 'decoding'")
    if judged.search == "importance" and FLOWSEQ not in asked.values():
        what = f"'search: importance' is for flowseq, and the student is of kind {asked['student']}"
        raise LimbeckError(what, where="student.kind", fix="Choose another search in 'evaluate.decoding'")


def check_pieces(run: TranslationRun) -> None:
    """Insist that a teacher whose next tokens a method compares guesses the student's tokens.

    Raises:
        LimbeckError: Their pieces of words differ.
    """
    for title, stage in stages_by_title(run):
        if stage.objective.needs and run.tokeniser.fingerprint != run.teacher_tokeniser.fingerprint:
            what = f"'{title}' compares the next tokens of teacher and student, whose pieces of words differ"
            fix = "Train the teacher here ('scratch'), or choose sequence_level, which hands over text"
            raise LimbeckError(what, where="method", fix=fix)


def check_engine(run: TranslationRun) -> None:
    """Insist on an engine that can decode with the teacher: a conversion is tried on one text.

    Raises:
        LimbeckError: It is not installed, has no conversion for the model, or cannot search in some way.
    """
    if run.recipe.teacher.engine == "pytorch":
        return
    for decoding in {*decodings(run), run.teachers_search}:
        run.teacher.decode(run.prepared.dev.examples[:1], decoding.model_copy(update={"max_length": 2}))


def _check_one_after_the_other(run: TranslationRun, title: str) -> None:
    """Both models write one token after the other, and as many."""
    teacher, student = run.recipe.teacher, run.recipe.student
    fix = "Choose sequence_level without 'word_level', which hands over text"
    kinds = {"student": student.kind, "teacher": run.teachers_kind}
    for role, kind in kinds.items():
        if kind != AUTOREGRESSIVE:
            what = f"'{title}' compares token after token, and the {role} ({kind}) writes all at once"
            raise LimbeckError(what, where="method", fix=fix)
    if teacher.prefix:
        what = f"'{title}' has teacher and student read the same tokens, and the teacher's have a prefix"
        raise LimbeckError(what, where="teacher.prefix", fix=fix)
    if teacher.max_length != student.max_length:
        what = (
            f"'{title}' compares token by token, and the teacher keeps {teacher.max_length} tokens of a translation, "
            f"the student {student.max_length}"
        )
        fix = "Give teacher.max_length and student.max_length one value"
        raise LimbeckError(what, where="student.max_length", fix=fix)


def check_members(recipe: Recipe) -> None:
    """Insist that a teacher of several models is built here.

    Raises:
        LimbeckError: It is an ensemble as of classifiers.
    """
    choice = recipe.teacher
    if choice.ensemble or choice.weights != "equal" or (choice.members > 1 and choice.scratch is None):
        raise LimbeckError(
            "an ensemble of translators is of 'members' that are built from 'scratch', with equal weights",
            where="teacher",
            fix="Say teacher.scratch and teacher.members, and leave out 'ensemble' and 'weights'",
        )


def check_lengths(recipe: Recipe) -> None:
    """Insist that the models that are built here have a position for every token.

    Raises:
        LimbeckError: More tokens are to be kept than there are positions.
    """
    lengths = {"student": recipe.student.max_length}
    if recipe.teacher.scratch is not None:
        lengths["teacher"] = recipe.teacher.max_length
    for who, length in lengths.items():
        if length > POSITIONS:
            what = f"'{who}.max_length' is {length}, and translators have {POSITIONS} positions"
            raise LimbeckError(what, where=f"{who}.max_length", fix=f"Set it to {POSITIONS} or less")
