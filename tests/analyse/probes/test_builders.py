"""SentEval's tasks built from trees and tags: each one's classes, balance, and nothing that test gives away."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from limbeck.analyse.probes import edges, misplaced, semantics, surface, syntax
from limbeck.analyse.probes.builder import RULES, build
from limbeck.analyse.probes.corpus import Corpus, Parsed, as_penn, from_tagged
from limbeck.analyse.probes.drawing import Candidate, TooFewError, draw
from limbeck.analyse.probes.grammar import noun_lemma, verb_lemma
from limbeck.analyse.probes.task import SentenceTask, Sizes, majority, rows_of
from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Source
from made_treebank import parsed

SIZES = Sizes(train=240, dev=60, test=120)
RANDOM = np.random.default_rng(0)
SAT = "(S (NP-SBJ (DT the) (NN cat)) (VP (VBD sat) (PP (IN on) (NP (DT the) (NNS mats)))) (. .))"
EATS = "(S (NP-SBJ (NP (NNS dogs)) (PP (IN of) (NP (NN war)))) (VP (MD will) (VP (VB eat) (NP (JJ green) (NN hay)))) (. .))"
WAS = "(S (NP-SBJ (PRP they)) (VP (VBP are) (VP (VBG reading) (NP (DT a) (NN book)) (NP-TMP (NNS mondays)))) (. .))"
JOINED = "(S (S (NP-SBJ (DT The) (NN dog)) (VP (VBD barked))) (, ,) (CC and) (S (NP-SBJ (PRP he)) (VP (VBD ran) (ADVP (RB off)))) (. .))"


def label_of(rule: object, *texts: str) -> list[str]:
    found = rule(Corpus.of(map(parsed, texts)), SIZES, np.random.default_rng(0))  # type: ignore[operator]
    return [each.label for each in found]


def test_tense_is_that_of_the_main_verb_and_modals_have_none() -> None:
    assert label_of(semantics.tense, SAT) == ["past"]
    assert label_of(semantics.tense, WAS) == ["present"]
    assert label_of(semantics.tense, EATS) == []
    inner = "(S (NP-SBJ (PRP He)) (VP (VBZ says) (SBAR (S (NP-SBJ (PRP they)) (VP (VBD left))))) (. .))"
    assert label_of(semantics.tense, inner) == ["present"]


def test_tense_without_a_tree_is_told_of_one_finite_verb_alone() -> None:
    words = ("he", "didn't", "want", "them", "here")
    for tags, wanted in (
        (("PRP", "VBD", "VB", "PRP", "RB"), ["past"]),
        (("PRP", "MD", "VB", "PRP", "RB"), []),
        (("PRP", "VBD", "VBD", "PRP", "RB"), []),  # another one would tell
    ):
        found = semantics.tense(Corpus.of([Parsed(words, tags)]), SIZES, RANDOM)
        assert [each.label for each in found] == wanted


def test_numbers_of_subject_and_object() -> None:
    assert label_of(semantics.subject_number, SAT, EATS, WAS) == ["singular", "plural"]
    assert label_of(semantics.object_number, SAT, EATS, WAS) == ["singular", "singular"]
    both = (
        "(S (NP-SBJ (NP (DT a) (NN cat)) (CC and) (NP (NNS dogs))) (VP (VBP are) (NP-PRD (NNS pets))) (. .))"
    )
    assert label_of(semantics.subject_number, both) == []
    assert label_of(semantics.object_number, both) == []


def test_top_constituents_and_depth() -> None:
    sentences = [SAT.replace("cat", f"cat{n}") for n in range(100)]
    assert set(label_of(syntax.top_constituents, *sentences, JOINED)) == {"NP_VP_.", "others"}
    assert parsed(SAT).tree.depth == 4  # type: ignore[union-attr]


def test_bigram_shift_swaps_two_neighbours_and_never_marks() -> None:
    corpus = Corpus.of(map(parsed, [SAT.replace("cat", f"cat{n}") for n in range(40)]))
    found = syntax.bigram_shift(corpus, SIZES, np.random.default_rng(1))
    originals = {each.words for each in corpus.sentences}
    assert Counter(each.label for each in found) == {"original": 20, "shifted": 20}
    for each in found:
        assert (each.words in originals) == (each.label == "original")
        assert each.words[-1] == "."
        again = {tuple(sorted(words)) for words in originals}
        assert tuple(sorted(each.words)) in again


def test_clauses_change_places_and_capitals_do_not_tell() -> None:
    texts = [JOINED.replace("dog", f"dog{n}") for n in range(6)]
    found = misplaced.coordination_inversion(Corpus.of(map(parsed, texts)), SIZES, np.random.default_rng(0))
    inverted = next(each for each in found if each.label == "inverted")
    assert " ".join(inverted.words).startswith("He ran off , and the dog")
    assert inverted.words[-2:] == ("barked", ".")
    assert Counter(each.label for each in found) == {"original": 3, "inverted": 3}


def test_after_an_opening_quote_capitals_do_not_tell_either() -> None:
    quoted = JOINED.replace("(S (S ", "(S (`` ``) (S ", 1)
    found = misplaced.coordination_inversion(Corpus.of([parsed(JOINED), parsed(quoted)]), SIZES, RANDOM)
    inverted = next(each for each in found if each.label == "inverted")
    assert [word for word in inverted.words if word[0].isupper()] == ["He"]


def test_clauses_are_found_by_tags_alone() -> None:
    each = parsed(JOINED)
    bare = Corpus.of([Parsed(each.words, each.tags)])
    assert [one.label for one in misplaced.coordination_inversion(bare, SIZES, RANDOM)] == ["original"]
    other = Parsed(("Dogs", ",", "and", "cats", ",", "run", "."), ("NNS", ",", "CC", "NNS", ",", "VBP", "."))
    assert misplaced.coordination_inversion(Corpus.of([other]), SIZES, RANDOM) == []


def test_a_word_that_does_not_belong_has_the_tag_of_the_one_in_its_place(treebank: Corpus) -> None:
    tag_of = {
        word: tag
        for each in treebank.sentences
        for word, tag in zip(each.words, each.tags or (), strict=True)
    }
    originals = {each.words: each for each in treebank.sentences}
    by_length: dict[int, list[tuple[str, ...]]] = {}
    for words in originals:
        by_length.setdefault(len(words), []).append(words)
    found = misplaced.odd_man_out(treebank, SIZES, np.random.default_rng(0))
    replaced = [each for each in found if each.label == "replaced"][:40]
    assert len(replaced) == 40
    for each in replaced:
        near = [
            [(a, b) for a, b in zip(words, each.words, strict=True) if a != b]
            for words in by_length[len(each.words)]
        ]
        (old, new) = next(apart[0] for apart in near if len(apart) == 1)
        assert tag_of[old] == tag_of[new]
        assert verb_lemma(old) != verb_lemma(new) or noun_lemma(old) != noun_lemma(new)


def test_word_content_is_one_of_the_words_once(treebank: Corpus) -> None:
    found = surface.word_content(treebank, SIZES, RANDOM)
    labels = {each.label for each in found}
    assert len(labels) > 3
    assert all(sum(word in labels for word in each.words) == 1 and each.label in each.words for each in found)


@pytest.fixture(scope="module")
def built(treebank: Corpus) -> dict[str, SentenceTask]:
    return {task.name: task for task in build(treebank, None, SIZES, 1).tasks}


def test_a_treebank_gives_all_ten(treebank: Corpus, built: dict[str, SentenceTask]) -> None:
    assert [*built] == [*RULES], build(treebank, None, SIZES, 1).lacking


@pytest.mark.parametrize("name", RULES)
def test_classes_are_balanced_and_sentences_in_one_part(built: dict[str, SentenceTask], name: str) -> None:
    task = built[name]
    for part, rows in rows_of(task).items():
        counts = Counter(task.labels[row] for row in rows)
        assert len(set(counts.values())) == 1, (part, counts)
        assert len(counts) == len(set(task.labels))
        assert len(rows) <= SIZES.of(part)
    assert len(set(task.sentences)) == len(task.sentences)
    assert majority(task) == pytest.approx(1 / len(set(task.labels)))


def test_depth_is_not_told_by_length(built: dict[str, SentenceTask]) -> None:
    task = built["tree_depth"]
    kinds = {
        (surface.length_class(len(words)), label)
        for words, label in zip(task.sentences, task.labels, strict=True)
    }
    lengths = {length for length, _ in kinds}
    assert len(kinds) > len(lengths) * 3


@pytest.mark.parametrize(("name", "lemma"), [("tense", verb_lemma), ("subject_number", noun_lemma)])
def test_no_word_that_is_asked_about_is_in_two_parts(treebank: Corpus, name: str, lemma: object) -> None:
    rule, _ = RULES[name]
    groups = {each.words: each.group for each in rule(treebank, SIZES, RANDOM)}
    task = draw(name, rule(treebank, SIZES, RANDOM), SIZES, np.random.default_rng(5))
    parts = {part: {groups[task.sentences[row]] for row in rows} for part, rows in rows_of(task).items()}
    assert not parts["train"] & parts["test"]
    assert not parts["train"] & parts["dev"]
    assert not parts["dev"] & parts["test"]
    assert verb_lemma("moved") == verb_lemma("move") == verb_lemma("moves") == verb_lemma("moving")
    assert verb_lemma("was") == verb_lemma("is") == verb_lemma("wasn't")
    assert verb_lemma("didn't") == verb_lemma("does") and verb_lemma("n't") == "n't"
    assert noun_lemma("companies") == noun_lemma("company")


def test_a_part_draws_from_all_its_groups_and_not_from_the_largest_alone() -> None:
    verbs = {"be": 400, "have": 300, **{f"v{n}": 12 for n in range(80)}}
    candidates = [
        Candidate((verb, str(n)), "past" if n % 2 else "present", verb)
        for verb, count in verbs.items()
        for n in range(count)
    ]
    task = draw("tense", candidates, SIZES, np.random.default_rng(0))
    groups = {each.words: each.group for each in candidates}
    for part, rows in rows_of(task).items():
        counts = Counter(groups[task.sentences[row]] for row in rows)
        assert len(counts) > 8, part
        assert max(counts.values()) < (0.7 if part == "train" else 0.25) * len(rows), part


def test_fewer_examples_than_classes_are_refused() -> None:
    candidates = [Candidate((str(n),), f"c{n % 20}") for n in range(9000)]
    with pytest.raises(TooFewError, match="'sizes.dev' is 10, and there are 20 classes"):
        draw("word_content", candidates, Sizes(train=240, dev=10, test=120), RANDOM)


def test_the_same_seed_builds_the_same(treebank: Corpus, built: dict[str, SentenceTask]) -> None:
    again = {task.name: task for task in build(treebank, ["bigram_shift", "tense"], SIZES, 1).tasks}
    assert all(list(again[name].sentences) == list(built[name].sentences) for name in again)
    other = build(treebank, ["tense"], SIZES, 2).tasks[0]
    assert list(other.sentences) != list(built["tense"].sentences)


def test_tagged_text_alone_says_what_it_cannot_give(treebank: Corpus) -> None:
    bare = Corpus.of(Parsed(each.words, each.tags) for each in treebank.sentences)
    found = build(bare, None, SIZES, 1)
    assert set(found.lacking) >= {"tree_depth", "top_constituents", "subject_number", "object_number"}
    assert "read off trees, and the text has none" in found.lacking["tree_depth"]
    assert {"sentence_length", "word_content", "bigram_shift", "tense", "odd_man_out"} <= {
        t.name for t in found.tasks
    }


def test_too_few_examples_are_told_by_class_and_part() -> None:
    few = [Candidate((str(n),), "a" if n else "b") for n in range(100)]
    with pytest.raises(TooFewError, match="examples of 'b' for train, and 24 are wanted"):
        draw("tense", few, SIZES, RANDOM)


# Tagged text.


def test_brown_is_read_with_penns_tags(tmp_path: Path) -> None:
    (tmp_path / "brown").mkdir()
    (tmp_path / "brown" / "ca01").write_text(
        "\n\n\tThe/at jury/nn said/vbd it/pps+bez 1\\/2/cd ./.\n", encoding="utf-8"
    )
    (sentence,) = from_tagged(Source(path=str(tmp_path / "brown")))
    assert sentence.words == ("The", "jury", "said", "it", "1\\/2", ".")
    assert sentence.tags == ("DT", "NN", "VBD", "PRP", "CD", ".")
    assert [as_penn(tag) for tag in ("nn-tl", "bedz*", "fw-nns", "vbn-hl", "wdt")] == [
        "NN",
        "VBD",
        "NNS",
        "VBN",
        "W",
    ]


def test_spans_come_from_marked_text(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("Jo B-PER\nran O\n\nIn O\nOld B-LOC\nYork I-LOC\n", encoding="utf-8")
    found = list(from_tagged(Source(path=str(tmp_path / "a.conll"))))
    assert [each.entities for each in found] == [(("PER", 0, 1),), (("LOC", 1, 3),)]


def test_which_set_tags_are_of_is_told_by_the_whole_source(tmp_path: Path) -> None:
    penn = "We/PRP like/VBP them/PRP ./.\nThe/DT dog/NN ran/VBD ./.\n"
    other = "We/PRON like/VERB them/PRON ./PUNCT\nThe/DET dog/NOUN ran/VERB ./PUNCT\n"
    for name, text in (("penn", penn), ("other", other)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = [each.tags for each in from_tagged(Source(path=str(tmp_path / "penn")))]
    assert found == [("PRP", "VBP", "PRP", "."), ("DT", "NN", "VBD", ".")]
    corpus = Corpus.of(from_tagged(Source(path=str(tmp_path / "other"))))
    assert not corpus.tagged and not corpus.marked("entities")
    assert [label for _, label in edges._pos(corpus.marked("other_tags")[0])] == [
        "PRON",
        "VERB",
        "PRON",
        "PUNCT",
    ]


def test_a_sentence_of_two_sources_keeps_what_both_tell(tmp_path: Path) -> None:
    (tmp_path / "chunks.conll").write_text("Jo B-NP\nran B-VP\n", encoding="utf-8")
    (tmp_path / "names.conll").write_text("Jo B-PER\nran O\n", encoding="utf-8")
    names = ("chunks.conll", "names.conll")
    corpus = Corpus.of(each for name in names for each in from_tagged(Source(path=str(tmp_path / name))))
    (only,) = corpus.sentences
    assert [label for _, label in edges._chunks(only)] == ["NP", "VP"]
    assert [label for _, label in edges._entities(only)] == ["PER"]


def test_a_word_without_a_tag_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "ca01").write_text("The/at jury/nn\nsaid/vbd it\n", encoding="utf-8")
    with pytest.raises(LimbeckError, match="ca01:2: a word has no tag"):
        list(from_tagged(Source(path=str(tmp_path / "ca01"))))


# Edges.


def test_phrases_of_the_same_words_are_one_edge() -> None:
    alone = (
        "(S (NP-SBJ (PRP he)) (VP (VBD wanted) (S (VP (TO to) (VP (VB run) (NP (DT a) (NN mile)))))) (. .))"
    )
    found = list(edges._constituents(parsed(alone)))
    assert [label for ((span,), label) in found if span == (2, 6)] == ["S"]
    assert len({spans for spans, _ in found}) == len(found)


def test_edges_of_a_sentence() -> None:
    each = parsed(EATS)
    assert [label for _, label in edges._pos(each)] == ["NNS", "IN", "NN", "MD", "VB", "JJ", "NN", "."]
    assert (((3, 7),), "VP") in list(edges._constituents(each))
    relations = {label: spans for spans, label in edges._relations(each)}
    assert relations["subject"] == ((4, 5), (0, 3))
    assert relations["object"] == ((4, 5), (5, 7))
    assert relations["neither"] in {((4, 5), (0, 1)), ((4, 5), (2, 3))}


def test_edge_tasks_keep_sentences_in_one_part(treebank: Corpus) -> None:
    tasks, lacking = edges.build(treebank, None, SIZES, 1)
    assert [task.name for task in tasks] == ["pos", "constituents", "relations"]
    assert set(lacking) == {"chunks", "entities"}
    for task in tasks:
        sentences = {part: {task.edges[row].sentence for row in rows} for part, rows in rows_of(task).items()}
        assert not sentences["train"] & sentences["test"]
        assert not sentences["train"] & sentences["dev"]
        assert len(rows_of(task)["train"]) <= SIZES.train
