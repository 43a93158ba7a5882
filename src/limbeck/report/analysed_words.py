"""What an analysis found, in sentences, and its numbers as people write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limbeck.analyse.mistakes.temperature import RANGE
from limbeck.report import words
from limbeck.report.words import Figure

KINDS = {
    "lost": "The teacher is right, the student is not",
    "lost to the control": "The control is right, the student and the teacher are not",
    "doubtful": "Nobody is right, and all say the same",
    "won": "The student is right, the teacher is not",
}
"""Headings of the texts worth reading."""

OF_TRANSLATIONS = {
    "lost": "The teacher's translation is better",
    "lost to the control": "The control's translation is better",
    "won": "The student's translation is better",
}

PARTS = {
    "slices": "Slices",
    "words": "Words that go with lost texts",
    "flows": "Flows between answers",
    "calibration": "Calibration",
    "sharpness": "How sharp the teacher's answers are",
    "sources": "Agreement by source of the text",
    "training": "Rare and unknown words",
    "tokeniser": "Words cut into pieces",
}
"""Names of parts that may be missing."""


@dataclass(frozen=True)
class Link:
    """Where a report sends its reader: what was found, and the page relative to the report's."""

    headline: str
    address: str


@dataclass(frozen=True)
class Amounts:
    """How qualities and their differences are written, by unit."""

    measures: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Amounts:
        """Those of a run's analysis."""
        return cls(content["settings"]["measures"])

    def name(self, unit: str) -> str:
        """The mean quality, as a heading."""
        named = self.measures[unit]
        return (
            f"{named['name'].capitalize()}, %" if named["scale"] == 100 else str(named["name"]).capitalize()
        )

    def quality(self, value: float | None, unit: str) -> str:
        """A mean quality."""
        scale = self.measures[unit]["scale"]
        return words.fixed(None if value is None else value * scale, self._digits(unit))

    def gap(self, value: float | None, unit: str) -> str:
        """A difference with its sign, below nought where the student is worse."""
        scale = abs(self.measures[unit]["scale"])
        return words.fixed(None if value is None else value * scale, self._digits(unit), plus=True)

    def points(self, unit: str) -> str:
        """What a difference is counted in, within a sentence."""
        return {100: "points", 1: "points of chrF", -1: "of distance"}[int(self.measures[unit]["scale"])]

    def _digits(self, unit: str) -> int:
        return 3 if self.measures[unit]["scale"] == -1 else 1


def cell_names(each: Mapping[str, Any], of: Mapping[str, Any]) -> dict[str, str]:
    """What the four cells of two models are called."""
    roles = {name: role for role, name in of["cast"].items()}
    ours, theirs = roles.get(each["of"], each["of"]), roles.get(each["over"], each["over"])
    if each["mean"]["neither"] is None:
        return {"both": "alike", "ours": f"{ours} better", "theirs": f"{theirs} better", "neither": ""}
    return {
        "both": "both right",
        "ours": f"only the {ours}",
        "theirs": f"only the {theirs}",
        "neither": "neither",
    }


def cells_with(of: Mapping[str, Any], role: str) -> Mapping[str, Any] | None:
    """The student's cells against a role."""
    cast = of["cast"]
    pairs = ((each["of"], each["over"], each) for each in of["cells"])
    return next(
        (each for ours, theirs, each in pairs if (ours, theirs) == (cast["student"], cast.get(role))), None
    )


def headline(of: Mapping[str, Any]) -> str:
    """How much was lost, and where most."""
    found = cells_with(of, "teacher") or cells_with(of, "control")
    if found is None:
        return f"{of['cast']['student']} by itself: there is neither a teacher nor a control"
    other = "teacher" if cells_with(of, "teacher") else "control"
    mean, unit, lost = found["mean"], found["unit"], words.mean_count(found["mean"]["theirs"])
    if mean["neither"] is None:
        told = f"The student is clearly behind the {other} on {lost} of {words.plural(of['examples'], unit)}"
    else:
        right = mean["both"] + mean["theirs"]
        told = f"Of {words.plural(round(right), unit)} that the {other} has right, the student loses {lost}"
    return f"{told}{where(of, other)}"


