"""Sizes between a student's and its teacher's."""

import pytest
from transformers import BertConfig, BertForSequenceClassification

from limbeck.core.errors import LimbeckError
from limbeck.models import between, bilstm, static, transformer
from limbeck.models.bilstm import BiLSTMForSequenceClassification
from limbeck.models.configs import BiLSTMConfig


def bert(layers: int, width: int, heads: int, units: int) -> BertForSequenceClassification:
    shape = {"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": heads}
    return BertForSequenceClassification(BertConfig(vocab_size=50, intermediate_size=units, **shape))


def lstm(hidden: int, relu: int) -> BiLSTMForSequenceClassification:
    return BiLSTMForSequenceClassification(
        BiLSTMConfig(vocab_size=50, embedding_size=8, hidden_size=hidden, relu_size=relu)
    )


def test_one_between_is_the_geometric_mean_of_transformers() -> None:
    student, teacher = bert(1, 16, 2, 32), bert(4, 64, 4, 128)
    settings = transformer.Settings(layers=1, hidden_size=16, heads=2, intermediate=32)
    found = transformer.Settings(**between.keys("transformer", settings, student, teacher, 0.5))
    assert (found.layers, found.heads, found.intermediate) == (2, 3, 64)
    assert found.hidden_size == 33  # 32, in as many parts as there are heads


def test_a_bilstm_grows_to_about_the_geometric_mean_of_parameters() -> None:
    student, teacher = lstm(20, 10), bert(3, 96, 4, 384)
    settings = bilstm.Settings(hidden=20, relu=10)
    counts = [sum(each.numel() for each in model.parameters()) for model in (student, teacher)]
    found = [bilstm.Settings(**between.keys("bilstm", settings, student, teacher, n / 3)) for n in (1, 2)]
    assert found[0].hidden > found[1].hidden > settings.hidden
    assert found[0].relu == pytest.approx(found[0].hidden / 2, abs=1)
    middle = bilstm.Settings(**between.keys("bilstm", settings, student, teacher, 0.5))
    size = sum(each.numel() for each in lstm(middle.hidden, middle.relu).parameters())
    assert 0.6 < size / (counts[0] * counts[1]) ** 0.5 < 1.2


def test_where_there_is_nothing_between() -> None:
    small, large = lstm(4, 4), bert(4, 64, 4, 128)
    with pytest.raises(LimbeckError, match="no sizes between a teacher and a student of the kind 'static'"):
        between.keys("static", static.Settings(), small, large, 0.5)
    with pytest.raises(LimbeckError, match="the teacher has .* parameters"):
        between.keys("bilstm", bilstm.Settings(), large, small, 0.5)
