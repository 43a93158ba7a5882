"""Linear chains: exact dynamic programs over :class:`Chain`, on any device, with gradients of two orders."""

from limbeck.structure.chain.programs import (
    NO_TAG,
    counts,
    cross_entropy,
    entropy,
    k_best,
    log_partition,
    log_score,
    mean_squared_distance,
    negative_log_likelihood,
    pair_marginals,
    sample,
    token_marginals,
    viterbi,
)
from limbeck.structure.chain.scores import Chain, Counts, Paths
from limbeck.structure.chain.words import WordAnswers, word_answers, word_marginals

__all__ = [
    "NO_TAG",
    "Chain",
    "Counts",
    "Paths",
    "WordAnswers",
    "counts",
    "cross_entropy",
    "entropy",
    "k_best",
    "log_partition",
    "log_score",
    "mean_squared_distance",
    "negative_log_likelihood",
    "pair_marginals",
    "sample",
    "token_marginals",
    "viterbi",
    "word_answers",
    "word_marginals",
]
