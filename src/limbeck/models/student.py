"""What Limbeck's own models share: embeddings, and how weights start; students, a ReLU layer before the logits."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel, initialization as init

from limbeck.core.tasks import Task
from limbeck.models.configs import EmbeddingConfig, StudentConfig

Problem = Literal["regression", "single_label_classification", "multi_label_classification"]
PROBLEM_TYPES: Mapping[Task, Problem] = {
    "classification": "single_label_classification",
    "regression": "regression",
    "multilabel": "multi_label_classification",
}
"""What transformers calls the tasks of texts; a model's own loss goes by it."""


def task_of(config: PreTrainedConfig) -> Task:
    """The task of a model of texts; classification where its configuration does not say."""
    named = getattr(config, "problem_type", None)
    return next((task for task, name in PROBLEM_TYPES.items() if name == named), "classification")


def class_names(labels: Sequence[str]) -> dict[str, Any]:
    """The keys of a configuration that name the classes."""
    names = dict(enumerate(labels))
    return {
        "num_labels": len(labels),
        "id2label": names,
        "label2id": {label: number for number, label in names.items()},
        "problem_type": PROBLEM_TYPES["classification" if len(names) > 1 else "regression"],
    }


def classes(config: PreTrainedConfig) -> int:
    """Number of classes."""
    return len(config.id2label or {})


def start_at(model: PreTrainedModel, score: float) -> None:
    """Let a fresh model of scores say this one of every text but for what its weights add, by the bias of its head.

    The best guess before anything is learnt: from nought, the first steps would only go towards the mean.

    Args:
        model: Its last linear layer has one output.
        score: Such as the mean of gold.
    """
    heads = [each for each in model.modules() if isinstance(each, nn.Linear) and each.out_features == 1]
    if heads and heads[-1].bias is not None:
        nn.init.constant_(heads[-1].bias, score)


def encoder_of(model: PreTrainedModel) -> PreTrainedModel:
    """What stands under a model's head; a model that has no such part itself."""
    encoder = model.base_model
    assert isinstance(encoder, PreTrainedModel)
    return encoder


def longest_input(model: PreTrainedModel) -> int | None:
    """Most tokens that a model can read, or None where its positions have no end."""
    longest: int | None = getattr(encoder_of(model).config, "max_position_embeddings", None)
    for name, module in model.named_modules():
        # RoBERTa and its kin count positions from behind the padding's.
        padding = getattr(module, "padding_idx", None)
        if longest is not None and name.endswith("position_embeddings") and padding is not None:
            longest -= padding + 1
    return longest


def readable(model: PreTrainedModel, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The inputs that a model takes: not all families are told which of a pair's texts a token is of."""
    types = "token_type_ids"
    if types not in inputs or types in inspect.signature(model.forward).parameters:
        return inputs
    return {name: value for name, value in inputs.items() if name != types}


class EmbeddingModel(PreTrainedModel):
    """Base of models that begin with embeddings of tokens."""

    config: EmbeddingConfig
    base_model_prefix = "student"
    main_input_name = "input_ids"

    def __init__(self, config: EmbeddingConfig) -> None:
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.embedding_size)

    def get_input_embeddings(self) -> nn.Module:
        """The token embeddings."""
        return self.embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embeddings."""
        assert isinstance(value, nn.Embedding)
        self.embeddings = value

    def dropped(self, values: Tensor, share: float) -> Tensor:
        """Dropout in training."""
        return functional.dropout(values, share, self.training) if self.training and share else values

    def padded(self, input_ids: Tensor, attention_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Ids and mask, each ``(batch, tokens)``, at least one token wide."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        if input_ids.shape[1] == 0:
            return functional.pad(input_ids, (0, 1)), functional.pad(mask, (0, 1))
        return input_ids, mask

    def _init_weights(self, module: nn.Module) -> None:
        """Uniform within one over the root of the inputs (PyTorch's own start); normal for embeddings."""
        if isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            init.uniform_(module.weight, -bound, bound)
            if module.bias is not None:
                init.uniform_(module.bias, -bound, bound)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.initializer_range)


class Student(EmbeddingModel):
    """Base of the students: ids to a summary of the sentence, then ``W2 relu(W1 summary + b1) + b2``."""

    config: StudentConfig
    hidden: nn.Linear
    classifier: nn.Linear

    def classify(self, summary: Tensor) -> Tensor:
        """``(batch, width) -> (batch, classes)``."""
        hidden = self.hidden(self.dropped(summary, self.config.dropout)).relu()
        logits: Tensor = self.classifier(self.dropped(hidden, self.config.dropout))
        return logits

    def loss(self, logits: Tensor, labels: Tensor | None) -> Tensor | None:
        """The mean loss of gold as transformers counts it for the configuration's ``problem_type``.

        Args:
            logits: ``(batch, labels)``.
            labels: Label indices, or scores, ``(batch,)``; of several labels ones and noughts, ``(batch, labels)``.
        """
        if labels is None:
            return None
        task = task_of(self.config)
        if task == "regression":
            return functional.mse_loss(logits.squeeze(-1), labels.reshape(-1).to(logits.dtype))
        if task == "multilabel":
            return functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        return functional.cross_entropy(logits, labels)
