import pytest
import torch
from torch import nn
from train_task import Dictionary, Distance, Gold, make_data, make_student

from limbeck.train.lesson import Lesson
from limbeck.train.optimiser import RowGradients, adamw, finish_gradient, gradients


def test_biases_norms_and_embeddings_do_not_decay() -> None:
    module = nn.ModuleDict({"words": nn.Embedding(5, 4), "norm": nn.LayerNorm(4), "out": nn.Linear(4, 2)})
    module["frozen"] = nn.Linear(4, 4).requires_grad_(False)
    decaying, still, embeddings = adamw(module, 0.1, 0.5, embedding_rate=0.1).param_groups
    assert [p.shape for p in decaying["params"]] == [(2, 4)]
    assert decaying["weight_decay"] == 0.5
    assert len(still["params"]) == 3
    assert [p.shape for p in embeddings["params"]] == [(5, 4)]
    assert still["weight_decay"] == embeddings["weight_decay"] == 0
    assert [group["rate"] for group in (decaying, still, embeddings)] == [1, 1, 0.1]


@pytest.mark.parametrize("clip", [1e6, 0.01])
def test_gradient_is_that_of_the_mean_and_clipped_like_pytorch_does(clip: float) -> None:
    torch.manual_seed(0)
    layer, inputs = nn.Linear(3, 2), torch.randn(7, 3)
    layer(inputs).square().sum(-1).mean().backward()
    norm = nn.utils.clip_grad_norm_(layer.parameters(), clip)
    expected = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    layer(inputs).square().sum().backward()
    measured = finish_gradient(gradients(layer), 7, clip)
    torch.testing.assert_close(measured, norm)
    torch.testing.assert_close(gradients(layer), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("objective", [Gold(), Distance()])
def test_accumulation_changes_no_gradient(objective: nn.Module) -> None:
    """Batches of unequal sizes and lengths, so that a mean of means would be wrong."""
    data = make_data(23, seed=1)
    model = make_student(dropout=0.0).train()
    lesson = Lesson(model, objective, data, Dictionary(data), torch.device("cpu"), "fp32")
    found = []
    rows = torch.arange(23).numpy()
    for cuts in ([rows], [rows[:2], rows[2:5], rows[5:]], [rows[n : n + 1] for n in range(23)]):
        lesson.modules.zero_grad()
        count = 0
        for part in cuts:
            loss = lesson.loss(part)
            loss.total.backward()
            count += loss.count
        finish_gradient(gradients(lesson.modules), count, 1e9)
        found.append([g.clone() for g in gradients(lesson.modules)])
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_gradients_by_rows_are_those_of_whole_tables(accumulate: int) -> None:
    """Bit for bit where a step is one batch. Over several steps, as what is left of an earlier one would show."""
    data = make_data(40, seed=1)
    model = make_student(dropout=0.0).train()
    lesson = Lesson(model, Distance(), data, Dictionary(data), torch.device("cpu"), "fp32")
    by_rows = RowGradients(lesson.modules, torch.device("cpu"))
    table = model.get_input_embeddings().weight
    for step in torch.arange(40).reshape(-1, accumulate, 5).numpy():
        lesson.modules.zero_grad()
        for rows in step:
            lesson.loss(rows).total.backward()
        expected = [g.clone() for g in gradients(lesson.modules)]
        lesson.modules.zero_grad()
        for rows in step:
            with by_rows.collected():
                lesson.loss(rows).total.backward()
        found = gradients(lesson.modules)
        exact = {"rtol": 0.0, "atol": 0.0} if accumulate == 1 else {"rtol": 1e-5, "atol": 1e-6}
        torch.testing.assert_close(found, expected, **exact)
        buffer = table.grad
        by_rows.clear()
        assert buffer is not None
        assert not buffer.any()
        assert table.grad is None


def test_embedding_that_is_read_otherwise_or_not_at_all_has_its_gradient_or_none() -> None:
    modules = nn.ModuleDict({"words": nn.Embedding(5, 3), "other": nn.Embedding(5, 3)})
    words = modules["words"]
    by_rows = RowGradients(modules, torch.device("cpu"))
    for _ in range(2):
        with by_rows.collected():
            (words(torch.tensor([1, 1])).sum() + words.weight.square().sum()).backward()
        expected = 2 * words.weight.detach()
        expected[1] += 2
        torch.testing.assert_close(words.weight.grad, expected)
        assert modules["other"].weight.grad is None
        by_rows.clear()


def test_shared_embeddings_and_other_devices_are_left_to_pytorch() -> None:
    tied = nn.ModuleDict({"words": nn.Embedding(5, 3), "out": nn.Linear(3, 5, bias=False)})
    tied["out"].weight = tied["words"].weight
    alone = nn.ModuleDict({"words": nn.Embedding(5, 3)})
    cases = [(tied, "cpu", 1), (alone, "cuda", 1), (alone, "cpu", 2)]
    for modules, device, processes in cases:
        with RowGradients(modules, torch.device(device), processes).collected():
            assert not modules["words"].sparse
