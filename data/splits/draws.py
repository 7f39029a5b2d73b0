"""How rows are drawn: to the last index as scikit-learn draws them, which need not be imported for it.

The splits that most jobs ask for are decided when a job is submitted; scikit-learn with all that it imports takes 150 MB of the
process that decides. A test compares each of these with scikit-learn's over many cases.
"""

from collections.abc import Iterator

import numpy as np

from data.dataset import Array


def parts(count: int, num_drawn: int, seed: int) -> tuple[Array, Array]:
    """Draw `num_drawn` of `count` positions; give those that stay and those drawn, each in the order of the draw. As ShuffleSplit."""
    drawn = np.random.RandomState(seed).permutation(count)
    return drawn[num_drawn:], drawn[:num_drawn]


def stratified_parts(labels: Array, num_drawn: int, seed: int) -> tuple[Array, Array]:
    """Draw positions so that each class keeps its share in both parts. As StratifiedShuffleSplit; every class has two rows or more."""
    draws = np.random.RandomState(seed)
    classes, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(inverse, kind="stable"), np.cumsum(counts)[:-1])
    num_kept = _shared_out(counts, len(labels) - num_drawn, draws)
    num_out = _shared_out(counts - num_kept, num_drawn, draws)
    kept: list[Array] = []
    out: list[Array] = []
    for i in range(len(classes)):
        mixed = members[i][draws.permutation(counts[i])]
        kept.append(mixed[: num_kept[i]])
        out.append(mixed[num_kept[i] : num_kept[i] + num_out[i]])
    return draws.permutation(np.concatenate(kept)), draws.permutation(np.concatenate(out))


def folds(count: int, num_folds: int, seed: int | None) -> Iterator[tuple[Array, Array]]:
    """Give the positions outside and inside of each fold, in order; shuffled first if there is a seed. As KFold."""
    positions = np.arange(count)
    if seed is not None:
        np.random.RandomState(seed).shuffle(positions)
    fold_of = np.empty(count, dtype=np.int64)
    for fold, members in enumerate(np.array_split(positions, num_folds)):  # the first ones have one more
        fold_of[members] = fold
    return _by_fold(fold_of, num_folds)


def stratified_folds(labels: Array, num_folds: int, seed: int | None) -> Iterator[tuple[Array, Array]]:
    """Give the same with every class spread over all folds. As StratifiedKFold."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    codes = np.argsort(np.argsort(first))[inverse]  # classes are numbered as they appear
    ordered = np.sort(codes)
    sizes = np.array([np.bincount(ordered[fold::num_folds], minlength=len(first)) for fold in range(num_folds)])
    draws = None if seed is None else np.random.RandomState(seed)
    fold_of = np.empty(len(labels), dtype=np.int64)
    for code in range(len(first)):
        of_class = np.arange(num_folds).repeat(sizes[:, code])
        if draws is not None:
            draws.shuffle(of_class)
        fold_of[codes == code] = of_class
    return _by_fold(fold_of, num_folds)


def _by_fold(fold_of: Array, num_folds: int) -> Iterator[tuple[Array, Array]]:
    for fold in range(num_folds):
        yield np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)


def _shared_out(counts: Array, total: int, draws: np.random.RandomState) -> Array:
    """Share `total` out among classes by their counts: whole numbers, the largest remainders rounded up, ties drawn."""
    exact = counts / counts.sum() * total
    shares = np.floor(exact)
    left = int(total - shares.sum())
    if left > 0:
        remainders = exact - shares
        for value in np.sort(np.unique(remainders))[::-1]:
            (tied,) = np.where(remainders == value)
            chosen = draws.choice(tied, size=min(len(tied), left), replace=False)
            shares[chosen] += 1
            left -= len(chosen)
            if left == 0:
                break
    found: Array = shares.astype(int)
    return found
