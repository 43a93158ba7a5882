"""The page that a person finds in a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limbeck.serve.exported import ENDINGS

PAGE = """\
# {name}

A {what}, distilled with Limbeck {version}: {model},
{parameters:,} parameters.

{names}. Texts are cut after {max_length} tokens.{more}

## Use

It needs `numpy`, `onnxruntime` and `tokenizers`, and no PyTorch.

```python
{example}```

or `limbeck predict path/to/this/folder {asked}`

## Files

| file | bytes | largest difference of {score} to PyTorch | {told} changed |
|---|--:|--:|--:|
{files}

## Facts

| | |
|---|---|
{facts}
"""

TEXTS = '["The first text.", "The second."]'
PAIRS = '[("The first text.", "The second."), ("Another pair.", "Its second text.")]'
"""What a student of single texts is asked in an example, and one of pairs."""

OF_TASK = {
    "classification": {
        "what": "text classifier",
        "names": "Labels: {labels}",
        "more": "",
        "score": "a logit",
        "told": "predictions",
        "example": """\
from limbeck import Bundle

bundle = Bundle("path/to/this/folder")
for prediction in bundle.predict(["The first text.", "The second."]):
    print(prediction.label, prediction.score)
""",
    },
    "multilabel": {
        "what": "classifier of texts that may have several labels",
        "names": "Labels: {labels}",
        "more": " A text has the labels whose\nprobability is above one half, perhaps none.",
        "score": "a logit",
        "told": "sets of labels",
        "example": """\
from limbeck import LabelsBundle

bundle = LabelsBundle("path/to/this/folder")
for prediction in bundle.predict(["The first text.", "The second."]):
    print(prediction.labels, prediction.scores)
""",
    },
    "regression": {
        "what": "model that gives texts a score",
        "names": "It says one number, in the unit of its training data",
        "more": " A score counts as changed where it is\noff by more than 5% of the largest.",
        "score": "a score",
        "told": "scores",
        "example": """\
from limbeck import ScoreBundle

bundle = ScoreBundle("path/to/this/folder")
print(bundle.predict(["The first text.", "The second."]))
""",
    },
    "tagging": {
        "what": "tagger of words",
        "names": "Tags: {labels}",
        "more": " The words after that get the\ntag `O`. {decoding}",
        "score": "an emission",
        "told": "tags",
        "example": """\
from limbeck import TaggerBundle

bundle = TaggerBundle("path/to/this/folder")
for tagged in bundle.predict(["The first text.", ["The", "second", "in", "words"]]):
    print(tagged.words, tagged.tags)
    for span in tagged.spans:
        print(span.type, span.text, span.score)
""",
    },
    "translation": {
        "what": "translator",
        "names": "Decoding: {decoding}",
        "more": " {parity}",
        "score": "a log-probability",
        "told": "tokens",
        "example": """\
from limbeck import TranslatorBundle

bundle = TranslatorBundle("path/to/this/folder")
print(bundle.translate(["The first text.", "The second."]))
for translation in bundle.predict(["The first text."]):
    print(translation.text, translation.score)
""",
    },
}
"""What the page says in other words for each task."""

DECODING = {
    True: "Only sequences of tags that are valid IOB2 are decoded.",
    False: "Any sequence of tags may be decoded.",
}
"""By whether a tagger is constrained."""
PASSES = {
    "insertion": "tokens into all slots at once, in up to {passes} passes",
    "levenshtein": "tokens at all places at once, in up to {passes} iterations of up to three passes",
}
"""By the loop of a translator that makes several passes; others write all tokens in each."""


def card_page(report: Mapping[str, Any]) -> str:
    """The bundle's README.md in Markdown.

    Args:
        report: What ``bundle.json`` says.
    """
    parity = {name: report["parity"].get(_precision(name)) for name in report["bytes"]}
    files = [
        f"| {name} | {size:,} | {_parity_cells(parity[name])} |" for name, size in report["bytes"].items()
    ]
    versions = {f"version of {name}": value for name, value in report["versions"].items()}
    facts = {**report["card"], **versions}
    in_words = {**OF_TASK[report["task"]]}
    if report.get("pairs"):
        in_words["what"] += ", for pairs of texts"
        in_words["example"] = in_words["example"].replace(TEXTS, PAIRS)
    said = _said_of_task(report)
    in_words |= {name: in_words[name].format(**said) for name in ("names", "more")}
    return PAGE.format(
        **in_words,
        asked="$'The first text.\\tThe second.'" if report.get("pairs") else '"The first text."',
        name=_cell(report["card"].get("name", "student")),
        version=report["versions"]["limbeck"],
        model=report["model"],
        parameters=report["parameters"],
        max_length=report["max_length"],
        files="\n".join(files),
        facts="\n".join(f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items()),
    )


def _precision(file: str) -> str:
    """Of a model's file; of another file nothing."""
    return next((name for name in ("int8", "fp32") if file.endswith(ENDINGS[name])), "")


def _said_of_task(report: Mapping[str, Any]) -> dict[str, str]:
    """What fills the gaps in a task's words."""
    if report["task"] == "translation":
        return {"decoding": _decoding(report), "parity": _translations(report["parity"])}
    labels = ", ".join(f"`{label}`" for label in report["labels"])
    decoding = DECODING[report["chain"]["constrained"]] if "chain" in report else ""
    return {"labels": labels, "decoding": decoding}


def _decoding(report: Mapping[str, Any]) -> str:
    settings = report["decoding"]
    count = min(settings["candidates"], report.get("candidates", settings["candidates"]))
    tried = f"{count} length{'s' * (count > 1)} tried"
    if "loop" in report:
        if report["loop"].get("greedy"):
            return "one token in each pass"
        usual = f"all tokens at once, in up to {{passes}} passes, {tried}"
        return PASSES.get(report["loop"]["kind"], usual).format(**settings)
    if "candidates" in report:
        return f"all tokens at once, {tried}"
    if settings["search"] == "greedy":
        return "greedy search"
    return f"beam search, {settings['beams']} beams, length penalty {settings['length_penalty']:g}"


def _translations(parity: Mapping[str, Mapping[str, float]]) -> str:
    told = [
        f"{name} translates {100 * each['sentences']:.1f}% of texts otherwise than PyTorch (BLEU of its\n"
        f"translations against PyTorch's: {each['bleu']:.1f})."
        for name, each in parity.items()
    ]
    return "\n".join(told)


def _parity_cells(parity: Mapping[str, float] | None) -> str:
    if parity is None:
        return " | "
    return f"{100 * parity['largest_difference']:.2g}% | {100 * parity['changed']:.1f}%"


def _cell(value: Any) -> str:
    """A value that breaks no table."""
    return str(value).replace("|", "\\|").replace("\n", " ")
