"""The benchmark of translators' speed: models whose length is fixed, and what it reads off its rows."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from limbeck.core.example import Example
from limbeck.core.recipe import Recipe
from limbeck.core.sources import Vocabulary
from limbeck.text.subwords import Subwords

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import translation_speed
    import translators
    from results_file import ResultsFile
finally:
    sys.path.pop(0)

TEXTS = ["a cat sees a cow", "the cow", "a cow hears the cat and a cat"]


def row(size: str, search: str, engine: str, times: float) -> dict[str, Any]:
    return {"size": size, "search": search, "engine": engine, "times_faster": times}


def test_aims_are_of_the_parallel_model_in_pytorch() -> None:
    rows = [
        row(size, search, engine, times + number)
        for number, size in enumerate(translation_speed.SENTENCES)
        for search, engine, times in (
            ("beam 5", "pytorch", 1.0), ("one pass", "pytorch", 9.5), ("one pass", "onnx-int8", 80.0),
        )
    ]  # fmt: skip
    assert [aim.measure(rows) for aim in translation_speed.AIMS] == [9.5, 10.5, 11.5]
    assert [aim.judge(rows)["met"] for aim in translation_speed.AIMS] == [False, True, True]
    assert [aim.measure(rows[:3]) for aim in translation_speed.AIMS] == [9.5, None, None]


def test_long_sentences_have_twenty_tokens() -> None:
    texts = ["a cow " * 4, "the cat " * 30, "a cow sees the cat " * 9]
    examples = [Example(str(number), text.strip(), targets=("x",)) for number, text in enumerate(texts)]
    run = SimpleNamespace(
        tokeniser=Subwords.learn(examples, Vocabulary(size=320)),
        prepared=SimpleNamespace(test=SimpleNamespace(examples=examples)),
    )
    found = translation_speed.long_ones(run)  # type: ignore[arg-type]
    assert [example.id for example in found] == ["1", "2"]


def make_pair(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Untrained models, small ones, as the benchmark makes them."""
    layers = {"layers": 1, "width": 16, "heads": 2, "feed_forward": 32}
    monkeypatch.setattr(translation_speed, "LARGE", layers)
    monkeypatch.setattr(translators, "MAX_LENGTH", 24)
    examples = [Example(str(number), text, targets=(text,)) for number, text in enumerate(TEXTS)]
    subwords = Subwords.learn(examples, Vocabulary(size=320))
    return translation_speed.of_fixed_length(SimpleNamespace(tokeniser=subwords))  # type: ignore[arg-type]


@pytest.mark.parametrize("search", translation_speed.SEARCHES)
def test_every_model_of_fixed_length_writes_as_many_tokens_as_its_source_has(
    search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limbeck.models.translators.decode import translate
    from limbeck.text.translations import encode_translations

    pair = make_pair(monkeypatch)
    name, decoding = translation_speed.SEARCHES[search]
    model = pair.models[name]
    if name == translation_speed.VANILLA:
        model.config.deduplicate = False  # untrained, it says the same again and again
    for text in TEXTS:
        encoded = encode_translations(pair.subwords, [Example("", text)], None, 24)
        (found,) = translate(model, encoded, pair.decoding([text], decoding))
        wanted = encoded.lengths[0] - (name == translation_speed.VANILLA)  # it writes no end token
        assert len(found[0].tokens) == wanted


def test_rows_of_a_size_hold_every_search_on_every_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pair = make_pair(monkeypatch)
    monkeypatch.setattr(translation_speed, "CHECKED", 1)
    results = ResultsFile(tmp_path / "speed.json", "command")
    examples = [Example(str(number), text, targets=(text,)) for number, text in enumerate(TEXTS)]
    translation_speed.time_them("tried", pair, examples, results)
    told = {(row["search"], row["engine"]) for row in results.find(size="tried")}
    engines = ("pytorch", "onnx", "onnx-int8")
    assert told == {(search, engine) for search in translation_speed.SEARCHES for engine in engines}
    (beam,) = results.find(search="beam 5", engine="pytorch")
    assert beam["times_faster"] == 1 and beam["per_second"] is None and beam["bleu"] is None


def test_the_trained_pair_reads_multi30k(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for part in ("train", "val", "test_2016_flickr"):
        for language in ("en", "de"):
            file = tmp_path / "multi30k" / f"{part}.{language}.gz"
            file.parent.mkdir(exist_ok=True)
            file.touch()
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path))
    made = translation_speed.recipe(full=False)
    assert isinstance(made, Recipe) and made.data.train[0].path.endswith("train.en.gz")
    assert made.data.test.target_file == [str(tmp_path / "multi30k" / "test_2016_flickr.de.gz")]
