"""Programs' catalogues of messages: gettext's two formats and JSON, alone, in folders and by patterns."""

import json
import sys

import pytest

from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Source
from limbeck.text.readers import files_of, read

polib = pytest.importorskip("polib", reason="an extra: pip install 'limbeck[catalogues]'")
PO = r"""
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=3; plural=(n==1) ? 0 : (n>=2 && n<=4) ? 1 : 2;\n"

msgid "Open file"
msgstr "Otevřít soubor"

msgctxt "menu"
msgid ""
"Two\n"
"lines"
msgstr "Dva  řádky"

msgid "%d day"
msgid_plural "%d days"
msgstr[0] "%d den"
msgstr[1] "%d dny"
msgstr[2] "%d dní"

#, fuzzy
msgid "Perhaps"
msgstr "Nejspíš"

msgid "Untranslated"
msgstr ""

#~ msgid "Gone"
#~ msgstr "Pryč"
"""
PAIRS = [
    ("Open file", ("Otevřít soubor",)),
    ("Two lines", ("Dva řádky",)),
    ("%d day", ("%d den",)),
    ("%d days", ("%d dny", "%d dní")),
]


def messages(path, **more):
    return read(Source(path=str(path), **more), task="translation")


@pytest.fixture
def po(tmp_path):
    path = tmp_path / "locale" / "cs" / "app.po"
    path.parent.mkdir(parents=True)
    path.write_text(PO, encoding="utf-8")
    return path


def test_po_with_plurals_and_without_what_is_fuzzy_or_untranslated(po):
    found = messages(po, language="cs")
    assert [(e.text, e.targets) for e in found] == PAIRS
    assert [e.id for e in found] == ["app.po:7/cs", "app.po:10/cs", "app.po:16/cs", "app.po:16.plural/cs"]


def test_mo_says_the_same(po):
    compiled = po.with_suffix(".mo")
    polib.pofile(str(po)).save_as_mofile(str(compiled))
    with_blank = polib.mofile(str(compiled))
    with_blank.append(polib.MOEntry(msgid="Blank", msgstr=" "))
    with_blank.save(str(compiled))
    found = messages(compiled)
    assert sorted((e.text, e.targets) for e in found) == sorted(PAIRS)
    assert len({e.id for e in found}) == 4


def test_the_form_of_one_is_the_singular_wherever_it_stands(po):
    po.write_text(
        PO.replace("plural=(n==1) ? 0 : (n>=2 && n<=4) ? 1 : 2", "plural=(n==1) ? 1 : n==0 ? 0 : 2")
    )
    assert [e.targets for e in messages(po)[2:]] == [("%d dny",), ("%d den", "%d dní")]


@pytest.mark.parametrize("wrapped", [False, True])
def test_json_as_jupyterlab_has_it(tmp_path, wrapped):
    header = {"domain": "x", "language": "fr-FR", "plural_forms": "nplurals=2; plural=(n > 1);"}
    values = {"": header, "Help ": [" Aide"], "menu\x04%1 day": ["%1 jour", "%1 jours"], "Later": [""]}
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"locale_data": {"x": values}} if wrapped else values))
    found = messages(path, format="po")
    assert [(e.id, e.text, e.targets) for e in found] == [
        ("x.json:1", "Help", ("Aide",)),
        ("x.json:2", "%1 day", ("%1 jour",)),
    ]


def test_a_folder_is_read_whole_and_each_catalogue_once(po, tmp_path):
    polib.pofile(str(po)).save_as_mofile(str(po.with_suffix(".mo")))
    (tmp_path / "locale" / "package.json").write_text('{"name": "no catalogue"}')
    (tmp_path / "locale" / "broken.json").write_text("{")
    (po.parent / "more.json").write_text(json.dumps({"": {}, "Save": ["Uložit"]}))
    source = {"path": str(tmp_path / "locale"), "format": "po"}
    found = messages(**source)
    assert [(e.text, e.targets) for e in found] == [*PAIRS, ("Save", ("Uložit",))]
    assert (found[0].id, found[-1].id) == ("locale/cs/app.po:7", "locale/cs/more.json:1")
    assert files_of(Source(**source)) == (str(po), str(po.parent / "more.json"))


def test_a_pattern_picks_one_language(po, tmp_path):
    other = tmp_path / "locale" / "de" / "app.po"
    other.parent.mkdir()
    other.write_text(PO.replace("Otevřít soubor", "Datei öffnen"), encoding="utf-8")
    found = messages(tmp_path / "**" / "de" / "*.po")
    assert len(found) == 4
    assert (found[0].id, found[0].targets) == (f"{tmp_path.name}/locale/de/app.po:7", ("Datei öffnen",))
    assert files_of(Source(path=str(tmp_path / "**" / "de" / "*.po"))) == (str(other),)


def test_a_pattern_inside_a_package(tmp_path, monkeypatch, po):
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "__init__.py").touch()
    po.rename(tmp_path / "shipped" / "app.po")
    monkeypatch.syspath_prepend(tmp_path)
    for path in ("package:shipped/*.po", "package:shipped/app.po"):
        assert [e.text for e in messages(path, format="po")] == [text for text, _ in PAIRS]
    with pytest.raises(
        LimbeckError, match=r"package:shipped/de/\*\.po: no catalogue of messages|holds no 'de'"
    ):
        messages("package:shipped/de/*.po")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.po", "some nonsense\n", r"a\.po: no catalogue of messages \(Syntax error in po file"),
        ("a.mo", "nonsense", r"a\.mo: no catalogue of messages \("),
        ("a.po", 'msgid "a"\nmsgstr ""\n', r"a\.po: no message here is translated"),
        ("a.json", "{", r"a\.json: not JSON"),
        ("a.json", '{"a": ["b"]}', r"a\.json: no catalogue of messages\. Messages are"),
        ("a.json", '{"": {}, "a": "b"}', r"a\.json: the translation of 'a' is no list of strings"),
    ],
)
def test_what_is_no_catalogue(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(LimbeckError, match=message):
        messages(tmp_path / name, format="po")


def test_places_without_catalogues(tmp_path):
    with pytest.raises(LimbeckError, match="no such file or folder of messages"):
        messages(tmp_path / "gone", format="po")
    with pytest.raises(LimbeckError, match=r"no catalogue of messages \(\.json, \.po, \.mo\) is here"):
        messages(tmp_path, format="po")


def test_without_polib_it_is_said_what_to_install(po, monkeypatch):
    monkeypatch.setitem(sys.modules, "polib", None)
    with pytest.raises(
        LimbeckError, match=r"read by polib\. Install it: pip install 'limbeck\[catalogues\]'"
    ):
        messages(po)
