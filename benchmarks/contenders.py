"""The two sides of the throughput benchmark: Limbeck and TextBrewer, each as its users write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from limbeck.core.example import Example

if TYPE_CHECKING:
    import numpy as np
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

LABELS = ("negative", "positive")
MAX_LENGTH = 96
BATCH = 32
"""Sentences a batch; on average, where batches are cut by tokens."""
LEARNING_RATE = 1e-3
WARMUP = 0.1


@dataclass(frozen=True)
class Setting:
    """What all contenders share.

    Attributes:
        teacher: With an untrained head.
        tokeniser: Of teacher and student.
        examples: Sentences to distil on.
        dev: Sentences for Limbeck's evaluations.
        tokens_per_batch: Limbeck's budget, which gives ``BATCH`` sentences a batch.
        epochs: Of one distillation.
        device: ``cuda`` where there is one, else ``cpu``.
    """

    teacher: PreTrainedModel
    tokeniser: PreTrainedTokenizerFast
    examples: tuple[Example, ...]
    dev: tuple[Example, ...]
    tokens_per_batch: int
    epochs: int
    device: str


Clock = Callable[[], None]
"""To be called when an epoch is over."""
Contender = Callable[[Setting, "PreTrainedModel", Path, Clock], None]
"""Distils into the student, with a folder to write to."""


def limbeck(setting: Setting, student: PreTrainedModel, folder: Path, over: Clock) -> None:
    """Ask once, then train on the stored answers."""
    from limbeck.core.recipe import Training
    from limbeck.methods.logit_regression import Settings as LogitRegression
    from limbeck.text.encode import encode
    from limbeck.train.loop import train
    from limbeck.transfer.ask import ask
    from limbeck.transfer.store import AnswerStore
    from limbeck.transfer.teachers import ModelTeacher

    def score(gold: NDArray[np.int64], predicted: NDArray[np.int64]) -> Mapping[str, float]:
        over()  # dev is scored at the end of an epoch
        return {"accuracy": float((gold == predicted).mean())}

    objective = LogitRegression().stages()[0].objective
    teacher = ModelTeacher(setting.teacher, setting.tokeniser, LABELS, MAX_LENGTH)
    train(
        student,
        setting.tokeniser,
        objective,
        encode(setting.tokeniser, setting.examples, LABELS, MAX_LENGTH),
        ask(teacher, setting.examples, objective.needs, AnswerStore(folder / "store")),
        encode(setting.tokeniser, setting.dev, LABELS, MAX_LENGTH),
        Training(
            epochs=setting.epochs,
            learning_rate=LEARNING_RATE,
            tokens_per_batch=setting.tokens_per_batch,
            warmup=WARMUP,
            evaluate=setting.epochs,
            precision="fp32",
        ),
        folder / "student",
        seed=0,
        score=score,
    )


def textbrewer(
    setting: Setting, student: PreTrainedModel, folder: Path, over: Clock, *, caching: bool = False
) -> None:
    """As its documentation does it: a shuffled DataLoader, batches padded to their longest sentence."""
    import torch
    from textbrewer import BasicDistiller, DistillationConfig, GeneralDistiller, TrainingConfig
    from torch.utils.data import DataLoader
    from transformers import DataCollatorWithPadding, get_linear_schedule_with_warmup

    encoded = setting.tokeniser(
        [example.text for example in setting.examples],
        truncation=True,
        max_length=MAX_LENGTH,
        return_token_type_ids=False,
    )
    rows: Any = [
        {name: values[row] for name, values in encoded.items()} for row in range(len(setting.examples))
    ]
    padded = DataCollatorWithPadding(setting.tokeniser)
    # TextBrewer takes a batch for keyword arguments only where it is a plain dict.
    loader: DataLoader[Any] = DataLoader(
        rows, BATCH, shuffle=True, collate_fn=lambda chosen: dict(padded(chosen))
    )
    both: tuple[nn.Module, ...] = (student, setting.teacher)
    for model in both:
        model.to(setting.device)
    optimiser = torch.optim.AdamW(student.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    steps = len(loader) * setting.epochs
    distiller = (BasicDistiller if caching else GeneralDistiller)(
        TrainingConfig(device=setting.device, output_dir=str(folder), log_dir=None),
        # The mean over classes times their number: the sum, as in Limbeck.
        DistillationConfig(
            temperature=1, kd_loss_type="mse", kd_loss_weight=len(LABELS), is_caching_logits=caching
        ),
        setting.teacher,
        student,
        _logits,
        _logits,
    )
    with distiller:
        distiller.train(
            optimiser,
            loader,
            num_epochs=setting.epochs,
            scheduler_class=get_linear_schedule_with_warmup,
            scheduler_args={"num_warmup_steps": round(WARMUP * steps), "num_training_steps": steps},
            max_grad_norm=1.0,
            callback=lambda model, step: over(),
        )


def _logits(batch: Any, output: Any) -> dict[str, Any]:
    """TextBrewer's adaptor: from a model's output to what the losses read."""
    return {"logits": output.logits}


CONTENDERS: dict[str, Contender] = {
    "limbeck": limbeck,
    "textbrewer": textbrewer,
    "textbrewer_caching": partial(textbrewer, caching=True),
}
