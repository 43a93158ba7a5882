"""Tagged sources to examples: every format, what becomes of schemes, and every refusal in its words."""

import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, strategies as st

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.schema import validate
from limbeck.core.sources import Source
from limbeck.text.offsets import SpanError, tokens_of, words_and_tags
from limbeck.text.readers import read
from limbeck.text.tags import spans


@pytest.fixture
def file(tmp_path):
    """Writes a file, and gives its path."""

    def write(text, name="a.txt"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def tagged(path, **keys):
    return read(validate(Source, {"path": path, **keys}), task="tagging")


def pairs(examples):
    return [" ".join(f"{w}/{t}" for w, t in zip(e.words, e.tags, strict=True)) for e in examples]


# CoNLL columns.


def test_conll_columns_with_documents_and_lines(file):
    path = file(
        "-DOCSTART- -X- O\n\nEU NNP B-ORG\nrejects VBZ O\n\n\t \nPeter NNP B-PER\n"
        "-DOCSTART- -X- O\nBonn NNP B-LOC\n. . O"
    )
    assert tagged(path, format="conll") == [
        Example("a.txt/1:3", "EU rejects", None, "a.txt:3", ("EU", "rejects"), ("B-ORG", "O")),
        Example("a.txt/1:7", "Peter", None, "a.txt:7", ("Peter",), ("B-PER",)),
        Example("a.txt/2:9", "Bonn .", None, "a.txt:9", ("Bonn", "."), ("B-LOC", "O")),
    ]
    assert tagged(path, format="conll", tags=1)[0].tags == ("NNP", "VBZ")
    assert tagged(path, format="conll", words=-2, tags=0)[0].words == ("NNP", "VBZ")
    assert tagged(path, format="conll", tags=None)[0].tags is None


def test_context_stays_within_its_document(file):
    path = file("-DOCSTART- O\n\na O\nb O\n\nc B-X\n\nd O\n\n-DOCSTART- O\n\ne O\n\nf O\n")
    found = read(Source(path=path, format="conll"), task="tagging", context=2)
    assert [(e.before, e.words, e.after) for e in found] == [
        ((), ("a", "b"), ("c", "d")),
        (("a", "b"), ("c",), ("d",)),
        (("b", "c"), ("d",), ()),
        ((), ("e",), ("f",)),
        (("e",), ("f",), ()),
    ]
    assert all(e.alone == one for e, one in zip(found, tagged(path, format="conll"), strict=True))


def test_a_line_that_holds_a_tab_ends_a_sentence(file):
    path = file("New York\tB-LOC\nis\tO\n\t\nbig\tO\n\t\n")
    assert [e.words for e in tagged(path, format="conll")] == [("New York", "is"), ("big",)]


@pytest.mark.parametrize("boundary", ["-DOCSTART-", "-DOCSTART- -X- O", "-DOCSTART- (1 EU)"])
def test_boundaries_need_not_have_the_columns_of_words(file, boundary):
    examples = tagged(file(f"{boundary}\n\na\tO\n\n{boundary}\nb\tO\n"), format="conll")
    assert [(e.id, e.words) for e in examples] == [("a.txt/1:3", ("a",)), ("a.txt/2:6", ("b",))]


def test_conllu_has_its_own_columns(file):
    text = (
        "# text = I go\n1\tI\ti\tPRON\tPRP\t_\t2\tnsubj\t_\t_\n"
        "2\tgo\tgo\tVERB\tVBP\t_\t0\troot\t_\tSpaceAfter=No\n"
    )
    (example,) = tagged(file(text, "a.conllu"))
    assert (example.words, example.tags) == (("I", "go"), ("PRON", "VERB"))
    (example,) = tagged(file(text, "a.conllu"), tags=4)
    assert example.tags == ("PRP", "VBP")


def test_a_comment_may_have_as_many_columns_as_a_word(file):
    text = "# id 91b6\tdomain=en\nEU\tB-ORG\n#\tO\n\n# id 7\tdomain=en\nrejects\tO\n"
    assert [example.words for example in tagged(file(text, "a.conll"))] == [("EU", "#"), ("rejects",)]


def test_words_alone_are_untagged(file):
    assert tagged(file("EU\nrejects\n\nso\n", "a.conll")) == [
        Example("a.conll:1", "EU rejects", None, "a.conll:1", ("EU", "rejects"), None),
        Example("a.conll:4", "so", None, "a.conll:4", ("so",), None),
    ]


def test_conll_u_comments_contractions_and_empty_words(file):
    row = "{}\t{}\t_\t{}\t_\t_\t_\t_\t_\t_\n"
    text = "# sent_id = 1\n# text = au #\n" + "".join(
        row.format(*cells)
        for cells in [
            ("1-2", "au", "_"),
            (1, "à", "ADP"),
            (2, "le", "DET"),
            ("2.1", "_", "_"),
            (3, "#", "SYM"),
        ]
    )
    examples = tagged(file(text, "a.conllu"), words=1, tags=3)
    assert pairs(examples) == ["à/ADP le/DET #/SYM"]
    assert examples[0].origin == "a.conllu:4"


def test_a_number_sign_is_a_word_where_the_columns_fit(file):
    assert pairs(tagged(file("# # B-NP\n1 CD I-NP\n\na DT O\n"), format="conll")) == ["#/B-NP 1/I-NP", "a/O"]


def test_other_spaces_stay_in_words(file):
    assert tagged(file("10\u00a0000 O\nx\u3000y O\n"), format="conll")[0].words == ("10\u00a0000", "x\u3000y")


@pytest.mark.parametrize(
    ("text", "keys", "message"),
    [
        ("a DT O\nb O\n", {}, r"a\.txt:2: 2 columns where line 1 has 3\. Every line holds one word"),
        ("a DT O\n\nb c d O\n", {}, r"a\.txt:3: 4 columns where line 1 has 3"),
        ("a\tO\n\tO\n", {}, r"a\.txt:2: the word number 2 of the sentence is empty"),
        ("a\tO\nb\t\n", {}, r"a\.txt:2: the tag number 2 of the sentence is empty"),
        ("a B-X\n\nb PER\n", {}, r"a\.txt:3: the tag 'PER' of 'b' is neither O nor a prefix and a type, as"),
        (
            "a B-X\nb 0\n",
            {},
            r"a\.txt:2: the tag '0' of 'b'.*Write tags like B-PER.*is 'tags' the right column\?",
        ),
        ("a O\n", {"tags": 2}, r"a\.txt: there is no column number 2 \('tags'\): the columns are 0 to 1"),
        ("a O\n", {"words": -3}, r"no column number -3 \('words'\)"),
        (
            "a O\n",
            {"words": "form"},
            r"'words' names a column 'form', and conll has no names\. Give 'words' as",
        ),
        ("a O\n", {"tags": 0}, r"a\.txt: column 0 cannot be words and tags at once"),
        (" \n\t\n", {}, r"a\.txt: the file holds no sentences"),
        ("", {}, r"a\.txt: the file holds no sentences"),
    ],
)
def test_conll_that_is_refused(file, text, keys, message):
    with pytest.raises(LimbeckError, match=message):
        tagged(file(text), format="conll", **keys)


# Schemes.


def test_every_scheme_becomes_iob2_over_the_whole_source(file, listener):
    iob1 = file("a I-X\nb B-X\n\nc I-Y\nd O\n", "iob1.conll")
    assert pairs(tagged(iob1)) == ["a/B-X b/B-X", "c/B-Y d/O"]
    bilou = file("a B-X\nb L-X\nc U-Y\n", "bilou.conll")
    assert pairs(tagged(bilou)) == ["a/B-X b/I-X c/B-Y"]
    assert listener.said == [
        "prepare   iob1.conll: tags turned from IOB1 into IOB2",
        "prepare   bilou.conll: tags turned from BIOES into IOB2",
    ]
    assert listener.warnings == []


def test_broken_iob2_is_mended_and_told(file, listener):
    path = file("a B-X\nb O\nc I-X\n\nd B-X\n", "a.conll")
    assert pairs(tagged(path)) == ["a/B-X b/O c/B-X", "d/B-X"]
    assert listener.warnings == [
        "a.conll: 1 I- tags open a span, which IOB2 does with B-; they count as B-, as in conlleval"
    ]


def test_plain_tags_pass_untouched(file):
    assert pairs(tagged(file("a NN\nI PRP\nO UH\n", "a.conll"))) == ["a/NN I/PRP O/UH"]


def test_tags_and_types_get_new_names(file, listener):
    path = file("a B-PER\nb I-PER\nc B-MISC\nd B-LOC\n", "a.conll")
    names = {"PER": "person", "MISC": "O", "B-LOC": "B-place", "nobody": "x"}
    assert pairs(tagged(path, labels=names)) == ["a/B-person b/I-person c/O d/B-place"]
    assert listener.warnings == ["a.conll: 'labels' renames nobody, and no word is tagged so"]


def test_a_tag_of_no_scheme_may_be_given_a_name_that_is(file, listener):
    path = file("a B-PER\nb I-PER\nc NoLabel\n\nd NoLabel\n", "a.conll")
    assert pairs(tagged(path, labels={"NoLabel": "O", "PER": "x"})) == ["a/B-x b/I-x c/O", "d/O"]
    assert not listener.warnings
    path = file("a NN\nb VB\n", "b.conll")
    assert pairs(tagged(path, labels={"NN": "VB", "VB": "X"})) == ["a/VB b/X"]


# One sentence a line.


def test_words_with_tags_behind_colons(file):
    path = file("at:O 9:B-time ::I-time 15:I-time <=> alarm\n\nhi:O\n", "train")
    assert tagged(path, format="word_tag") == [
        Example(
            "train:1",
            "at 9 : 15",
            None,
            "train:1",
            ("at", "9", ":", "15"),
            ("O", *["B-time", "I-time", "I-time"]),
        ),
        Example("train:3", "hi", None, "train:3", ("hi",), ("O",)),
    ]


@pytest.mark.parametrize("bad", ["plain", ":O", "word:"])
def test_pairs_that_are_none(file, bad):
    with pytest.raises(LimbeckError, match=rf"a\.txt:2: '{bad}' is no word with its tag\. Write word:TAG"):
        tagged(file(f"a:O\nb:O {bad} <=> x\n"), format="word_tag")


def test_parallel_files(file):
    path = file("play a song\n\nstop\n", "seq.in")
    file("O O B-what \n\nO\n", "seq.out")
    assert pairs(tagged(path, format="parallel")) == ["play/O a/O song/B-what", "stop/O"]
    other = file("O B-x I-x\n\nO\n", "other")
    assert tagged(path, format="parallel", tags_file=other)[0].tags == ("O", "B-x", "I-x")
    assert tagged(path, format="parallel", tags=None)[0].tags is None


@pytest.mark.parametrize(
    ("name", "out", "keys", "message"),
    [
        ("seq.in", "O O\nO O\n", {}, r"seq\.in:2: 1 words here, and 2 tags on the same line of .*seq\.out"),
        ("seq.in", "O O\n", {}, r"seq\.in: 2 lines of words, and 1 of tags in .*seq\.out\. Both files need"),
        ("words", "", {}, r"words: no file of tags is given for these words\. Name it in 'tags_file'"),
        ("words", "", {"tags_file": "nowhere.txt"}, r"nowhere\.txt: no such file"),
    ],
)
def test_parallel_files_that_do_not_fit(file, name, out, keys, message):
    file(out, "seq.out")
    with pytest.raises(LimbeckError, match=message):
        tagged(file("a b\nc\n", name), format="parallel", **keys)


def test_untagged_text_is_cut_at_spaces(file):
    assert tagged(file("It's  fine.\n\nso\n")) == [
        Example("a.txt:1", "It's fine.", None, "a.txt:1", ("It's", "fine."), None),
        Example("a.txt:3", "so", None, "a.txt:3", ("so",), None),
    ]


def test_formats_of_taggers_are_for_taggers(file):
    with pytest.raises(LimbeckError, match=r"the format conll holds tagged words.*Set 'task: tagging'"):
        read(Source(path=file("a O\n"), format="conll"))


# Tables.

ROWS = [
    {"tokens": ["New York", "is"], "tags": ["B-LOC", "O"], "key": "x"},
    {"tokens": ["big", 7], "tags": None, "key": "y"},
]


def test_lists_in_json_lines_arrays_and_parquet(file, tmp_path):
    lines = file("\n".join(map(json.dumps, ROWS)), "a.jsonl")
    assert tagged(lines) == [
        Example("a.jsonl:1", "New York is", None, "a.jsonl:1", ("New York", "is"), ("B-LOC", "O")),
        Example("a.jsonl:2", "big 7", None, "a.jsonl:2", ("big", "7"), None),
    ]
    assert [e.id for e in tagged(lines, id="key")] == ["x", "y"]
    assert pairs(tagged(file(json.dumps(ROWS), "a.json"))[:1]) == ["New York/B-LOC is/O"]
    table = pa.table({"w": [["a", "b"]], "t": [["NN", "VB"]]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert pairs(tagged(str(tmp_path / "a.parquet"), words="w", tags="t")) == ["a/NN b/VB"]
    assert pairs(tagged(file("words,tags\na b,O B-X\n", "a.csv"))) == ["a/O b/B-X"]


def test_a_data_set_with_numbers_of_tags(tmp_path):
    names = datasets.ClassLabel(names=["O", "B-X", "I-X"])
    features = datasets.Features({"tokens": [datasets.Value("string")], "ner_tags": [names]})
    data = datasets.Dataset.from_dict({"tokens": [["a", "b"]], "ner_tags": [[1, 2]]}, features=features)
    data.save_to_disk(tmp_path / "mine")
    assert pairs(tagged(str(tmp_path / "mine"))) == ["a/B-X b/I-X"]
    data.to_parquet(tmp_path / "a.parquet")
    assert pairs(tagged(str(tmp_path / "a.parquet"))) == ["a/B-X b/I-X"]


TEXT = "Dr. Ana lives in New York."


@pytest.mark.parametrize(
    "row",
    [
        {"text": TEXT, "spans": [{"start": 17, "end": 25, "label": "LOC"}, {"start": 4, "end": 7, "label": "PER"}]},
        {"text": TEXT, "entities": [[4, 7, "PER"], [17, 25, "LOC"]]},
        {"text": TEXT, "label": [[3, 8, "PER"], [17, 25, "LOC"]]},  # space at the ends goes
        {"text": TEXT, "entities": [{"id": 1, "start_offset": 4, "end_offset": 7, "label": "PER"},
                                    {"id": 2, "start_offset": 17, "end_offset": 25, "label": "LOC"}]},
        {"text": TEXT, "tokens": [{"text": "Dr", "start": 0, "end": 2}],
         "spans": [{"start": 4, "end": 7, "token_start": 2, "label": "PER"}, {"start": 17, "end": 25, "label": "LOC"}]},
    ],
)  # fmt: skip
def test_spans_counted_in_characters(file, row):
    examples = tagged(file(json.dumps(row), "a.jsonl"))
    assert pairs(examples) == ["Dr/O ./O Ana/B-PER lives/O in/O New/B-LOC York/I-LOC ./O"]


def test_spans_by_a_name_of_their_own_and_rows_without(file):
    rows = [{"body": "Ana!", "marks": [[0, 3, "PER"]]}, {"body": "So.", "marks": []}, {"body": "Hm."}]
    examples = tagged(file("\n".join(map(json.dumps, rows)), "a.jsonl"), text="body", spans="marks")
    assert [e.tags for e in examples] == [("B-PER", "O"), ("O", "O"), None]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "Ana", "spans": [[0, 2, "X"]]}, r"the span 'An' \(0 to 2, X\) cuts the word 'Ana'"),
        ({"text": "Ana B", "spans": [[1, 5, "X"]]}, r"cuts the word 'Ana'"),
        (
            {"text": "a b c", "spans": [[0, 3, "X"], [2, 5, "Y"]]},
            r"the span 'b c' \(2 to 5, Y\) overlaps another",
        ),
        ({"text": "a b", "spans": [[0, 1, "X"], [0, 1, "X"]]}, r"overlaps another; a word has one tag"),
        (
            {"text": "a", "spans": [[0, 2, "X"]]},
            r"a span of X goes from 0 to 2, and the text has 1 characters",
        ),
        (
            {"text": "a  b", "spans": [[1, 3, "X"]]},
            r"a span of X goes from 1 to 3, where there is only space",
        ),
        ({"text": "a", "spans": [[0, 1]]}, r"\[0, 1\] is no span: write start, end and label"),
        ({"text": "a", "spans": [{"start": 0, "end": 1}]}, r"is no span: write start, end and label"),
        ({"text": "a", "spans": "x"}, r"the spans are no list"),
        ({"spans": []}, r"the text is missing or no string"),
        ({"tokens": ["a"], "tags": ["O", "O"]}, r"1 words and 2 tags; every word has one"),
        ({"tokens": ["a", ""], "tags": ["O", "O"]}, r"the word number 2 of the sentence is empty"),
        (
            {"tokens": ["a"], "tags": [1]},
            r"'tags' is not a list of strings\. Numbers of tags need their names",
        ),
        ({"tokens": {"a": 1}, "tags": ["O"]}, r"'tokens' is not|'words' is not a list of strings"),
    ],
)
def test_rows_that_are_refused_by_file_and_line(file, row, message):
    fine = {"text": "b", "spans": []} if "spans" in row else {"tokens": ["b"], "tags": ["O"]}
    path = file(json.dumps(fine) + "\n" + json.dumps(row), "a.jsonl")
    with pytest.raises(LimbeckError, match=rf"a\.jsonl:2: .*{message}"):
        tagged(path)


