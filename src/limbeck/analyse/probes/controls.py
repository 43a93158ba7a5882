"""Control tasks: labels that only memory can tell (Hewitt and Liang 2019, "Designing and Interpreting Probes").

Each type (the lower-cased last word of a span, of a pair that of the second one) is given one random class, drawn as
often as classes come in the task, and every example of the type has it. Nothing of language is in these labels, so a
probe that tells them well would tell anything: selectivity is its accuracy on the task less that on the control task.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from limbeck.analyse.probes.task import Edge, EdgeTask


def control(task: EdgeTask, seed: int) -> EdgeTask:
    """The same spans with random classes, one a type.

    Args:
        task: The real task.
        seed: Says which classes.
    """
    random = np.random.default_rng(seed)
    classes, counts = np.unique(np.array([edge.label for edge in task.edges]), return_counts=True)
    types = sorted({edge.type for edge in task.edges})
    drawn = dict(
        zip(types, random.choice(classes, len(types), p=counts / counts.sum()).tolist(), strict=True)
    )
    edges: list[Edge] = [replace(edge, label=drawn[edge.type]) for edge in task.edges]
    return replace(task, name=f"{task.name} (control)", edges=edges)
