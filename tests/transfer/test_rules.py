"""Rules: what each one does to a sentence, how often, and that only seed and id decide it."""

import random
import re
from collections import Counter
from collections.abc import Sequence

import pytest

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.text.letters import token_spans
from limbeck.transfer.rewrites import rewrite, settings_for
from limbeck.transfer.rewrites.rules import Lexicon, Sentence, Settings
from limbeck.transfer.transfer_set import TransferSet
from limbeck.transfer.word_classes import InducedTagger

TEXTS = [
    "A lovely, warm film isn't 3d.",
    "the  plot was dull !",
    "dull actors, lovely plot",
    "",
    "orchestral",
]


def by_length(words: Sequence[str]) -> list[str]:
    """A tagger of one's own."""
    return [str(len(word)) for word in words]


def short(words: Sequence[str]) -> list[str]:
    return ["x"]


def examples(texts: list[str]) -> tuple[Example, ...]:
    return tuple(Example(f"t:{n}", text, "x", f"t:{n}") for n, text in enumerate(texts))


def test_words_and_marks_are_told_apart() -> None:
    text = TEXTS[0]
    found = [text[a:b] for a, b in token_spans(text)]
    assert found == ["A", "lovely", ",", "warm", "film", "isn't", "3d", "."]


def test_masks_take_single_words_as_often_as_they_should() -> None:
    text = " ".join(f"w{n}" for n in range(40))
    made = list(Settings(p_mask=0.1, p_pos=0, p_ng=0, n_iter=300).rewrite(examples([text])))
    for new in made:
        assert all(a in ("[MASK]", b) for a, b in zip(new.text.split(), text.split(), strict=True))
        masked = new.text.count("[MASK]")
        assert new.origin == f"rules of t:0: {masked} masked, 0 replaced"
    share = sum(new.text.count("[MASK]") for new in made) / (40 * len(made))
    assert share == pytest.approx(0.1, abs=0.012)


def test_replaced_words_have_the_tag_and_marks_and_spaces_stay() -> None:
    ours = Settings(p_mask=0, p_pos=0.5, p_ng=0, tagger=f"{__name__}.by_length")
    old = examples(TEXTS)
    made = list(ours.rewrite(old))
    known = {word for text in TEXTS for word in re.findall(r"[\w']+", text)}
    for new in made:
        source = next(one for one in old if one.id == new.id.partition("/")[0])
        assert re.sub(r"[\w']", "x", new.text) == re.sub(r"[\w']", "x", source.text)
        assert (new.text != source.text) == ("0 replaced" not in new.origin)
        assert set(re.findall(r"[\w']+", new.text)) <= known
    changed = {new.id.partition("/")[0] for new in made if "0 replaced" not in new.origin}
    assert changed == {"t:0", "t:1", "t:2"}  # no other word is as long


def test_another_word_comes_as_often_as_the_text_has_it() -> None:
    words = ["a"] * 5 + ["b"] * 3 + ["c"] * 2
    lexicon = Lexicon([Sentence.of(" ".join(words), [(2 * n, 2 * n + 1) for n in range(10)], ["t"] * 10)])
    steps = 700
    for word, others in (("a", {"b": 3, "c": 2}), ("b", {"a": 5, "c": 2}), ("c", {"a": 5, "b": 3})):
        drawn = Counter(lexicon.other("t", word, n / steps) for n in range(steps))
        total = sum(others.values())
        assert set(drawn) == set(others)
        assert all(abs(drawn[one] - steps * count / total) <= 1 for one, count in others.items())


def test_runs_are_of_one_to_five_words() -> None:
    text = "a b c d e f g h"
    made = list(Settings(p_mask=0, p_pos=0, p_ng=1, n_iter=400).rewrite(examples([text])))
    assert all(f" {new.text} " in f" {text} " and new.origin.endswith("a run of it") for new in made)
    assert {new.text for new in made} == {
        text[2 * start : 2 * (start + length) - 1] for length in range(1, 6) for start in range(9 - length)
    }


def test_only_seed_id_and_what_words_there_are_decide() -> None:
    ours = Settings(p_ng=0.3)
    old = examples(TEXTS * 2)
    made = {new.id: new for new in ours.rewrite(old)}
    assert {new.id: new for new in ours.rewrite(old[::-1])} == made
    other = {new.id: new for new in Settings(p_ng=0.3, seed=1).rewrite(old)}
    assert other != made
    quiet = Settings(p_pos=0)
    alone = [new for one in old for new in quiet.rewrite([one])]
    assert alone == list(quiet.rewrite(old))
    for one in old:
        assert sum(new.id.startswith(f"{one.id}/") for new in made.values()) == (
            ours.n_iter if one.text else 0
        )


def test_of_a_pair_one_side_changes_at_a_time() -> None:
    pair = Example("1", "the lovely film was warm", "x", second="a dull plot with actors")
    made = list(Settings(n_iter=60, p_pos=0).rewrite([pair]))
    for number, new in enumerate(made):
        assert (new.second if number % 2 == 0 else new.text) == (
            pair.second if number % 2 == 0 else pair.text
        )
    assert sum(new.text != pair.text for new in made) > 10 < sum(new.second != pair.second for new in made)


def test_nothing_of_dev_or_test_gets_in_and_a_sketch_is_about_as_long() -> None:
    draws = random.Random(0)
    texts = [" ".join(f"w{draws.randrange(60)}" for _ in range(9)) for _ in range(20)]
    before = TransferSet(examples(texts), ("x",))
    ours = Settings()
    free = rewrite(before, [ours]).transfer_set
    unseen = [Example("d:1", free.examples[-1].text.upper())]
    done = rewrite(before, [ours], {"test": unseen})
    assert len(done.transfer_set) == len(free) - 1
    (made,) = done.made
    assert made.drawn == 20 * ours.n_iter == made.kept + made.dropped["duplicate"] + 1
    assert made.dropped["in test"] == 1
    sketched = rewrite(before, [ours], sketch=True).transfer_set
    assert abs(len(sketched) - len(free)) < 0.25 * len(free)
    assert ours.seconds(before.examples) > 0


def test_induced_classes_part_what_stands_in_other_places() -> None:
    nouns, verbs = [f"n{c}q" for c in "abcdefgh"], [f"v{c}z" for c in "abcdefgh"]
    sentences = [["the", n, v, "it"] for n in nouns for v in verbs]
    tagger = InducedTagger(sentences, classes=4)
    assert len(set(tagger(nouns))) == len(set(tagger(verbs))) == 1
    assert tagger(nouns)[0] != tagger(verbs)[0]
    assert tagger(["zebra"]) == ["unknown"]
    assert InducedTagger(sentences[::-1], classes=4).classes == tagger.classes
    assert InducedTagger([])(["a"]) == ["unknown"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"p_mask": 0.6, "p_pos": 0.6}, "more than 1 together"),
        ({"p_mask": 0, "p_pos": 0, "p_ng": 0}, "nothing would change"),
        ({"shortest": 6}, "'shortest' is more than 'longest'"),
        ({"tagger": "nowhere.tag"}, "no tagger can be imported"),
        ({"tagger": "tag"}, "no tagger can be imported"),
        ({"tagger": "math.pi"}, "a tagger is a function"),
        ({"tagger": f"{__name__}.short"}, "gave 1 tags to 8 words"),
    ],
)
def test_bad_settings_are_told(values: dict[str, object], words: str) -> None:
    with pytest.raises(LimbeckError, match=words):
        list(settings_for("rules", values).rewrite(examples(TEXTS)))
