"""The worked example of CONTRIBUTING.md is a method like any other: found, conforming, and fit to teach a student."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from limbeck import methods
from limbeck.core.objective import Batch
from limbeck.core.signals import Signals

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"


@pytest.fixture
def dotted_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The example, in a package of one's own."""
    (code,) = re.findall(r"```python\n(.*?)```", CONTRIBUTING.read_text(encoding="utf-8"), re.DOTALL)
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "my_method.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("my_package", "my_package.my_method"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "my_package.my_method"


def test_example_does_what_its_equation_says(dotted_path: str) -> None:
    (stage,) = methods.get(dotted_path).stages({"power": 2})
    student, teacher = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    loss = stage.objective(
        Signals(logits=student), Signals(logits=teacher), Batch(("a",), {}, torch.tensor([0]))
    )
    confidence = float(teacher.softmax(-1).max())
    assert float(loss.total) == pytest.approx(confidence**2 * (1 + 4), rel=1e-5)


@pytest.mark.recipe
def test_example_teaches_a_student_named_by_its_dotted_path(
    dotted_path: str, recipe_file: Callable[..., Path], tmp_path: Path
) -> None:
    from limbeck import distill

    result = distill(recipe_file(method=dotted_path, seeds=1))
    assert (result.folder / "students" / "my_method" / "seed-1" / "model.safetensors").is_file()
    assert {"teacher", "gold", "my_method"} == {row["name"] for row in result.rows}
