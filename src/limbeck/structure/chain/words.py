"""What a chain says of its words one by one: the tags of the best path, how probable each is, how sure the chain is.

The probability of a word's tag is its marginal, ``p(y_l = j)``, whatever tags the other words have; the entropy is that
of the word's marginal distribution over all tags, ``-sum_j p(y_l = j) log2 p(y_l = j)``. Where words do not hang on
each other (all transitions nought) these are the softmax of their emissions, and its entropy.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from limbeck.structure.chain.programs import token_marginals, viterbi
from limbeck.structure.chain.scores import Chain


class WordAnswers(NamedTuple):
    """Of all words of a batch, sentence after sentence; what stands after a sentence's last word is left out.

    Attributes:
        tags: Of the best paths, ``(words,)`` int64.
        probabilities: The posterior marginal of each of these, ``(words,)`` float64.
        entropies: Of each word's marginals over all tags, in bits, ``(words,)`` float64.
    """

    tags: Tensor
    probabilities: Tensor
    entropies: Tensor


@torch.no_grad()
def word_answers(chain: Chain) -> WordAnswers:
    """What a chain says of each word; of every sentence at least one path must be allowed."""
    real = chain.mask
    tags = viterbi(chain)[1][real]
    marginals = word_marginals(chain)
    of_tags = marginals.gather(1, tags[:, None]).squeeze(1)
    entropies = torch.special.entr(marginals).sum(1) / torch.log(marginals.new_tensor(2.0))
    return WordAnswers(tags, of_tags, entropies)


@torch.no_grad()
def word_marginals(chain: Chain, temperature: float = 1.0) -> Tensor:
    """``p(y_l = j)`` of all words, sentence after sentence, ``(words, tags)`` float64.

    Args:
        chain: The scores.
        temperature: What divides all of them, those of pairs of tags, too.
    """
    cooled = chain.double().divided(temperature)
    return token_marginals(cooled)[chain.mask].clamp(0.0, 1.0)
