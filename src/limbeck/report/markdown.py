"""The report as Markdown: the headline and the tables, for a README, an issue or a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from limbeck.report import forest, words
from limbeck.report.by_type import TypeTable
from limbeck.report.disputes import Disputes, Sentence
from limbeck.report.facts import Run, Summary
from limbeck.report.markdown_parts import table, text
from limbeck.report.markdown_text import transfer_text
from limbeck.report.markdown_translated import measured, translated
from limbeck.report.scored import ScoreDisputes, ScoredText
from limbeck.report.tagged import Line, Piece, TagDisputes, TaggedSentence
from limbeck.report.views import RunView

SHOWN = 5
"""Disputed sentences of each kind; the page has more."""

DECIDING = 15
"""Features of a forest; the page has more."""

WHO_IS_RIGHT = {
    "teacher": "Only the teacher is right",
    "student": "Only the student is right",
    "neither": "Both are wrong, each in its own way",
}
SEVERAL = "Score"
"""Heading of the scores of runs that different ones decide."""


def render(views: Sequence[RunView], page: str) -> str:
    """The whole file; ``page`` is the name of the HTML page beside it."""
    title = text(views[0].run.name) if len(views) == 1 else f"{len(views)} runs compared"
    blocks = [f"# {title}"]
    if len(views) > 1:
        blocks.append(comparison(views))
    for each in views:
        blocks += _run(each, "##" if len(views) == 1 else "###", named=len(views) > 1)
    blocks.append(f"Pictures, more sentences, the recipe and the fingerprints: [{text(page)}](<{page}>).")
    return "\n\n".join(blocks) + "\n"


def _run(each: RunView, level: str, named: bool) -> Iterator[str]:
    run = each.run
    if named:
        yield f"## {text(run.name)}"
    yield f"**{text(each.headline.sentence)}**"
    if each.headline.basis:
        yield " ".join(text(sentence) for sentence in each.headline.basis)
    yield from _outcome(each, level)
    yield from translated(each, level)
    yield from _texts(each, level)


def _outcome(each: RunView, level: str) -> Iterator[str]:
    """What came out of a run: scores, gains, costs, and the student itself where it can be read."""
    run = each.run
    yield f"{level} Results on test"
    yield results(each)
    if run.translating:
        known = ((name, run.evaluation.signatures.get(name)) for name in ("bleu", "chrf"))
        yield "; ".join(f"{words.METRICS[name]} by sacrebleu: `{told}`" for name, told in known if told)
    if run.evaluation.gains:
        yield f"{level} Gains, paired bootstrap, {words.percent(run.interval, 0)} interval"
        yield _gains(run)
    if run.evaluation.cost:
        yield f"{level} Cost"
        yield _costs(run)
    if run.forerunners:
        yield f"{level} Before the student"
        yield _forerunners(run)
    for grown in each.forests[:1]:
        yield f"{level} The tree of {text(grown.title)}"
        yield from _forest(grown)


def _texts(each: RunView, level: str) -> Iterator[str]:
    """What models learned from, and the texts on which they part."""
    run = each.run
    if each.data:
        yield f"{level} Data"
        yield from _data(each)
    if each.text:
        yield f"{level} Transfer text"
        yield from transfer_text(each.text)
    if each.types:
        by = "Label by label" if run.of_sets else "Entities by type" if run.has_spans else "Tag by tag"
        yield f"{level} {by}"
        yield from map(_types, each.types)
    if run.disputes:
        yield f"{level} Where teacher and {text(run.disputes.student)} part ways"
        yield from _parting(run.disputes)
    if each.analysis:
        yield f"{level} What was lost"
        yield f"{text(each.analysis.headline)}. [The analysis]({each.analysis.address}) tells where."


def _forerunners(run: Run) -> str:
    """Teachers that make up an ensemble, and models between teacher and student."""
    heads = ["Model", "Parameters", "Steps", f"{words.METRICS.get(run.metric, run.metric)} on dev"]
    rows = [
        [
            text(each.name),
            words.count(each.parameters),
            words.count(each.steps),
            words.score(run.metric, each.dev_score),
        ]
        for each in run.forerunners
    ]
    return table(heads, rows)


def results(each: RunView) -> str:
    """The result table: teacher, control and every method, mean and deviation over seeds."""
    heads = ["Model", "Seeds", *(_head(metric) for metric in each.metrics), "Kept"]
    closes = any(summary.closed is not None for summary in each.run.evaluation.summary)
    heads += ["Gap closed"] if closes else []
    heads += ["Gain over control"] if each.run.control else []
    rows = []
    for summary in each.run.evaluation.summary:
        cells = [
            text(each.run.shown(summary.name)),
            words.MISSING if summary.role == "teacher" else words.count(summary.seeds),
        ]
        cells += [_mean(summary, metric) + _between(each.run, summary, metric) for metric in each.metrics]
        cells.append(words.percent(summary.retention) if summary.role != "teacher" else words.MISSING)
        if closes:
            cells.append(words.percent(summary.closed, 0))
        if each.run.control:
            gain = each.over_control(summary)
            shown = (
                f"{words.difference(gain.metric, gain.gain)} ({words.spread(gain)})"
                if gain
                else words.MISSING
            )
            cells.append(shown)
        rows.append(cells)
    return table(heads, rows)


def comparison(views: Sequence[RunView]) -> str:
    """One row a run: its student against its teacher and control."""
    heads = ["Run", "Student", scored(views), "Kept", "Gain over control", "One sentence", "Faster", "Size"]
    return table(heads, [list(map(text, compared(each, views))) for each in views], words_in=2)


def scored(views: Sequence[RunView]) -> str:
    """The heading of the runs' scores: their metric, if all have the same."""
    metrics = {each.run.main for each in views}
    return words.METRICS[metrics.pop()] if len(metrics) == 1 else SEVERAL


