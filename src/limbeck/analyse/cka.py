"""Linear CKA: how alike two sets of states are, up to rotation and scale (Kornblith et al. 2019, equation 5).

    CKA(X, Y) = ||Yᵀ X||²_F / (||Xᵀ X||_F ||Yᵀ Y||_F)

for states of the same examples, ``(examples, width)``, each centred over the examples. It is 1 where one is a rotation
and scaling of the other, and near 0 where they have nothing in common and examples are many more than the widths.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def linear_cka(first: Floats, second: Floats) -> float:
    """CKA of two sets of states.

    Args:
        first: ``(examples, width)``.
        second: ``(examples, another width)``, of the same examples.

    Returns:
        From 0 to 1; 0 where one of them says the same of all examples.

    Raises:
        ValueError: They are of different numbers of examples.
    """
    return float(cka_matrix([first], [second])[0, 0])


def cka_matrix(rows: Sequence[Floats], columns: Sequence[Floats]) -> NDArray[np.float64]:
    """CKA of each of some sets of states with each of others.

    Args:
        rows: Each ``(examples, width)``, of any width.
        columns: Likewise, of the same examples.

    Returns:
        ``(rows, columns)``.

    Raises:
        ValueError: They are of different numbers of examples.
    """
    if len({len(each) for each in (*rows, *columns)}) > 1:
        raise ValueError("states of different numbers of examples")
    left, right = [_centred(each) for each in rows], [_centred(each) for each in columns]
    of_left = np.array([np.linalg.norm(x.T @ x) for x in left])
    of_right = np.array([np.linalg.norm(y.T @ y) for y in right])
    both = np.array([[np.square(y.T @ x).sum() for y in right] for x in left])
    scale = of_left[:, None] * of_right
    found: NDArray[np.float64] = np.divide(both, scale, out=np.zeros_like(both), where=scale > 0)
    return np.clip(found, 0.0, 1.0)


def _centred(states: Floats) -> NDArray[np.float64]:
    """Centred over the examples, and of one norm, so that squares neither overflow nor vanish."""
    wide = np.asarray(states, dtype=np.float64)
    centred = wide - wide.mean(0)
    norm = np.linalg.norm(centred)
    # What is left of equal rows is rounding.
    same = norm <= 1e-12 * np.linalg.norm(wide) or norm == 0
    return np.zeros_like(centred) if same else centred / norm
