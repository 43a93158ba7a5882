"""Token ids scored on their way: as sacrebleu scores the text that they spell."""

import numpy as np
import pytest
import sacrebleu

from limbeck.core.example import Example
from limbeck.core.sources import Vocabulary
from limbeck.evaluate.translation_score import scorer
from limbeck.text.subwords import Subwords
from limbeck.text.translations import encode_translations

PAIRS = [
    ("a dog runs over the grass", ("ein Hund rennt über die Wiese", "ein Hund läuft über das Gras")),
    ("two men are sitting on a bench", ("zwei Männer sitzen auf einer Bank",)),
    ("a child laughs", ("ein Kind lacht",)),
]
EXAMPLES = [Example(str(number), text, targets=targets) for number, (text, targets) in enumerate(PAIRS)]
SAID = ["ein Hund läuft über die Wiese", "zwei Männer sitzen auf der Bank", "ein Kind"]


@pytest.fixture(scope="module")
def subwords() -> Subwords:
    return Subwords.learn(EXAMPLES, Vocabulary(size=320))


def ids(subwords: Subwords, texts: list[str]) -> list[tuple[int, ...]]:
    """As a translator writes them, without the end."""
    said = [Example(str(number), "", targets=(text,)) for number, text in enumerate(texts)]
    targets = encode_translations(subwords, said, (), 64).targets
    assert targets is not None
    return [tuple(row[:-1].tolist()) for row in np.split(targets.tokens, targets.offsets[1:-1])]


def test_points_are_sacrebleus(subwords: Subwords) -> None:
    found = scorer(subwords, EXAMPLES)(np.zeros(0, np.int64), ids(subwords, SAID))
    streams = [[targets[0] for _, targets in PAIRS], [PAIRS[0][1][1], None, None]]
    assert found == pytest.approx(
        {
            "bleu": sacrebleu.corpus_bleu(SAID, streams).score,
            "chrf": sacrebleu.corpus_chrf(SAID, streams).score,
        }
    )
    assert 20 < found["bleu"] < 80


def test_gold_scores_a_hundred_and_silence_nothing(subwords: Subwords) -> None:
    score = scorer(subwords, EXAMPLES)
    gold = ids(subwords, [targets[-1] for _, targets in PAIRS])
    assert score(np.zeros(0, np.int64), gold) == pytest.approx({"bleu": 100.0, "chrf": 100.0})
    assert score(np.zeros(0, np.int64), [(), (), ()]) == {"bleu": 0.0, "chrf": 0.0}