def compared(each: RunView, views: Sequence[RunView]) -> tuple[str, ...]:
    """A run in one row beside others, as plain text: name, student, score, kept, gain, latency, times faster, size."""
    run, student = each.run, each.run.student
    if student is None:
        return (run.name, *[words.MISSING] * 7)
    gain, cost = each.over_control(student), run.deployed(student.name)
    faster = cost.times_faster if cost else None
    metric = f" {words.in_text(run.main)}" if scored(views) == SEVERAL else ""
    return (
        run.name,
        student.name,
        words.score(run.main, student.mean.get(run.main)) + metric,
        words.percent(student.retention),
        f"{words.difference(gain.metric, gain.gain)} ({words.spread(gain)})" if gain else words.MISSING,
        f"{words.significant(cost.p50_ms)} ms" if cost and cost.p50_ms else words.MISSING,
        f"{words.times(faster)}×" if faster else words.MISSING,
        words.size(cost.bytes) if cost else words.MISSING,
    )


def _forest(grown: forest.ForestView) -> Iterator[str]:
    """A tree as text, and the features that decide most."""
    yield text(grown.size)
    yield f"```text\n{forest.as_text(grown.forest)}\n```"
    rows = [
        [text(used.name), words.count(used.splits), words.percent(used.share)]
        for used in grown.forest.used[:DECIDING]
    ]
    yield table(["Feature", "Splits", "Importance"], rows)


def _head(metric: str) -> str:
    return text(words.METRICS.get(metric, metric)) + (", %" if metric in words.IN_PERCENT else "")


def _mean(summary: Summary, metric: str) -> str:
    shown = words.score(metric, summary.mean.get(metric))
    deviation = summary.deviation.get(metric)
    return shown if summary.seeds < 2 or deviation is None else f"{shown} ± {words.score(metric, deviation)}"


def _between(run: Run, summary: Summary, metric: str) -> str:
    """The interval of a score that has one."""
    found = run.spread(summary.name, None, metric)
    return f" ({words.score(metric, found.low)} to {words.score(metric, found.high)})" if found else ""


def _gains(run: Run) -> str:
    rows = [
        [
            f"{text(run.shown(gain.of))} over {text(run.shown(gain.over))}",
            text(words.METRICS.get(gain.metric, gain.metric)),
            words.difference(gain.metric, gain.gain),
            words.spread(gain),
            words.p_value(gain.p),
        ]
        for gain in run.evaluation.gains
    ]
    return table(["Comparison", "Metric", "Gain", "Interval", "p"], rows, words_in=2)


def _costs(run: Run) -> str:
    counted = any(each.passes is not None for each in run.evaluation.faults)
    rows = [
        [
            text(run.shown(cost.name)),
            words.ENGINES.get(cost.engine, text(cost.engine)),
            words.count(cost.parameters),
            words.size(cost.bytes),
            words.significant(cost.p50_ms),
            words.significant(cost.p95_ms),
            words.count(cost.per_second),
            f"{words.times(cost.times_faster)}×" if cost.times_faster else words.MISSING,
            *([words.fixed(run.passes(cost.name), 1)] if counted else []),
        ]
        for cost in run.evaluation.cost
    ]
    heads = ["Model", "Engine", "Parameters", "Size", "p50, ms", "p95, ms", "Sentences/s", "Faster"]
    return table([*heads, *(["Passes"] if counted else [])], rows, words_in=2)


