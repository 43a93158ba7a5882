"""The page that a person finds in a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PAGE = """\
# {name}

A text classifier, distilled with Limbeck {version}: {model},
{parameters:,} parameters.

Labels: {labels}. Texts are cut after {max_length} tokens.

## Use

It needs `numpy`, `onnxruntime` and `tokenizers`, and no PyTorch.

```python
from limbeck import Bundle

bundle = Bundle("path/to/this/folder")
for prediction in bundle.predict(["The first text.", "The second."]):
    print(prediction.label, prediction.score)
```

or `limbeck predict path/to/this/folder "The first text."`

## Files

| file | bytes | largest difference of a logit to PyTorch | predictions changed |
|---|--:|--:|--:|
{files}

## Facts

| | |
|---|---|
{facts}
"""


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
    return PAGE.format(
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
