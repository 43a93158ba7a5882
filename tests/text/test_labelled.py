"""Formats of labelled text: recognised, read, written, and refused with file and line."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Source
from limbeck.core.tasks import METRICS_OF
from limbeck.text import glue, rasa
from limbeck.text.labelled import FAMILIES, LabelledFormat
from limbeck.text.readers import files_of, form_of, read

DOCS = Path(__file__).parents[2] / "docs" / "data.md"


def rows(path, **keys):
    """Text, second text and label of each example."""
    return [(e.text, e.second, e.gold) for e in read(Source(path=str(path), **keys))]


@pytest.fixture
def file(tmp_path):
    def write(name, text, encoding="utf-8"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding=encoding)
        return path

    return write


MNLI = (
    "index promptID pairID genre sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse "
    "sentence1 sentence2 label1 gold_label"
)
GLUE = {
    "cola": ("CoLA/dev.tsv", 'gj04\t0\t*\tThe "book was.\n', ('The "book was.', None, "0")),
    "cola-test": ("CoLA/test.tsv", "index\tsentence\n0\tBill fell.\n", ("Bill fell.", None, None)),
    "sst-2": ("SST-2/a.tsv", 'sentence\tlabel\n"a fine film \t1\n', ('"a fine film', None, "1")),
    "mrpc": (
        "x/msr_paraphrase_train.txt",
        '\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tHe said "no.\tHe refused.\n',
        ('He said "no.', "He refused.", "1"),
    ),
    "qqp": (
        "x/a.tsv",
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tWhy?\tHow?\t0\n",
        ("Why?", "How?", "0"),
    ),
    "mnli": (
        "x/a.tsv",
        MNLI.replace(" ", "\t")
        + "\n0\t1\t1n\tfiction\tb\tb\tp\tp\tIt rains.\tIt is wet.\tneutral\tentailment\n",
        ("It rains.", "It is wet.", "entailment"),
    ),
    "qnli": (
        "x/a.tsv",
        "index\tquestion\tsentence\tlabel\n0\tWho?\tAnn did.\tentailment\n",
        ("Who?", "Ann did.", "entailment"),
    ),
    "wnli": ("WNLI/a.tsv", "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\t1\n", ("A.", "B.", "1")),
}


def test_glue_of_scores_is_read_for_regression_alone(file):
    path = file("x/sts-dev.csv", "news\tMSR\t2012\t4\t4.750\tA child rides.\tA kid rides.\tsource\n")
    (example,) = read(Source(path=str(path)), task="regression")
    assert (example.text, example.second, example.score) == ("A child rides.", "A kid rides.", 4.75)
    assert example.gold is None and example.labelled
    with pytest.raises(
        LimbeckError, match="STS-B has scores, and the task is classification. Set 'task: regression'"
    ):
        read(Source(path=str(path)))
    (text,) = read(Source(path=str(path), label=None))
    assert not text.labelled


def test_a_score_of_glue_that_is_none_is_told_with_its_line(file):
    path = file("STS-B/train.csv", "g\tf\t2012\t1\t3.2\tA.\tB.\ng\tf\t2012\t1\tmuch\tC.\tD.\n")
    with pytest.raises(LimbeckError, match=r"train.csv:2: the score is 'much', not a number"):
        read(Source(path=str(path)), task="regression")


@pytest.mark.parametrize("task", ["cola-test", "rte", "sst-2"])
def test_minus_one_is_no_label_of_glue(file, task):
    text = {
        "cola-test": "index\tsentence\tlabel\n0\tBill fell.\t-1\n",
        "rte": "index\tsentence1\tsentence2\tlabel\n0\tBill fell.\tHe fell.\t-1\n",
        "sst-2": "sentence\tlabel\nBill fell.\t-1.0\n",
    }[task]
    (row,) = rows(file("SST-2/test.tsv", text), format="glue", subset=task.removesuffix("-test"))
    assert (row[0], row[2]) == ("Bill fell.", None)
    (scored,) = read(
        Source(path=str(file("s.tsv", "index\tsentence1\tsentence2\tscore\n0\ta\tb\t-1\n")), format="glue"),
        task="regression",
    )
    assert scored.score is None


def test_a_table_headed_as_rte_is_one_where_its_labels_are(file):
    head = "index\tsentence1\tsentence2\tlabel\n"
    assert form_of(Source(path=str(file("mine.tsv", f"{head}0\tA.\tB.\tnot_entailment\n")))) == "glue"
    mine = file("mine.tsv", f"{head}0\tA.\tB.\t2.75\n")
    assert form_of(Source(path=str(mine))) == "tsv"
    with pytest.raises(LimbeckError, match="the first line is not that of a file of STS-B"):
        read(Source(path=str(mine), format="glue", subset="sts-b"), task="regression")


def test_the_folders_that_name_a_task_of_glue(file, tmp_path):
    text = "c-05\t1\t\tBill fell.\ngj04\t0\t*\tFell Bill.\n"
    deep = file("CoLA/original/raw/in_domain_dev.tsv", text)
    assert len(rows(deep, split="in_domain")) == 1
    (tmp_path / "store").mkdir()
    deep.rename(tmp_path / "store" / "ab12")
    deep.symlink_to(tmp_path / "store" / "ab12")
    assert form_of(Source(path=str(deep))) == "glue"


def test_every_task_of_glue_has_its_metric():
    assert glue.MEASURED_BY.keys() == glue.TASKS.keys()
    assert all(metric in METRICS_OF[task] for task, metric in glue.MEASURED_BY.values())


@pytest.mark.parametrize("task", GLUE)
def test_glue(file, task):
    name, text, expected = GLUE[task]
    path = file(name, text)
    assert form_of(Source(path=str(path))) == "glue"
    assert rows(path) == [expected]


def test_glue_where_the_recipe_names_columns_or_the_task(file, tmp_path):
    path = file("a.tsv", "sentence\tlabel\nfine\t1\n")
    assert form_of(Source(path=str(path), text="sentence")) == "tsv"
    plain = file("b.tsv", "x1\t1\t\tgood\n")
    assert rows(plain, format="glue", subset="cola") == [("good", None, "1")]
    with pytest.raises(LimbeckError, match=r"b\.tsv:1: the first line is not that of a file of GLUE"):
        rows(plain, format="glue")
    with pytest.raises(LimbeckError, match="GLUE has no task 'squad'"):
        rows(plain, format="glue", subset="squad")
    with pytest.raises(LimbeckError, match=r"a\.tsv:3: 1 columns where line 1 has 2"):
        rows(file("sst2/a.tsv", "sentence\tlabel\nfine\t1\nbad\n"))


def test_qqp_leaves_out_lines_that_are_broken(file, listener):
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    path = file("QQP/train.tsv", header + "1\t2\t3\tWhy\nis it?\tHow?\t0\n2\t3\t4\tA?\tB?\t1\n")
    assert rows(path) == [("A?", "B?", "1")]
    assert "2 lines are broken" in listener.warnings[0]


def test_parts_of_cola(file):
    path = file("cola/dev.tsv", "gj04\t1\t\tIn.\nclc95\t0\t*\tOut.\n")
    assert rows(path, split="in_domain") == [("In.", None, "1")]
    assert rows(path, split="out_of_domain") == [("Out.", None, "0")]


TREES = "(3 (2 A) (3 (3 fine) (2 -LRB-film-RRB-)))\n(2 (2 So) (2 so))\n(0 (2 Very) (1 bad))\n"


def test_trees(file):
    path = file(
        "train.txt", TREES.replace("-LRB-film-RRB-", "(2 -LRB-) ").replace("(2 (2 -LRB-) )", "(2 film)")
    )
    assert rows(path) == [("A fine film", None, "3"), ("So so", None, "2"), ("Very bad", None, "0")]
    assert rows(path, classes=2) == [("A fine film", None, "1"), ("Very bad", None, "0")]
    phrases = read(Source(path=str(path), phrases=True))
    assert [e.text for e in phrases[:5]] == ["A fine film", "A", "fine film", "fine", "film"]
    assert [e.id for e in phrases[:2]] == ["train.txt:1", "train.txt:1/1"]
    assert len({e.id for e in phrases}) == len(phrases) == 11


@pytest.mark.parametrize("bad", ["(3 (2 A)", "(3 (2 A)) (2 b)", "(7 (2 A) (2 b))", "plain", "(3 )"])
def test_lines_that_are_no_trees(file, bad):
    path = file("train.txt", f"(3 (2 A) (2 b))\n{bad}\n")
    with pytest.raises(LimbeckError, match=r"train\.txt:2: the line is no tree"):
        read(Source(path=str(path)))


def test_trec(file):
    path = file("a.label", "NUM:dist How far is Málaga ?\nDESC:def What is it ?\n", "latin-1")
    assert rows(path) == [("How far is Málaga ?", None, "NUM"), ("What is it ?", None, "DESC")]
    assert [label for _, _, label in rows(path, classes=50)] == ["NUM:dist", "DESC:def"]
    with pytest.raises(LimbeckError, match="TREC has 6 or 50 classes, not 5"):
        rows(path, classes=5)
    with pytest.raises(LimbeckError, match=r"b\.label:2: the line begins with no label"):
        rows(file("b.label", "NUM:dist How far ?\nWhy ?\n"))


def test_intents_of_a_folder(file, tmp_path):
    words = file("atis/seq.in", "show flights\nwhich airline\n")
    label = file("atis/label", "atis_flight\natis_airline#atis_flight\n")
    expected = [("show flights", None, "atis_flight"), ("which airline", None, "atis_airline#atis_flight")]
    assert rows(tmp_path / "atis") == rows(words) == expected
    assert files_of(Source(path=str(tmp_path / "atis"))) == (str(words), str(label))
    label.write_text("atis_flight\n")
    with pytest.raises(LimbeckError, match=r"seq\.in:2: 2 lines of words, and 1 of intents"):
        rows(words)


def test_tagged_words_with_an_intent(file):
    path = file("train", "set:O alarm:O 7:00:B-datetime <=> alarm/set\n")
    assert rows(path, labels={"alarm/set": "set"}) == [("set alarm 7:00", None, "set")]
    with pytest.raises(LimbeckError, match=r"b:2: the line has no intent"):
        rows(file("b", "a:O <=> x\na:O\n"))


def test_formats_are_recognised_in_utf16(file):
    assert rows(file("a.txt", "(3 (2 A) (3 (3 fine) (2 film)))\n", "utf-16")) == [("A fine film", None, "3")]
    assert form_of(Source(path=str(file("a.yml", "nlu:\n- intent: x\n", "utf-16")))) == "rasa"


def test_top(file):
    parse = "[IN:GET_EVENT Concerts [SL:DATE_TIME tonight ] ]"
    assert rows(file("a.tsv", f"Concerts  tonight\tConcerts tonight\t{parse}\n")) == [
        ("Concerts  tonight", None, "GET_EVENT")
    ]
    v2 = file("b.tsv", f"domain\tutterance\tsemantic_parse\nevent\tconcerts tonight\t{parse}\n")
    assert rows(v2) == [("concerts tonight", None, "GET_EVENT")]
    assert rows(file("c.tsv", parse)) == [("Concerts tonight", None, "GET_EVENT")]
    # Without TOPv2's header, and with more columns: the text is the one that has the parse's words.
    assert rows(file("e.tsv", f"event\tConcerts tonight\t{parse}\n")) == [
        ("Concerts tonight", None, "GET_EVENT")
    ]
    assert rows(file("e.tsv", f"0\tevent\ten\t{parse}\n")) == [("Concerts tonight", None, "GET_EVENT")]
    with pytest.raises(LimbeckError, match=r"d\.tsv:2: the line ends in no whole parse"):
        rows(file("d.tsv", f"a\ta\t{parse}\nb\tb\t{parse[:-2]}\n"))


def test_scicite(file):
    path = file("a.jsonl", json.dumps({"string": "We follow X.", "label": "method", "source": "s"}) + "\n")
    assert form_of(Source(path=str(path))) == "scicite"
    assert rows(path) == [("We follow X.", None, "method")]


YAML = """version: "3.1"
nlu:
- intent: greet
  examples: |
    - hey there
    - hello [Ann](name)