def _data(each: RunView) -> Iterator[str]:
    data = each.data
    assert data is not None
    if data.read:
        rows = [
            [text(name), words.count(read), text(words.listed(dropped)) or words.MISSING]
            for name, read, dropped in data.read
        ]
        yield table(["Set", "Read", "Dropped"], rows)
    if data.pairs:
        yield measured(data.pairs, "Set")
    if data.notes:
        yield "\n".join(f"- {text(note)}" for note in data.notes)


def _types(of: TypeTable) -> str:
    heads = ["Type", "In gold"]
    heads += [f"{text(name)} {what}" for name, _ in of.models for what in ("P", "R", "F1")]
    rows = [
        [
            text(kind),
            words.count(support),
            *(
                words.score("f1", getattr(one, what)) if one else words.MISSING
                for one in scores
                for what in ("precision", "recall", "f1")
            ),
        ]
        for kind, support, scores in of.rows
    ]
    return table(heads, rows)


def _parting(disputes: Disputes | TagDisputes | ScoreDisputes) -> Iterator[str]:
    if isinstance(disputes, TagDisputes):
        return _tagged(disputes)
    return _scored(disputes) if isinstance(disputes, ScoreDisputes) else _disputes(disputes)


def _scored(disputes: ScoreDisputes) -> Iterator[str]:
    yield (
        f"Of {words.plural(disputes.total, 'text')} the teacher is nearer to gold on "
        f"{words.count(disputes.teacher_nearer)}, the student on {words.count(disputes.student_nearer)}."
    )
    for who, texts in (("teacher", disputes.teacher_right), ("student", disputes.student_right)):
        if texts:
            yield f"The {who} is nearer by the most:"
            yield "\n".join(_scored_text(each) for each in texts[:SHOWN])


def _scored_text(each: ScoredText) -> str:
    said = ", ".join(f"{role} {words.fixed(score, 2)}" for role, score in each.said)
    return f"- {text(each.text[:200])} — gold {words.fixed(each.gold, 2)}; {said}"


def _tagged(disputes: TagDisputes) -> Iterator[str]:
    number = {kind.name: kind.count for kind in disputes.kinds}
    yield (
        f"Both right on {words.count(disputes.both)}, only the teacher on {words.count(number['teacher'])}, "
        f"only the student on {words.count(number['student'])}, neither on "
        f"{words.count(number['neither'] + disputes.agreed)}, {words.count(disputes.agreed)} of them alike."
    )
    for kind in disputes.kinds:
        if kind.sentences:
            yield f"{WHO_IS_RIGHT[kind.name]}:"
            yield "\n".join(_tagged_sentence(sentence) for sentence in kind.sentences[:SHOWN])


def _tagged_sentence(sentence: TaggedSentence) -> str:
    """Gold, and below it what the models have; spans in bold with their types in brackets."""
    as_gold = ", ".join(["gold", *(line.role for line in sentence.right)])
    lines = [f"- {as_gold}: {_words(sentence.lines[0])}"]
    return "\n".join([*lines, *(f"  - {line.role}: {_words(line)}" for line in sentence.wrong)])


def _words(line: Line) -> str:
    return " ".join(map(_piece, line.pieces))


def _piece(piece: Piece) -> str:
    return text(piece.text) if piece.type is None else f"**{text(piece.text)}** ({text(piece.type)})"


def _disputes(disputes: Disputes) -> Iterator[str]:
    yield "Both right on {}, only the teacher on {}, only the student on {}, neither on {}.".format(
        *map(words.count, (disputes.both, disputes.teacher_only, disputes.student_only, disputes.neither))
    )
    for who, sentences in (("teacher", disputes.teacher_right), ("student", disputes.student_right)):
        if sentences:
            yield f"Only the {who} is right:"
            yield "\n".join(_sentence(sentence) for sentence in sentences[:SHOWN])


def _sentence(sentence: Sentence) -> str:
    said = ", ".join(f"{o.role} {text(o.label)} {words.percent(o.confidence, 0)}" for o in sentence.opinions)
    shown = sentence.text if len(sentence.text) <= 200 else sentence.text[:199] + "…"
    return f"- {text(shown)} — gold {text(sentence.gold)}; {said}"
