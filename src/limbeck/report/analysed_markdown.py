"""An analysis as Markdown: its tables, for other documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from limbeck.report import words
from limbeck.report.analysed_words import (
    KINDS,
    OF_TRANSLATIONS,
    Amounts,
    fitted_temperature,
    headline,
    slice_name,
    together_headline,
    untested,
)
from limbeck.report.markdown_parts import table, text

LONGEST = 300
"""Characters that are told of a text."""


def render(of: Mapping[str, Any], page: str) -> str:
    """The whole document.

    Args:
        of: Of ``analysis.json``, of one run or of several.
        page: Name of the HTML page beside it.
    """
    several = "runs" in of
    title = "What was lost, run by run" if several else f"{of['run']}: what was lost"
    told = together_headline(of) if several else headline(of)
    parts = _of_runs(of) if several else _of_run(of)
    return (
        "\n\n".join([f"# {text(title)}", f"{text(told)}. Pictures are in [{page}]({page}).", *parts]) + "\n"
    )


def _of_run(of: Mapping[str, Any]) -> Iterator[str]:
    amounts = Amounts.of(of)
    yield from _section("Who is right where", _cells([("", each) for each in of["cells"]]), of, "")
    yield from _section("The same mistakes", _overlap(of["overlap"]), of, "")
    yield from _section("Slices, what was surely lost first", _slices(of, amounts), of, "slices")
    if unsure := of["missing"].get("confidence"):
        yield f"How sure models are is not known: {text(unsure)}."
    yield from _section("Words", _words(of["words"]), of, "words")
    yield from _section("Flows", _flows(of["flows"]), of, "flows")
    yield from _section("Calibration", _calibration(of), of, "calibration")
    yield from _section("Sharpness of the teacher", _sharpness(of["sharpness"]), of, "sharpness")
    yield from _section("Agreement with the teacher by source", _sources(of), of, "sources")
    yield from _section("Agreement", _agreement(of), of, "")
    yield from _section("Worth reading", _reading(of), of, "")


def _of_runs(of: Mapping[str, Any]) -> Iterator[str]:
    amounts = Amounts.of(of["runs"][0])
    yield from _section(
        "Who is right where",
        _cells([(run["run"], each) for run in of["runs"] for each in run["cells"]]),
        of,
        "",
    )
    heads = ["Slice", "Size", *map(text, of["students"])]
    rows = [
        [
            text(slice_name(row)),
            words.count(row["size"]),
            *(_interval(row["gaps"][student], amounts, row["unit"]) for student in of["students"]),
        ]
        for row in of["slices"]
    ]
    yield from _section("Gaps, slice by slice", [table(heads, rows)] if rows else [], of, "")
    yield from _section("The same mistakes", _overlap(of["overlap"]), of, "")
    yield from _section("Agreement", _agreement(of), of, "")


def _section(title: str, parts: Sequence[str], of: Mapping[str, Any], part: str) -> Iterator[str]:
    """A heading with its parts, or why they are missing."""
    why = of.get("missing", {}).get(part)
    if parts or why:
        yield f"## {title}"
        yield from parts
        if why:
            yield f"Not here: {text(why)}."


def _cells(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    if not rows:
        return []
    return [
        table(
            ["Model", "Both", "Only it", "Only the other", "Neither", "McNemar's p by seed"],
            [
                [
                    text(f"{run + ': ' if run else ''}{each['of']} against {each['over']}"),
                    *(words.fixed(each["mean"][name], 1) for name in ("both", "ours", "theirs", "neither")),
                    ", ".join(words.p_value(row["p"]) for row in each["seeds"]),
                ]
                for run, each in rows
            ],
        )
    ]


def _overlap(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    return [
        table(
            ["Of what is lost by", "is lost too by", "Lost", "Share", "Interval", "By luck"],
            [
                [
                    text(row["of"]),
                    "itself, other seeds" if row["of"] == row["over"] else text(row["over"]),
                    words.fixed(row["lost"], 1),
                    words.percent(row["share"]),
                    words.MISSING
                    if row["share"] is None
                    else f"{words.percent(row['low'])} to {words.percent(row['high'])}",
                    words.percent(row["luck"]),
                ]
                for row in rows
            ],
            words_in=2,
        )
    ]


def _interval(gap: Mapping[str, float], amounts: Amounts, unit: str, what: str = "") -> str:
    middle, low, high = (
        amounts.gap(gap[key], unit) for key in (what.rstrip("_") or "gap", f"{what}low", f"{what}high")
    )
    return f"{middle} ({low} to {high})"


def _slices(of: Mapping[str, Any], amounts: Amounts) -> list[str]:
    ranked = of["slices"]["ranked"]
    if not ranked:
        return []
    main = "teacher" if "teacher" in of["cast"] else "control"
    rows = []
    for row in ranked:
        gap, unit = row["gaps"][main], row["unit"]
        rows.append(
            [
                text(slice_name(row)),
                words.count(row["size"]),
                *(amounts.quality(row["quality"][role], unit) for role in of["cast"]),
                _interval(gap, amounts, unit),
                words.p_value(gap["adjusted"]),
                _interval(gap, amounts, unit, "excess_"),
                words.p_value(gap["excess_adjusted"]),
            ]
        )
    heads = [
        "Slice",
        "Size",
        *(role.capitalize() for role in of["cast"]),
        f"Gap to {main}",
        "p",
        "Excess",
        "p",
    ]
    told = f"p-values are adjusted by Holm's method for {of['slices']['tried']} slices."
    return [table(heads, rows), f"{told} {text(untested(of))}".strip()]


def _words(all_words: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"{each['order']} in a row, with {side} texts: "
        + (", ".join(f"{text(word['text'])} ({words.fixed(word['z'], 1)})" for word in each[side]) or "none")
        + "."
        for each in all_words
        for side in ("lost", "kept")
    ]


def _flows(all_flows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        table(
            ["Gold", text(each["before"]), text(each["after"]), "What", "Count"],
            [
                [
                    text(flow["gold"]),
                    text(flow["before"]),
                    text(flow["after"]),
                    flow["kind"],
                    words.fixed(flow["count"], 1),
                ]
                for flow in each["flows"]
            ],
            words_in=4,
        )
        for each in all_flows
        if each["flows"]
    ]


def _calibration(of: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            text(row["name"]),
            fitted_temperature(row["temperature"][n]),
            *(
                words.fixed(row[when][score][n], 3)
                for score in ("ece", "nll")
                for when in ("before", "after")
            ),
        ]
        for row in of["calibration"]
        for n in range(len(row["temperature"]))
    ]
    return [table(["Model", "T", "ECE before", "after", "NLL before", "after"], rows)] if rows else []


def _sharpness(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    return [
        table(
            ["Temperature", "Confidence, %", "Above 99%, %", "Entropy, bits"],
            [
                [
                    words.axis(row["temperature"]) + (" (the recipe's)" if row["in_recipe"] else ""),
                    words.score("accuracy", row["confidence"]),
                    words.score("accuracy", row["sure"]),
                    words.fixed(row["entropy"], 3),
                ]
                for row in rows
            ],
        )
    ]


def _sources(of: Mapping[str, Any]) -> list[str]:
    if not of["sources"]:
        return []
    roles = [role for role in ("student", "control") if role in of["cast"]]
    rows = [
        [text(row["source"]), words.count(row["texts"]), *(words.fixed(row[role], 3) for role in roles)]
        for row in of["sources"]
    ]
    return [table(["Text", "Looked at", *(role.capitalize() for role in roles)], rows)]


def _agreement(of: Mapping[str, Any]) -> list[str]:
    told = of["agreement"]
    rows = [
        [text(name), *(words.fixed(value, 3) for value in row)]
        for name, row in zip(told["models"], told["share"], strict=True)
    ]
    return [table([text(told["what"]), *map(text, told["models"])], rows)]


def _reading(of: Mapping[str, Any]) -> list[str]:
    kinds = OF_TRANSLATIONS if of["task"] == "translation" else KINDS
    parts = []
    for kind in dict.fromkeys(one["kind"] for one in of["reading"]):
        lines = [_text(one) for one in of["reading"] if one["kind"] == kind]
        parts.append(f"{kinds[kind]}:\n\n" + "\n".join(f"1. {line}" for line in lines))
    return parts


def _text(one: Mapping[str, Any]) -> str:
    shown = one["text"] if len(one["text"]) <= LONGEST else one["text"][: LONGEST - 1] + "…"
    said = ", ".join(f"{role} {_answer(value)}" for role, value in one["said"].items())
    return f"{text(shown)} (gold {_answer(one['gold'])}; {said})"


def _answer(value: Any) -> str:
    if isinstance(value, float):
        return words.fixed(value, 2)
    return text((", ".join(value) or "nothing") if isinstance(value, list | tuple) else value)
