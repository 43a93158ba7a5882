"""Outside: what a student depends on that stands beside the data, and that a recipe names but does not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limbeck.models.embeddings import files_read
from limbeck.text import resources

if TYPE_CHECKING:
    from limbeck.pipeline.run import Run


def outside(run: Run, method: str, settings: object) -> dict[str, Any]:
    """Contents of an encoder, of word vectors and of a method of one's own, and the class that a score is of.

    Args:
        run: Whose.
        method: Name of the method that teaches it.
        settings: The student's.

    Returns:
        Keys of what there is alone, so that runs without stay what they were.
    """
    encoder = getattr(settings, "encoder", None)
    vectors = files_read(settings)
    own = resources.file_of_module(method) if "." in method.strip(".") else None
    return {
        **({"encoder": resources.contents(encoder)} if encoder else {}),
        **({"vectors": [resources.contents(file) for file in vectors]} if vectors else {}),
        **({"own method": resources.contents(own)} if own else {}),
        **({"positive": run.recipe.positive} if run.recipe.positive else {}),
    }
