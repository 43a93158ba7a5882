"""BLEU and chrF of sums, against sacrebleu's own corpus and sentence scores."""

from __future__ import annotations

from unicodedata import normalize

import numpy as np
import pytest
import sacrebleu
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from limbeck.core.errors import LimbeckError
from limbeck.evaluate.bleu import SENTENCE_METRICS, Scorer, bleu, chrf, score
from limbeck.evaluate.bootstrap import resampled_sums

WORDS = [
    "ein",
    "Hund",
    "rennt",
    "schnell",
    "über",
    "die",
    "grüne",
    "Wiese",
    "und",
    "ein",
    "Kind",
    "lacht",
    "laut",
    ",",
    "weil",
    "es",
    "regnet",
    ".",
]


def test_an_accent_of_its_own_is_no_other_letter() -> None:
    apart = [normalize("NFD", "Grüße über die grüne Wiese"), "ein Kind lacht"]
    whole = [normalize("NFC", text) for text in apart]
    for said, wanted in ((apart, whole), (whole, apart), (apart, apart)):
        assert score(said, [(text,) for text in wanted]) == pytest.approx({"bleu": 100, "chrf": 100})


def sentences(count: int, seed: int, longest: int = 14) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(1, longest))) for _ in range(count)]


def spoilt(texts: list[str], share: float, seed: int) -> list[str]:
    """Some words of each text replaced, some left out."""
    random = np.random.default_rng(seed)
    out = []
    for text in texts:
        words = [str(random.choice(WORDS)) if random.random() < share else word for word in text.split()]
        out.append(" ".join(word for word in words if random.random() > share / 2))
    return out


def streams(references: list[tuple[str, ...]]) -> list[list[str | None]]:
    most = max(map(len, references))
    return [[one[n] if n < len(one) else None for one in references] for n in range(most)]


CASES = {
    "one reference": (spoilt(sentences(60, 0), 0.3, 1), [(one,) for one in sentences(60, 0)]),
    "two references": (
        spoilt(sentences(60, 0), 0.3, 1),
        list(zip(sentences(60, 0), spoilt(sentences(60, 0), 0.5, 2), strict=True)),
    ),
    "one or two": (
        spoilt(sentences(40, 3), 0.4, 4),
        [
            (one,) if n % 3 else (one, one[: len(one) // 2] + " Kind")
            for n, one in enumerate(sentences(40, 3))
        ],
    ),
    "too long": ([f"{one} {one}" for one in sentences(30, 5)], [(one,) for one in sentences(30, 5)]),
    "some empty": (["", *sentences(5, 6), "  "], [(one,) for one in sentences(7, 6)]),
    "all empty": ([""] * 4, [(one,) for one in sentences(4, 7)]),
    "short words only": (["ein", "Hund", "Kind"], [("ein",), ("Hund",), ("lacht",)]),
    "no longer matches": (["Hund ein Kind die laut"] * 3, [("ein Hund laut die Kind",)] * 3),
    "nothing right": (["xx yy zz qq"] * 3, [("ein Hund rennt schnell",)] * 3),
    "empty reference": (["ein Hund", "ein Kind lacht laut"], [("",), ("ein Kind lacht laut",)]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_corpus_scores_as_sacrebleu_scores_it(case: str) -> None:
    said, references = CASES[case]
    scorer = Scorer(references)
    sums = scorer.counts(said).sum(axis=0)
    expected = sacrebleu.corpus_bleu(said, streams(references))
    assert float(bleu(sums)) == pytest.approx(expected.score, abs=1e-9)
    assert float(chrf(sums)) == pytest.approx(
        sacrebleu.corpus_chrf(said, streams(references)).score, abs=1e-9
    )
    assert list(sums[:10]) == [expected.sys_len, expected.ref_len, *expected.counts, *expected.totals]
    assert score(said, references) == {"bleu": float(bleu(sums)), "chrf": float(chrf(sums))}


@pytest.mark.parametrize("case", CASES)
def test_a_sentence_scores_as_sacrebleu_scores_it(case: str) -> None:
    said, references = CASES[case]
    counts = Scorer(references).counts(said)
    for row, (text, these) in enumerate(zip(said, references, strict=True)):
        expected = sacrebleu.sentence_bleu(text, these).score, sacrebleu.sentence_chrf(text, these).score
        assert float(SENTENCE_METRICS["bleu"](counts[row])) == pytest.approx(expected[0], abs=1e-9)
        assert float(SENTENCE_METRICS["chrf"](counts[row])) == pytest.approx(expected[1], abs=1e-9)


def test_leading_axes_are_free() -> None:
    said, references = CASES["two references"]
    counts = Scorer(references).counts(said).reshape(3, 20, 28)
    for metric in (bleu, chrf):
        whole = metric(counts.sum(axis=1))
        assert whole.shape == (3,)
        assert [float(metric(part.sum(axis=0))) for part in counts] == whole.tolist()


def test_signatures_are_sacrebleus_own() -> None:
    said, references = CASES["one or two"]
    own = BLEU(), CHRF()
    for metric in own:
        metric.corpus_score(said, streams(references))
    assert Scorer(references).signatures == {
        "bleu": str(own[0].get_signature()),
        "chrf": str(own[1].get_signature()),
    }
    assert "nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp" in Scorer(references).signatures["bleu"]


def test_chinese_is_cut_by_character() -> None:
    said, references = ["我喜欢猫和狗"], [("我喜欢狗和猫",)]
    expected = sacrebleu.corpus_bleu(said, [["我喜欢狗和猫"]], tokenize="zh").score
    assert score(said, references, language="zh")["bleu"] == pytest.approx(expected)
    assert score(said, references)["bleu"] == 0.0


def test_the_bootstrap_is_sacrebleus_in_spirit() -> None:
    """Its paired test gives the same systems' difference, and an interval of about the same width."""
    from sacrebleu.significance import PairedTest

    truth = sentences(200, 8)
    systems = {"base": spoilt(truth, 0.4, 9), "ours": spoilt(truth, 0.3, 10), "same": spoilt(truth, 0.4, 9)}
    scorer = Scorer([(one,) for one in truth])
    counts = np.stack([scorer.counts(said) for said in systems.values()])
    scores = resampled_sums(counts, {"bleu": bleu, "chrf": chrf}, resamples=1000)
    metrics = {"BLEU": BLEU(references=[truth]), "chrF2": CHRF(references=[truth])}
    _, found = PairedTest([*systems.items()], metrics, references=None, test_type="bs", n_samples=1000)()
    for name, theirs in (("bleu", found["BLEU"]), ("chrf", found["chrF2"])):
        gain = scores.gain(name, [1], [0])
        assert gain.gain == pytest.approx(theirs[1].score - theirs[0].score, abs=1e-9)
        assert gain.p < 0.05 and theirs[1].p_value < 0.05
        spread = 1.96 * scores.drawn[name][:, 0].std()
        assert spread == pytest.approx(theirs[0].ci, rel=0.15)
        assert scores.gain(name, [2], [0]).p == 1.0


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(LimbeckError, match="2 sentences have references, and 1 were translated"):
        Scorer([("a",), ("b",)]).counts(["a"])
    with pytest.raises(LimbeckError, match="sentence 2 has no reference"):
        Scorer([("a",), ()])
    with pytest.raises(LimbeckError, match="no references"):
        Scorer([])
