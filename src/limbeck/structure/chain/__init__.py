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

__all__ = [
    "NO_TAG",
    "Chain",
    "Counts",
    "Paths",
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
]