def where(of: Mapping[str, Any], other: str) -> str:
    """On which slice most was lost, as the end of a sentence."""
    ranked = of["slices"]["ranked"]
    if not any(row["gaps"][other]["excess"] < 0 for row in ranked):
        return ""
    worst = next((row for row in ranked if _clear(row["gaps"][other])), None)
    if worst is None:
        return ", and on no slice clearly more than elsewhere"
    gap, amounts = worst["gaps"][other], Amounts.of(of)
    here, elsewhere = (amounts.gap(gap[key], worst["unit"]) for key in ("gap", "elsewhere"))
    name = slice_name(worst, quoted=True)
    return f", most surely on {name}: {here} {amounts.points(worst['unit'])} there, {elsewhere} elsewhere"


def _clear(gap: Mapping[str, float]) -> bool:
    """Whether a slice's gap is one, and beyond doubt larger than elsewhere."""
    return gap["excess"] < 0 and gap["gap"] < 0 and gap["excess_adjusted"] < 0.05


def slice_name(row: Mapping[str, Any], quoted: bool = False) -> str:
    """What a slice is called, with what it is of where that is no text: a tagger's are of sentences and of entities."""
    name = f"“{row['name']}”" if quoted else row["name"]
    return name if row["unit"] in ("text", "sentence") else f"{name} ({row['unit']})"


def untested(of: Mapping[str, Any]) -> str:
    """Which slices of a person's own could not be tested, as a sentence; empty of none."""
    names = of["slices"].get("untested", [])
    listed = ", ".join(f"“{name}”" for name in names)
    why = (
        f"too small, too large, or as another: {of['settings']['smallest']} must be in it and as many outside"
    )
    return (
        f"Of your own slices {listed} {'was' if len(names) == 1 else 'were'} not tested ({why})."
        if names
        else ""
    )


def key_figures(of: Mapping[str, Any]) -> list[Figure]:
    """Numbers that stand under the headline."""
    found: list[Figure] = []
    for role in ("teacher", "control"):
        if (cells := cells_with(of, role)) is None:
            continue
        mean = cells["mean"]
        what = "lost" if mean["neither"] is not None else "clearly worse"
        seeds = len(cells["seeds"])
        found.append(
            Figure(
                f"{words.mean_count(mean['theirs'])} : {words.mean_count(mean['ours'])}",
                f"{what} : won, against the {role}",
                f"of {words.plural(of['examples'], cells['unit'])}, mean of {words.plural(seeds, 'seed')}",
            )
        )
    for row in of["overlap"]:
        if (
            row["of"] == of["cast"]["student"]
            and row["over"] == of["cast"].get("control")
            and row["share"] is not None
        ):
            low, high, luck = (words.percent(row[key], 0) for key in ("low", "high", "luck"))
            basis = f"{low} to {high}; by luck {luck}"
            found.append(
                Figure(
                    words.percent(row["share"], 0), "of what the student loses, the control loses too", basis
                )
            )
    own = next((row for row in of["calibration"] if row["name"] == of["cast"]["student"]), None)
    if own is not None:
        before, after = (sum(own[when]["ece"]) / len(own[when]["ece"]) for when in ("before", "after"))
        temperature = sum(own["temperature"]) / len(own["temperature"])
        value = f"{words.fixed(before, 3)} → {words.fixed(after, 3)}"
        found.append(
            Figure(
                value,
                "student's calibration error",
                f"after T = {fitted_temperature(temperature)}, fitted on dev",
            )
        )
    return found


def fitted_temperature(value: float) -> str:
    """A temperature; one at an end of what is looked at has its best place beyond."""
    least, most = RANGE
    if value <= 1.01 * least:
        return f"{words.fixed(least, 2)} or less"
    return f"{words.fixed(most, 0)} or more" if value >= 0.99 * most else words.fixed(value, 2)


def together_headline(of: Mapping[str, Any]) -> str:
    """Which of the students loses least."""
    lost = {
        f"{run['run']}:{run['cast']['student']}": cells["mean"]["theirs"]
        for run in of["runs"]
        if (cells := cells_with(run, "teacher")) is not None
    }
    if len(lost) < 2:
        return f"{words.plural(len(of['runs']), 'run')}, slice by slice"
    best, worst = min(lost, key=lambda name: lost[name]), max(lost, key=lambda name: lost[name])
    unit = "texts" if of["task"] != "translation" else "sentences"
    least, most = (words.mean_count(lost[name]) for name in (best, worst))
    if least == most:
        return f"all lose as much of their teachers, {least} of {words.count(of['examples'])} {unit}"
    told = f"{best} loses least of its teacher, {least} of {words.count(of['examples'])} {unit}"
    return f"{told}; {worst} loses most, {most}"