def test_tables_without_the_columns(file):
    with pytest.raises(LimbeckError, match=r"there is no column of words\. Name.*set 'format: conll'"):
        tagged(file("EU\tB-ORG\nis\tO\n", "a.tsv"))
    with pytest.raises(LimbeckError, match=r"there is no column 'pos'; there are: 'tokens', 'tags'"):
        tagged(file(json.dumps({"tokens": ["a"], "tags": ["O"]}), "a.jsonl"), tags="pos")


# Words of a text.


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't go, 3.5km!", "Don ' t go , 3 . 5km !"),
        ("नमस्ते दुनिया", "नमस्ते दुनिया"),  # vowel signs stay with their letters
        ("สวัสดี", "สวัสดี"),
        ("ok👍🏽now", "ok 👍 🏽 now"),
        ("  \t\n", ""),
        ("a\u200bb", "a\u200bb"),
    ],
)
def test_words_are_cut_at_spaces_and_punctuation(text, words):
    assert [text[start:end] for start, end in tokens_of(text)] == words.split(" ") * bool(words)


@given(st.text())
def test_words_of_any_text_are_apart_and_leave_only_space(text):
    tokens = tokens_of(text)
    assert all(start < end for start, end in tokens)
    assert all(a.end <= b.start for a, b in zip(tokens, tokens[1:]))  # noqa: B905, RUF007
    covered = {place for start, end in tokens for place in range(start, end)}
    assert all(
        text[place].isspace() or ord(text[place]) < 32 or 127 <= ord(text[place]) < 160
        for place in range(len(text))
        if place not in covered
    )


@given(st.text(), st.lists(st.tuples(st.integers(-2, 12), st.integers(-2, 12), st.just("X")), max_size=3))
def test_any_spans_are_tagged_or_told_to_be_wrong(text, some):
    try:
        words, tags = words_and_tags(text, [list(one) for one in some])
    except SpanError:
        return
    assert len(words) == len(tags)
    assert len(spans(tags)) == len(some)