- synonym: NYC
  examples: |
    - New York
- intent: travel
  examples:
  - text: |
      to [Rome]{"entity": "city"}
    metadata: {sentiment: neutral}
"""
MARKDOWN = """<!-- old
-->
## intent:greet
- hey there
- hello [Ann](name)

## synonym:NYC
- New York

## intent:travel
- to [Rome](city:rome)
"""
OLD_JSON = json.dumps(
    {
        "rasa_nlu_data": {
            "common_examples": [
                {"text": "hey there", "intent": "greet", "entities": []},
                {"text": "hello Ann", "intent": "greet"},
                {"text": "to Rome", "intent": "travel"},
            ],
            "entity_synonyms": [{"value": "NYC", "synonyms": ["New York"]}],
        }
    }
)


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [("nlu.yml", YAML, [5, 6, 12]), ("nlu.md", MARKDOWN, [4, 5, 11]), ("nlu.json", OLD_JSON, [1, 2, 3])],
)
def test_rasa(file, name, text, lines):
    path = file(name, text)
    assert form_of(Source(path=str(path))) == "rasa"
    assert rows(path) == [
        ("hey there", None, "greet"),
        ("hello Ann", None, "greet"),
        ("to Rome", None, "travel"),
    ]
    assert [e.id for e in read(Source(path=str(path)))] == [f"{name}:{line}" for line in lines]


@pytest.mark.parametrize("name", ["a.yml", "a.md", "a.json"])
def test_what_is_written_for_rasa_is_read_again(tmp_path, name):
    said = [
        ("hi: there # you", "greet"),
        ("- 'quoted' “text”\n 😀", "yes"),
        ("ciao", "greet"),
        ("[a] (b)", "no/x"),
    ]
    rasa.write(tmp_path / name, [Example(str(n), *one) for n, one in enumerate(said)])
    found = read(Source(path=str(tmp_path / name)))
    expected = {(" ".join(text.split()), gold) for text, gold in said}
    assert {(e.text, e.gold) for e in found} == expected
    assert len(found) == len(said)


def test_what_rasa_cannot_hold(tmp_path):
    with pytest.raises(LimbeckError, match="mark of an entity"):
        rasa.write(tmp_path / "a.yml", [Example("1", "see [this](url)", "x")])
    rasa.write(tmp_path / "a.json", [Example("1", "see [this](url)", "x")])
    assert rows(tmp_path / "a.json") == [("see [this](url)", None, "x")]
    with pytest.raises(LimbeckError, match="has no label"):
        rasa.write(tmp_path / "a.md", [Example("1", "hi")])
    with pytest.raises(LimbeckError, match="no training files that end in '.csv'"):
        rasa.write(tmp_path / "a.csv", [])


@pytest.mark.parametrize("name", ["a.yml", "a.md", "a.json"])
@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("hi -->", "x<!--"),
        ("hi", " x "),
        ("hi", "  "),
        ("hi", "null\x852020"),
        ("hi", "a\nb"),
        ("#", "x"),
        ("a", "~"),
    ],
)
def test_what_is_written_for_rasa_is_read_again_or_refused(tmp_path, name, text, intent):
    refused = ""
    try:
        rasa.write(tmp_path / name, [Example("1", text, intent), Example("2", "ok", "y")])
    except LimbeckError as error:
        refused = str(error)
    if refused:
        assert "Rasa would read" in refused and name != "a.json"
        assert not (tmp_path / name).exists()
    else:
        found = list(rasa.read(tmp_path / name, Source(path=str(tmp_path / name))))
        assert [(row.text, row.label) for row in found] == [(text, intent), ("ok", "y")]


def test_half_a_character_is_refused(tmp_path):
    with pytest.raises(LimbeckError, match="the example 1 holds half of a character"):
        rasa.write(tmp_path / "a.md", [Example("1", "a \ud800", "x")])


def test_examples_of_one_line_have_ids_of_their_own(file):
    path = file("a.yml", 'nlu:\n- {intent: x, examples: [a, b]}\n- {intent: y, examples: "- c\\n- d\\n"}\n')
    found = read(Source(path=str(path)))
    assert [e.text for e in found] == ["a", "b", "c", "d"]
    assert [e.id for e in found] == ["a.yml:2", "a.yml:2/1", "a.yml:3", "a.yml:3/1"]


def test_bad_rasa_files(file):
    with pytest.raises(LimbeckError, match=r"a\.json: 'common_examples' is no list of examples"):
        read(Source(path=str(file("a.json", '{"rasa_nlu_data": {"common_examples": 5}}'))))
    with pytest.raises(LimbeckError, match=r"b\.yml: unreadable YAML"):
        read(Source(path=str(file("b.yml", "nlu: " + "[" * 5000))))
    with pytest.raises(LimbeckError, match=r"a\.yml:3: the intent has no 'examples'"):
        read(Source(path=str(file("a.yml", 'version: "3.1"\nnlu:\n- intent: x\n'))))
    with pytest.raises(LimbeckError, match=r"a\.yml:4: the example does not begin with '- '"):
        read(Source(path=str(file("a.yml", "nlu:\n- intent: x\n  examples: |\n    hi\n"))))
    with pytest.raises(
        LimbeckError, match=r"a\.yml:2: not valid YAML.*another document. Put each document in"
    ):
        read(Source(path=str(file("a.yml", "nlu: []\n---\nnlu: []\n"))))


def test_rasa_files_that_rasa_accepts(file, listener):
    text = "# Title\n## intent:x\n- hi\nSome prose.\n*hello\n"
    assert [gold for *_, gold in rows(file("a.md", text))] == ["x", "x"]
    assert [text for text, *_ in rows(file("a.md", text))] == ["hi", "hello"]
    assert "a.md:4: 1 lines below intents are no examples" in listener.warnings[0]
    several = 'nlu:\n- intent: x\n  examples: |\n    - to [NY][{"entity":"city"},{"entity":"state"}] now\n    -hey\n'
    assert [text for text, *_ in rows(file("a.yml", several))] == ["to NY now", "hey"]
    for name in ("b.yml", "b.md"):
        with pytest.raises(LimbeckError, match="Rasa would read 'see \\[a\\]\\[b\\]'"):
            rasa.write(file(name, ""), [Example("1", "see [a][b]", "x")])


PUBLISHED = [
    ("sst2/train.tsv", {}, 67_349, 2),
    ("cola/dev.tsv", {"split": "in_domain"}, 527, 2),
    ("cola/dev.tsv", {"split": "out_of_domain"}, 516, 2),
    ("trec/train_5500.label", {"classes": 50}, 5_452, 50),
    ("trec/TREC_10.label", {}, 500, 6),
    ("sst5/train.tsv", {"format": "trees"}, 8_544, 5),
    ("sst5/train.tsv", {"format": "trees", "classes": 2}, 6_920, 2),
    ("snips/train", {}, 13_084, 7),
    ("fb_multilingual/en/train", {}, 30_521, 12),
    ("scicite/train.jsonl", {}, 7_320, 3),
    ("rte/dev.tsv", {}, 277, 2),
    ("qqp/dev.txt", {}, 10_000, 2),
]


@pytest.mark.data
@pytest.mark.parametrize(("path", "keys", "examples", "labels"), PUBLISHED)
def test_published_sets_have_the_published_sizes(data, path, keys, examples, labels):
    found = read(Source(path=str(data / path), **keys))
    assert (len(found), len({e.gold for e in found})) == (examples, labels)


@pytest.mark.data
def test_scores_of_sts(data):
    found = [e.score for e in read(Source(path=str(data / "stsb/original/sts-dev.csv")), task="regression")]
    assert len(found) == 1_500
    assert sum(found) / len(found) == pytest.approx(2.364, abs=5e-4)


def sections():
    return dict(re.findall(r"^## (.*)\n((?:(?!^## ).*\n?)*)", DOCS.read_text(encoding="utf-8"), re.MULTILINE))


def test_the_page_has_a_section_for_every_format():
    told = {name for title in sections() for name in re.findall("`(.*?)`", title)}
    formats = set(get_args(Source.model_fields["format"].annotation))
    assert told == formats - {"auto"}
    assert set(FAMILIES) == set(get_args(LabelledFormat)) < formats


@pytest.mark.parametrize("form", sorted(FAMILIES.keys() - {"seq_in"}))
def test_the_samples_of_the_page_are_recognised(file, form):
    names = {"trec": "a.label", "word_tag": "train", "scicite": "a.jsonl", "rasa": "a.yml", "trees": "a.txt"}
    sample = "".join(re.findall("^    (.*\n)", sections()[f"`{form}`"], re.MULTILINE))
    path = file(names.get(form, "a.tsv"), sample)
    assert form_of(Source(path=str(path))) == form
    assert read(Source(path=str(path)))[0].gold is not None
