"""The posterior of a language, by hand; where it stands in the triangle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from limbeck.analyse.modes import CORNERS, Languages, decided, decided_for, in_triangle, posteriors
from limbeck.core.errors import LimbeckError

TEXTS = {"de": ["der hund", "der"], "fr": ["le chien"], "es": ["el perro", "el hund"]}


def test_by_hand() -> None:
    languages = Languages.of(TEXTS, strength=1)
    # Six words. hund: de (1 + 1)/(3 + 6), fr 1/(2 + 6), es (1 + 1)/(4 + 6); der: 3/9, 1/8, 1/10.
    hund, der = np.array([2 / 9, 1 / 8, 2 / 10]), np.array([3 / 9, 1 / 8, 1 / 10])
    expected = (hund / hund.sum() + der / der.sum()) / 2
    assert languages.names == ("de", "fr", "es")
    assert languages.posteriors(["der hund"]) == pytest.approx(expected[None])


def test_unknown_words_and_none_have_the_prior() -> None:
    languages = Languages.of(TEXTS, prior=(2, 1, 1))
    assert languages.posteriors(["", "zebra", "zebra zebra"]) == pytest.approx(
        np.tile([0.5, 0.25, 0.25], (3, 1))
    )
    assert languages.posteriors([]).shape == (0, 3)


def test_a_prior_weighs() -> None:
    balanced, leaning = (
        Languages.of(TEXTS, prior=prior).posteriors(["hund"])[0] for prior in ((1, 1, 1), (1, 1, 9))
    )
    assert leaning[2] > balanced[2]


@given(st.lists(st.text("derlhuncpo ", max_size=20), min_size=1))
def test_posteriors_sum_to_one_and_stand_in_the_triangle(outputs: list[str]) -> None:
    found = posteriors(outputs, TEXTS)
    assert found.sum(axis=1) == pytest.approx(np.ones(len(outputs)))
    places = in_triangle(found)
    assert (places[:, 1] >= -1e-9).all() and (places[:, 1] <= CORNERS[2, 1] + 1e-9).all()


def test_each_languages_text_is_near_its_corner() -> None:
    found = posteriors(["der der", "le chien", "el perro el", "der chien perro"], TEXTS)
    assert found[:3].argmax(axis=1).tolist() == [0, 1, 2]
    assert (found[:3].max(axis=1) > 0.9).all()
    assert decided(found) == 0.75
    assert decided_for(found).tolist() == [0.25, 0.25, 0.25]
    assert np.isnan(decided(found[:0]))
    assert in_triangle(np.eye(3)) == pytest.approx(CORNERS)
    assert np.linalg.norm(in_triangle(found)[3] - CORNERS.mean(axis=0)) < 0.05


def test_refusals() -> None:
    with pytest.raises(LimbeckError, match="two languages or more"):
        posteriors(["x"], {"de": ["x"]})
    with pytest.raises(LimbeckError, match="no text in the language 'fr'"):
        posteriors(["x"], {"de": ["x"], "fr": [""]})
    with pytest.raises(LimbeckError, match="three languages, and there are 2"):
        in_triangle(np.ones((1, 2)))
