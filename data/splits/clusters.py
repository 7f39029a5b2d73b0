"""Rows that lie close together, found by k-means (Lloyd 1982)."""

import numpy as np
from threadpoolctl import threadpool_limits

from data.counting import counted
from data.dataset import Array, Dataset
from data.later import Later
from data.quiet import QUIET
from data.splits.division import Features, SplitProblem

cluster = Later("sklearn.cluster")
_MANY_ROWS = 5_000
"""Rows from which on k-means runs in mini-batches (Sculley 2010)."""
_BATCH = 4_096
_MOST_VALUES = 50_000_000
"""Numbers in the features of all rows: 400 MB."""


def clusters_of(dataset: Dataset, rows: Array, clusters: int, seed: int, features: Features) -> Array:
    """Give the cluster [n] of each row by its prepared features; there are fewer clusters where rows are alike.

    Whoever asks (the API, a worker) gets the same: k-means runs on one thread, since the order of its sums decides ties.

    Raises:
        SplitProblem: fewer rows than clusters, or more numbers than fit in memory.
    """
    if len(rows) < clusters:
        message = f"{counted(len(rows), 'row')} cannot make {clusters} clusters"
        raise SplitProblem(message, pointer="/split/clusters", code="too_few_rows")
    values = len(rows) * int(np.prod(dataset.info.input_shape))
    if values <= _MOST_VALUES:
        x = features(rows)
        values = x.size
    if values > _MOST_VALUES:
        message = f"the features of {len(rows)} rows are {values} numbers, more than the {_MOST_VALUES} that are clustered"
        raise SplitProblem(f"{message}: divide by another rule", pointer="/split/by", code="too_many_values")
    if len(rows) < _MANY_ROWS:
        means = cluster.KMeans(clusters, n_init=1, random_state=seed)
    else:
        means = cluster.MiniBatchKMeans(clusters, n_init=1, random_state=seed, batch_size=_BATCH)
    with (
        threadpool_limits(limits=1),
        QUIET,
    ):  # it limits what is loaded by now; fewer different rows than clusters are seen in what is found
        found: Array = means.fit_predict(x)
    return found
