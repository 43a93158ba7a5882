"""What counts as damaged, equal and contradictory; and good text of many tongues that must not be dropped."""

import pytest
from hypothesis import given, strategies as st

from limbeck.core.example import Example
from limbeck.core.sources import Clean
from limbeck.text.clean import clean, is_damaged, text_key

GOOD = [
    "plain text,\twith a tab\nand a line break\r\n",
    "It’s “typographic” – isn’t it…",
    "« Il a parlé… » dit-il, l’âme en peine ; ÇA VA À L’ÉTÉ",
    "„Gruß“, „Spaß“… Äpfel, ÖL, Übermut",
    "NÃO, AMANHÃ… São João, IRMÃ” e pão",
    "hâlâ… Ağrı, İstanbul, ılık şey",
    "Þetta er íslenska: æ, ð, Ð; Ðað… Øl, Ågot, Æ’",
    "Zażółć gęślą jaźń; příliš žluťoučký kůň; Őrült",
    "Привет, мир! Ещё чаю?",
    "Καλημέρα κόσμε· τι κάνεις;",
    "שלום עולם, مرحبا بالعالم",
    "नमस्ते दुनिया; สวัสดีชาวโลก",
    "今日はいい天気ですね。你好，世界！한국어",
    "emoji 😀👍🏽❤️ 👨‍👩‍👧, £5 °C ½ ² ©®™ ±3√2",
    "À… É’ É” Ñ» ñ» Ü… ï… Î… Ï’",
    "_emphasis_ _été_ @user_ñ __init__",
    "zero\u200bwidth, no\u00a0break, soft\u00adhyphen, \ue000",
]
SENTENCES = [
    "It’s “so”…",
    "café crème à Noël",
    "größer als ÄÖÜ",
    "Привет мир",
    "日本語の文",
    "ещё £5",
    "zażółć",
    "yes 😀",
]


@pytest.mark.parametrize("text", GOOD)
def test_good_text_stays(text):
    assert not is_damaged(text)


@pytest.mark.parametrize("table", ["cp1252", "latin-1"])
@pytest.mark.parametrize("text", SENTENCES)
def test_utf8_read_with_another_table_is_damaged(text, table):
    wrong = text.encode().decode("latin-1") if table == "latin-1" else _as_windows(text.encode())
    assert is_damaged(wrong)


@pytest.mark.parametrize("text", ["It’s “so”…", "café", "größer", "mañana"])
def test_utf8_read_with_the_macintosh_table_is_damaged(text):
    assert is_damaged(text.encode().decode("mac_roman"))


@pytest.mark.parametrize(
    "text",
    [
        "cars_\ufffd_.no",
        "nul \x00",
        "bell \x07",
        "escape \x1b[0m",
        "C1 \x93quoted\x94",
        "half \ud83d",
        "\x7f",
    ],
)
def test_lost_characters_are_damage(text):
    assert is_damaged(text)


@given(st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126)))
def test_printable_ascii_is_never_damaged(text):
    assert not is_damaged(text)


def _as_windows(data: bytes) -> str:
    """Windows-1252 as browsers have it: the five bytes that it leaves open are control characters."""
    return "".join(bytes([b]).decode("cp1252") if b not in b"\x81\x8d\x8f\x90\x9d" else chr(b) for b in data)


def examples(*pairs):
    return [Example(str(number), text, gold) for number, (text, gold) in enumerate(pairs)]


def test_what_is_dropped_and_how_it_is_counted():
    given = examples(
        ("Good  film", "pos"),
        ("", "pos"),
        (" \u00a0", None),
        ("good film", "pos"),
        ("bad\ufffd", "neg"),
        ("odd", "pos"),
        ("ODD", "neg"),
        ("odd ", None),
        ("later labelled", None),
        ("later labelled", "neg"),
        ("alone", None),
        ("Alone", None),
    )
    kept, dropped = clean(given, Clean())
    assert [e.id for e in kept] == ["0", "9", "10"]
    assert dropped == {"empty": 2, "damaged": 1, "duplicate": 3, "contradictory": 3}
    assert sum(dropped.values()) + len(kept) == len(given)


def test_each_part_can_be_turned_off():
    given = examples(("a", "x"), ("a", "y"), ("\ufffd", "x"), ("", "x"))
    kept, dropped = clean(given, Clean(damaged=False, duplicates=False))
    assert [e.id for e in kept] == ["0", "1", "2"]
    assert dropped == {"empty": 1}


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "A", " a", "b", "c", "\x00", ""]), st.sampled_from(["x", "y", None]))
    )
)
def test_cleaning_keeps_order_counts_all_and_changes_nothing_the_second_time(pairs):
    given = examples(*pairs)
    kept, dropped = clean(given, Clean())
    assert [e for e in given if e in kept] == kept
    assert len({text_key(e.text) for e in kept}) == len(kept)
    assert len(kept) + sum(dropped.values()) == len(given)
    assert clean(kept, Clean()) == (kept, {})


def pairs(*rows):
    return [Example(str(n), text, targets=tuple(targets)) for n, (text, *targets) in enumerate(rows)]


def kept_of(given, **settings):
    kept, dropped = clean(given, Clean(**settings))
    assert len(kept) + sum(dropped.values()) == len(given)
    return [int(example.id) for example in kept], dict(dropped)


def test_pairs_are_equal_in_text_and_first_translation():
    given = pairs(
        ("A dog", "Ein Hund"),
        ("a  DOG", "ein hund", "another reference"),
        ("A dog", "Der Hund"),
        ("A dog",),
        ("A cat",),
        ("a cat",),
        ("A cat ", "Eine Katze"),
        ("A bird",),
        ("a bird",),
    )
    assert kept_of(given) == ([0, 2, 6, 7], {"duplicate": 5})
    assert kept_of(given, duplicates=False)[0] == list(range(9))


def test_a_damaged_translation_takes_its_text_along():
    given = pairs(
        ("fine", "gut"), ("fine", "gut", "f\ufffdr"), ("cafe", "cafÃ©"), ("caf\ufffd", "x"), ("", "leer")
    )
    assert kept_of(given) == ([0], {"empty": 1, "damaged": 3})
    assert kept_of(given, damaged=False)[1] == {"empty": 1, "duplicate": 1}


def test_long_and_uneven_pairs_are_counted_apart():
    given = pairs(
        ("a b c", "a b c"),
        ("a b c d", "a b c"),
        ("a b c", "a b c d"),
        ("a b", "a b", "a b c d"),
        ("a b", "a b c"),
        ("a b", "a"),
        ("b", "b c"),
        ("b", "b", "b c"),
        ("c d e f",),
        ("c",),
    )
    assert kept_of(given, longest=3) == ([0, 4, 5, 6, 7, 9], {"too long": 4})
    assert kept_of(given, ratio=2) == ([0, 1, 2, 4, 8, 9], {"of unlike lengths": 4})
    assert kept_of(given, longest=3, ratio=1.5) == ([0, 9], {"too long": 4, "of unlike lengths": 4})
    assert kept_of(given)[1] == {}
