"""The page that a person finds in a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PAGE = """\
# {name}

A {what}, distilled with Limbeck {version}: {model},
{parameters:,} parameters.

{names}: {labels}. Texts are cut after {max_length} tokens.{more}

## Use

It needs `numpy`, `onnxruntime` and `tokenizers`, and no PyTorch.

```python
{example}```

or `limbeck predict path/to/this/folder "The first text."`

## Files

| file | bytes | largest difference of {score} to PyTorch | {told} changed |
|---|--:|--:|--:|
{files}

## Facts

| | |
|---|---|
{facts}
"""

OF_TASK = {
    "classification": {
        "what": "text classifier",
        "names": "Labels",
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
    "tagging": {
        "what": "tagger of words",
        "names": "Tags",
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
}
"""What the page says in other words for classifiers and for taggers."""

DECODING = {
    True: "Only sequences of tags that are valid IOB2 are decoded.",
    False: "Any sequence of tags may be decoded.",
}
"""By whether a tagger is constrained."""


def card_page(report: Mapping[str, Any]) -> str:
    """The bundle's README.md in Markdown.

    Args:
        report: What ``bundle.json`` says.
    """
    models = {"model.onnx": "fp32", "model.int8.onnx": "int8"}
    parity = {name: report["parity"].get(models.get(name, "")) for name in report["bytes"]}
    files = [
        f"| {name} | {size:,} | {_parity_cells(parity[name])} |" for name, size in report["bytes"].items()
    ]
    versions = {f"version of {name}": value for name, value in report["versions"].items()}
    facts = {**report["card"], **versions}
    in_words = OF_TASK[report["task"]]
    if report["task"] == "tagging":
        decoding = DECODING[report["chain"]["constrained"]]
        in_words = {**in_words, "more": in_words["more"].format(decoding=decoding)}
    return PAGE.format(
        **in_words,
        name=_cell(report["card"].get("name", "student")),
        version=report["versions"]["limbeck"],
        model=report["model"],
        parameters=report["parameters"],
        labels=", ".join(f"`{label}`" for label in report["labels"]),
        max_length=report["max_length"],
        files="\n".join(files),
        facts="\n".join(f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items()),
    )


def _parity_cells(parity: Mapping[str, float] | None) -> str:
    if parity is None:
        return " | "
    return f"{100 * parity['largest_difference']:.2g}% | {100 * parity['changed']:.1f}%"


def _cell(value: Any) -> str:
    """A value that breaks no table."""
    return str(value).replace("|", "\\|").replace("\n", " ")
