"""Folds: every row is validated once in each repeat, by a model that did not see it."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from data.counting import counted
from data.dataset import Array, Dataset
from data.later import Later
from data.quiet import QUIET
from data.splits import draws
from data.splits.clusters import clusters_of
from data.splits.cutting import Cutter
from data.splits.division import Division, Features, SplitProblem, check_room
from data.splits.spec import KFoldSpec

model_selection = Later("sklearn.model_selection")
_MOST_PLACINGS = 200_000
"""Groups times folds times repeats that `StratifiedGroupKFold` may weigh: about 20 seconds."""


def k_fold(spec: KFoldSpec, dataset: Dataset, seed: int, rows: Array, features: Features | None) -> list[Division]:
    """Set test rows aside, then divide what is left of `rows` into folds, anew for each repeat. `spec` has no default left open.

    The first repeat draws by `seed`, each other by a seed derived from it. Clusters are found once, among the rows that are
    not set aside: repeats draw which of them make a fold.

    Raises:
        SplitProblem: as `divisions`.
    """
    _check_fields(spec)
    if spec.by in {"stratified", "stratified_group"} and dataset.info.task == "regression":
        message = "only classes can be stratified; this dataset's target is a number"
        raise SplitProblem(message, pointer="/split/by", code="does_not_apply")
    rest, test = Cutter(spec, dataset, seed, rows).cut(rows, spec.test_fraction, "/split/test_fraction")
    rest = np.sort(rest)
    labels = dataset.y[rest]
    units = _units(spec, dataset, seed, rest, features)
    folds = _checked_folds(spec, labels, units)
    found = []
    for repeat in range(1, spec.repeats + 1):
        drawn = seed if repeat == 1 else derived(seed, "repeat", repeat)
        for i, (train, val) in enumerate(_cuts(spec, folds, labels, units, drawn), start=1):
            place = {"fold": i} if spec.repeats == 1 else {"fold": i, "repeat": repeat}
            label = f"fold {i}" if spec.repeats == 1 else f"repeat {repeat}, fold {i}"
            found.append(Division(train=rest[train], val=rest[val], test=test, label=label, place=place))
    return found


def derived(seed: int, *purpose: str | int) -> int:
    """Hash (seed, purpose...) to the 32 bits that scikit-learn takes."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def _check_fields(spec: KFoldSpec) -> None:
    """Refuse fields that would change nothing."""

    def idle(field: str, message: str) -> SplitProblem:
        return SplitProblem(message, pointer=f"/split/{field}", code="no_effect")

    if spec.clusters is not None and spec.by != "cluster":
        raise idle("clusters", f"clusters are those of by cluster; these folds are by {spec.by}")
    if spec.folds is not None and spec.by == "each_group":
        raise idle("folds", "every group is a fold of its own, whatever folds says: leave it out, or set by to group")
    if not spec.shuffle and spec.by not in {"random", "stratified"}:
        what = (
            "each group is a fold"
            if spec.by == "each_group"
            else f"{'clusters' if spec.by == 'cluster' else 'groups'} are drawn by the seed"
        )
        raise idle("shuffle", f"{what}: shuffle false would change nothing")
    if spec.repeats > 1 and spec.by == "each_group":
        raise idle("repeats", "every group is a fold of its own: each repeat would be the same")
    if spec.repeats > 1 and not spec.shuffle:
        raise idle("repeats", "rows in file order are always divided alike: each repeat would be the same")


def _units(spec: KFoldSpec, dataset: Dataset, seed: int, rows: Array, features: Features | None) -> Array | None:
    """Give the group or cluster [n] of each row, or None where single rows are held out."""
    if spec.by == "cluster":
        assert spec.folds is not None
        assert spec.clusters is not None
        if features is None:
            raise ValueError("clusters need features")
        if spec.clusters < spec.folds:
            message = f"{spec.clusters} clusters cannot make {spec.folds} folds"
            raise SplitProblem(message, pointer="/split/clusters", code="too_few_clusters")
        return clusters_of(dataset, rows, spec.clusters, derived(seed, "clusters"), features)
    if spec.by in {"random", "stratified"}:
        return None
    assert dataset.groups is not None
    groups: Array = dataset.groups[rows]
    return groups


def _checked_folds(spec: KFoldSpec, labels: Array, units: Array | None) -> int:
    """Give the number of folds, once there are enough units for it."""
    what = {"cluster": "clusters"}.get(str(spec.by), "rows" if units is None else "groups")
    num_units = len(labels) if units is None else len(np.unique(units))
    folds = num_units if spec.folds is None else spec.folds
    pointer = "/split/by" if spec.folds is None else "/split/folds"
    if spec.folds is None and num_units < 2:
        message = f"{num_units} group cannot be held out and trained on: at least 2 are needed"
        raise SplitProblem(message, pointer=pointer, code="too_few_groups")
    if num_units < folds:
        found = f"k-means finds only {num_units} different clusters, which" if what == "clusters" else counted(num_units, what[:-1])
        raise SplitProblem(f"{found} cannot make {folds} folds", pointer=pointer, code=f"too_few_{what}")
    if spec.by in {"stratified", "stratified_group"}:
        _check_classes(folds, labels)
    if spec.repeats > 1 and num_units == folds:
        message = f"{num_units} {what} make {folds} folds in one way only: each repeat would be the same"
        raise SplitProblem(message, pointer="/split/repeats", code="no_effect")
    if spec.by == "stratified_group" and num_units * folds * spec.repeats > _MOST_PLACINGS:
        message = f"weighing the classes of {num_units} groups for {folds} folds, {spec.repeats} times, would take minutes: set by to group"
        raise SplitProblem(message, pointer="/split/by", code="too_many_groups")
    check_room(folds * spec.repeats, len(labels), pointer)
    return folds


def _check_classes(folds: int, labels: Array) -> None:
    largest = int(np.unique_counts(labels).counts.max())
    if largest < folds:
        message = f"every class has fewer rows than the {folds} folds; the largest has {largest}: ask for fewer folds, or set by to random"
        raise SplitProblem(message, pointer="/split/folds", code="classes_too_small")


def _cuts(spec: KFoldSpec, folds: int, labels: Array, units: Array | None, seed: int) -> Iterator[tuple[Array, Array]]:
    """Divide positions into training and validation, fold by fold."""
    positions, state = np.arange(len(labels)), seed if spec.shuffle else None
    splitter: Any
    match spec.by:
        case "random":
            yield from draws.folds(len(labels), folds, state)
            return
        case "stratified":  # classes with fewer rows than folds are named in `split_remarks`
            yield from draws.stratified_folds(labels, folds, state)
            return
        case "group" | "cluster":
            splitter = model_selection.GroupKFold(folds, shuffle=True, random_state=state)
        case "stratified_group":
            splitter = model_selection.StratifiedGroupKFold(folds, shuffle=True, random_state=state)
        case "each_group":
            splitter = model_selection.LeaveOneGroupOut()
        case None:
            raise ValueError("a spec that was not filled in")
    with QUIET:  # classes with fewer rows than folds are named in `split_remarks`
        cuts = list(splitter.split(positions, labels, units))
    for i, (_, val) in enumerate(cuts, start=1):
        if len(val) == 0:  # StratifiedGroupKFold weighs classes and promises nothing of sizes
            message = f"the classes of these groups leave fold {i} of {folds} empty: set by to group"
            raise SplitProblem(message, pointer="/split/by", code="empty_fold")
    yield from cuts
