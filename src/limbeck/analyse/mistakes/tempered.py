"""What models answer at any temperature: probabilities of classes, of labels, or of the tags of words.

Divided by a temperature ``T``, logits give ``p_T = softmax(z / T)``, which is ``p^(1/T)`` over its sum (Hinton et al.
2015, "Distilling the Knowledge in a Neural Network", equation 1). Probabilities alone will do, for they tell the logits
but for a constant that the softmax takes away. Of a chain, ``T`` divides all scores, those of pairs of tags, too; what
words' tags are then worth are the marginals of that other chain, computed anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from limbeck.core.example import Example
from limbeck.core.tasks import Task
from limbeck.evaluate.calibration import softmax
from limbeck.evaluate.evaluate import gold_numbers
from limbeck.evaluate.metrics import Floats, Ints
from limbeck.evaluate.yardstick import yardstick

if TYPE_CHECKING:
    from limbeck.structure.chain import Chain

UNKNOWN = -1
"""The number of a gold tag that the models do not know."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one model and seed says of some items: texts, decisions on labels, or words.

    Attributes:
        at: From a temperature to probabilities, ``(items, classes)``.
        chosen: What it answers, whatever the temperature, ``(items,)``.
        gold: What is right, ``(items,)``; ``UNKNOWN`` where the models do not know it.
    """

    at: Callable[[float], Floats]
    chosen: Ints
    gold: Ints

    @classmethod
    def of(cls, probabilities: Floats, gold: Ints) -> Answers:
        """Of probabilities ``(items, classes)``: the likeliest class is the answer."""
        return cls(partial(tempered, probabilities), probabilities.argmax(axis=-1), gold)

    def confidence(self, probabilities: Floats) -> Floats:
        """Of probabilities ``(items, classes)``, at whatever temperature, that of each answer: ``(items,)``."""
        return np.asarray(np.take_along_axis(probabilities, self.chosen[:, None], axis=1)[:, 0])


def logits_of(probabilities: Floats) -> Floats:
    """Logits that give these probabilities; of one that is nought, that of the least number there is in float32."""
    return np.asarray(np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)))


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """The probabilities at a temperature, ``(..., labels) -> (..., labels)``."""
    return probabilities if temperature == 1 else softmax(logits_of(probabilities) / temperature)


def decisions(probabilities: Floats) -> Floats:
    """Each label of each text as a choice of two: ``(texts, labels) -> (texts x labels, 2)``."""
    flat = probabilities.ravel()
    return np.stack([1 - flat, flat], axis=1)


def of_texts(
    task: Task, labels: Sequence[str], said: Mapping[str, Sequence[Floats]], examples: Sequence[Example]
) -> dict[str, list[Answers]]:
    """Answers of classifiers, or of models of sets of labels, on one set.

    Args:
        task: Which of the two.
        labels: In the order of what models say.
        said: Probabilities by model, seed by seed, ``(texts, labels)``.
        examples: The texts, with gold.
    """
    if task == "multilabel":
        gold = np.asarray(yardstick(task, labels).gold(examples)).ravel().astype(np.int64)
        return {name: [Answers.of(decisions(one), gold) for one in seeds] for name, seeds in said.items()}
    gold = gold_numbers(examples, labels)
    return {name: [Answers.of(one, gold) for one in seeds] for name, seeds in said.items()}


def of_words(chain: Callable[[], Chain], labels: Sequence[str], examples: Sequence[Example]) -> Answers:
    """Answers of a tagger on the words that it read, sentence after sentence.

    Args:
        chain: Makes the chain of all sentences, whose padding need not be held in memory.
        labels: Names of the tags, in the chain's order.
        examples: The sentences, with gold tags.
    """
    from limbeck.structure.chain import word_answers, word_marginals

    number = {label: place for place, label in enumerate(labels)}
    whole = chain()
    read = zip(examples, whole.lengths.tolist(), strict=True)
    gold = [number.get(tag, UNKNOWN) for example, words in read for tag in (example.tags or ())[:words]]

    def at(temperature: float) -> Floats:
        return np.asarray(word_marginals(chain(), temperature).numpy())

    return Answers(at, word_answers(whole).tags.numpy(), np.array(gold, dtype=np.int64))
