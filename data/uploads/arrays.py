"""NPZ files: which array plays which role, then one array file for each role, written as rows are read."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from data.dataset import TRAIN, Array, Column, DatasetInfo, Kind, part_sizes
from data.uploads.archives import check_sizes, open_zip
from data.uploads.findings import Findings
from data.uploads.ingested import ColumnProfile, Ingested, Profile
from data.uploads.labels import number_label
from data.uploads.limits import UploadLimits
from data.uploads.npz import Entry, entries_of
from data.uploads.problems import UploadProblem, shown
from data.uploads.spec import UploadSpec
from data.uploads.table import PARTS
from data.uploads.target import check_classes, check_numbers, class_order, class_warnings, task_of
from data.uploads.writing import ColumnFile, RowFile

_KINDS: dict[int, Kind] = {2: "table", 3: "signal", 4: "image", 5: "volume"}
_MANY_CHANNELS = 16
_CHANNELS = (1, 3, 4)


def ingest_npz(file: BinaryIO, spec: UploadSpec, folder: Path, limits: UploadLimits, warnings: list[str], content_hash: str) -> Ingested:
    """Understand the arrays of an NPZ file and write them to `folder`.

    Raises:
        UploadProblem: it is damaged, holds objects, or cannot become a dataset as the schema asks.
    """
    for field in ("columns", "csv", "images"):
        if getattr(spec, field) != getattr(UploadSpec(), field):
            raise UploadProblem(f"{field} says nothing of arrays: leave it out", code="does_not_apply", pointer=f"/{field}")
    with open_zip(file, limits) as archive:
        check_sizes(archive, file, limits)
        entries = entries_of(archive)
        x = _named(entries, spec.features[0] if spec.features else "x", "/features/0")
        if spec.features is not None and len(spec.features) > 1:
            raise UploadProblem("features names one array", code="several_features", pointer="/features")
        y = _named(entries, spec.target or "y", "/target")
        divided = {
            role: _named(entries, name, f"/{role}") for role in ("group", "time", "split") if (name := getattr(spec, role)) is not None
        }
        if len({y.name, *(entry.name for entry in divided.values())}) < 1 + len(divided):
            raise UploadProblem("one array cannot be two of target, group, time and split", code="two_roles", pointer="/target")
        _check_shapes(x, {"target": y, **divided}, limits)
        unused = sorted(set(entries) - {x.name, y.name} - {entry.name for entry in divided.values()})
        if unused:
            warnings.append(f"arrays that are not used: {', '.join(shown(name) for name in unused[:10])}")
        return _Arrays(x, y, divided, spec, limits, warnings).write(folder, content_hash)


class _Arrays:
    """The arrays of one file on their way in."""

    def __init__(self, x: Entry, y: Entry, divided: dict[str, Entry], spec: UploadSpec, limits: UploadLimits, warnings: list[str]) -> None:
        self.x, self.divided, self.spec, self.warnings = x, divided, spec, warnings
        self.kind = _KINDS[len(x.shape)]
        self.y_name = y.name
        self.y, self.labels, self.counts = _target(y, spec, limits, warnings)
        warnings.extend(_misread(self.kind, x.shape))

    def write(self, folder: Path, content_hash: str) -> Ingested:
        """Write every role's array."""
        rows, is_table = self.x.shape[0], self.kind == "table"
        files = {"x": folder / "x.npy"}
        names = tuple(f"x{i}" for i in range(1, self.x.shape[1] + 1)) if is_table else ()
        scale = _Extent(self.x, is_table=is_table)
        findings = Findings([Column(name=name) for name in names], len(self.labels), rows) if is_table else None
        with (
            ColumnFile(files["x"], rows, len(names))
            if is_table
            else RowFile(files["x"], rows, self.x.shape[1:], _stored(self.x.dtype)) as out
        ):
            for chunk in self.x.chunks():
                block = scale.see(chunk)
                if findings is not None:
                    findings.see(block, self.y[scale.rows - len(block) : scale.rows])
                out.append(block)
        arrays = {"y": self.y, **self._dividers()}
        for role, array in arrays.items():
            files[role] = folder / f"{role}.npy"
            np.save(files[role], array, allow_pickle=False)
        columns = tuple(scale.columns(names)) if is_table else None
        if findings is not None:
            self.warnings.extend(findings.warnings())
        unit = 1.0
        if self.kind == "image":
            unit = scale.unit()
            self.warnings.extend(scale.warnings())
        return Ingested(
            info=self._info(names, columns, arrays, content_hash),
            spec=self.spec.model_copy(
                update={"task": "classification" if self.labels else "regression", "features": (self.x.name,), "target": self.y_name}
            ),
            profile=self._profile(scale, columns, findings, unit),
            files=files,
            x_unit=unit,
        )

    def _dividers(self) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for role, entry in self.divided.items():
            values = entry.whole()
            match role:
                case "group":
                    found["groups"] = _groups(values, entry.name)
                case "time":
                    found["times"] = _times(values)
                case _:
                    found["parts"] = _parts(values, entry.name)
        return found

    def _info(self, names: tuple[str, ...], columns: tuple[Column, ...] | None, arrays: dict[str, Array], content_hash: str) -> DatasetInfo:
        parts, spec = arrays.get("parts"), self.spec
        return DatasetInfo(
            id="",
            title=spec.name or "",
            kind=self.kind,
            task="classification" if self.labels else "regression",
            input_shape=self.x.shape[1:],
            num_rows=self.x.shape[0],
            num_classes=len(self.labels) or None,
            class_labels=self.labels or None,
            class_counts=self.counts or None,
            feature_names=names or None,
            target_name=self.y_name,
            target_unit=spec.unit,
            licence=spec.licence or "",
            source="uploaded",
            description=spec.description or "",
            columns=columns,
            group_name=spec.group,
            num_groups=len(np.unique(arrays["groups"])) if "groups" in arrays else None,
            time_name=spec.time,
            predefined_rows=part_sizes(parts),
            content_hash=content_hash,
        )

    def _profile(self, scale: "_Extent", columns: tuple[Column, ...] | None, findings: Findings | None, unit: float) -> Profile:
        profiles = [
            ColumnProfile(
                name=column.name,
                role="feature",
                kind="number",
                num_missing=column.num_missing,
                first_missing_row=column.first_missing_row,
                low=scale.finite(scale.low, i),
                high=scale.finite(scale.high, i),
                notes=tuple(findings.notes.get(column.name, ())) if findings is not None else (),
            )
            for i, column in enumerate((columns or ())[:1000])
        ]
        return Profile(
            num_rows=self.x.shape[0],
            columns=tuple(profiles),
            num_duplicate_rows=None if findings is None else findings.num_duplicate_rows,
            warnings=tuple(self.warnings),
            facts={
                "type": str(self.x.dtype),
                "low": scale.finite(scale.low),
                "high": scale.finite(scale.high),
                "unit": unit,
                "arrays": sorted({self.x.name, self.y_name, *(entry.name for entry in self.divided.values())}),
            },
        )


class _Extent:
    """Smallest and largest values, per column of a table; refuses what is not finite elsewhere."""

    def __init__(self, entry: Entry, *, is_table: bool) -> None:
        self._is_table = is_table
        self._is_whole = entry.dtype.kind in "uib"
        self._type = entry.dtype
        columns = entry.shape[1] if is_table else 1
        self.low, self.high = np.full(columns, np.inf), np.full(columns, -np.inf)
        self.missing = np.zeros(columns, dtype=np.int64)
        self.first_missing = np.zeros(columns, dtype=np.int64)
        self.rows = 0

    def see(self, chunk: Array) -> Array:
        """Take the next rows; give them as they are stored."""
        if self._is_table:
            values = chunk.astype(np.float64)
            values[~np.isfinite(values)] = np.nan
            absent = np.isnan(values)
            first = (self.missing == 0) & absent.any(axis=0)
            self.first_missing[first] = self.rows + absent.argmax(axis=0)[first] + 1
            self.missing += absent.sum(axis=0)
            self.low = np.minimum(self.low, np.where(absent, np.inf, values).min(axis=0))
            self.high = np.maximum(self.high, np.where(absent, -np.inf, values).max(axis=0))
            self.rows += len(values)
            return values
        if not self._is_whole and not np.isfinite(chunk).all():
            row = self.rows + int(np.argmax(~np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1))) + 1
            message = f"row {row} of the array holds a value that is not finite: signals, images and volumes may lack none"
            raise UploadProblem(message, code="not_finite", pointer="/features/0")
        self.low, self.high = np.minimum(self.low, float(chunk.min())), np.maximum(self.high, float(chunk.max()))
        self.rows += len(chunk)
        return chunk.astype(_stored(chunk.dtype), copy=False)

    def columns(self, names: tuple[str, ...]) -> Iterator[Column]:
        """Describe a table's columns.

        Raises:
            UploadProblem: one has no value.
        """
        for i, name in enumerate(names):
            missing = int(self.missing[i])
            if missing == self.rows:
                raise UploadProblem(
                    f"column {i + 1} of the array has no value in any row: leave it out", code="empty_column", pointer="/features/0"
                )
            yield Column(name=name, num_missing=missing, first_missing_row=int(self.first_missing[i]) if missing else None)

    def unit(self) -> float:
        """Give what divides pixels to lie in [0, 1]. The type alone decides, for values would tell of rows that are held out."""
        if self._type == np.uint16:
            return 65535.0
        return 255.0 if self._is_whole and self._type.kind != "b" else 1.0

    def warnings(self) -> Iterator[str]:
        """Say where pixels are not what their type lets one expect."""
        low, high, unit = float(self.low.min()), float(self.high.max()), self.unit()
        if low < 0 or high > unit:
            yield (
                f"pixels of type {self._type} are divided by {unit:g}, and these reach from {low:g} to {high:g}: "
                "augmentations expect [0, 1]; save 8 or 16 bits without sign, or floats in [0, 1]"
            )

    def finite(self, values: Array, i: int | None = None) -> float | None:
        """Give one value, or the extreme of all, if it is finite."""
        value = float(values[i]) if i is not None else float(values.min() if values is self.low else values.max())
        return value if np.isfinite(value) else None


def _named(entries: dict[str, Entry], name: str, pointer: str) -> Entry:
    if name not in entries:
        known = ", ".join(shown(one) for one in list(entries)[:20]) or "none"
        raise UploadProblem(f"there is no array {shown(name)}; the file has {known}", code="unknown_array", pointer=pointer)
    return entries[name]


def _check_shapes(x: Entry, others: Mapping[str, Entry], limits: UploadLimits) -> None:
    if len(x.shape) not in _KINDS or 0 in x.shape:
        message = f"array {shown(x.name)} is of shape {list(x.shape)}: rows are [n, features], [n, C, L], [n, C, H, W] or [n, C, D, H, W]"
        raise UploadProblem(message, code="wrong_shape", pointer="/features/0")
    if x.dtype.kind not in "uibf" or x.dtype.itemsize > 8 or x.dtype.subdtype is not None:
        raise UploadProblem(
            f"array {shown(x.name)} holds {x.dtype}: numbers of at most 64 bits are needed", code="wrong_type", pointer="/features/0"
        )
    values = int(np.prod([int(size) for size in x.shape], dtype=object))
    if x.shape[0] > limits.max_rows or values > limits.max_values:
        message = f"{list(x.shape)} is more than {limits.max_rows} rows or {limits.max_values} numbers"
        raise UploadProblem(message, code="too_large", pointer="/features/0")
    if values > x.shape[0] * limits.max_row_values:
        message = f"a row of {list(x.shape[1:])} is more than the {limits.max_row_values} numbers allowed"
        raise UploadProblem(message, code="too_large", pointer="/features/0")
    if len(x.shape) == 2 and x.shape[1] > limits.max_columns:
        raise UploadProblem(
            f"{x.shape[1]} columns are more than the {limits.max_columns} allowed", code="too_many_columns", pointer="/features/0"
        )
    if x.shape[0] < 2:
        raise UploadProblem("the file has one row; at least 2 are needed", code="too_few_rows", pointer="/features/0")
    for role, other in others.items():
        if other.shape != (x.shape[0],):
            message = f"array {shown(other.name)} is of shape {list(other.shape)}; {shown(x.name)} has {x.shape[0]} rows, so it must be [{x.shape[0]}]"
            raise UploadProblem(message, code="wrong_shape", pointer=f"/{role}")
        is_simple = other.dtype.kind in "uibfUSM" and other.dtype.subdtype is None
        if not is_simple or not 0 < other.dtype.itemsize <= 1000:
            message = f"array {shown(other.name)} holds {other.dtype}: only numbers and words of up to 250 characters can be used"
            raise UploadProblem(message, code="wrong_type", pointer=f"/{role}")


def _misread(kind: Kind, shape: tuple[int, ...]) -> Iterator[str]:
    """Warn where axes are probably in another order than is read."""
    if kind == "signal" and (shape[1] > _MANY_CHANNELS or shape[1] == shape[2] > 1):
        yield f"x {list(shape)} is read as signals of {shape[1]} channels and {shape[2]} positions; gray images are [n, 1, height, width]"
    elif kind in {"image", "volume"} and shape[-1] in _CHANNELS and shape[1] > max(_CHANNELS):
        yield (
            f"x {list(shape)} is read as {shape[1]} channels of {list(shape[2:])}; if channels stand last, "
            "move them: numpy.moveaxis(x, -1, 1)"
        )


def _target(entry: Entry, spec: UploadSpec, limits: UploadLimits, warnings: list[str]) -> tuple[Array, tuple[str, ...], tuple[int, ...]]:
    """Give targets [n], and labels and counts of classes."""
    values = entry.whole()
    is_numeric = values.dtype.kind in "uibf"
    if is_numeric:
        values = values.astype(np.float64)
        if not np.isfinite(values).all():
            row = int(np.argmax(~np.isfinite(values))) + 1
            raise UploadProblem(
                f"row {row} of array {shown(entry.name)} is not finite: every row needs a target", code="missing_target", pointer="/target"
            )
    elif values.dtype.kind == "M":
        raise UploadProblem("a target cannot be an instant", code="wrong_type", pointer="/target")
    else:
        values = _words(values, entry.name, "/target")
    different, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    all_whole = is_numeric and bool((values == np.floor(values)).all())
    if task_of(asked=spec.task, is_numeric=is_numeric, all_whole=all_whole, distinct=len(different), rows=len(values)) == "regression":
        check_numbers(float(values.min()), float(values.max()))
        return values, (), ()
    check_classes(len(different), limits)
    words = [number_label(float(one)) if is_numeric else str(one) for one in different]
    order = np.array(range(len(words)) if is_numeric else class_order(words))
    labels, sizes = tuple(words[i] for i in order), counts[order].tolist()
    warnings.extend(class_warnings(labels, sizes))
    return np.argsort(order)[inverse].astype(np.int64), labels, tuple(sizes)


def _words(values: Array, name: str, pointer: str) -> Array:
    """Give words as text.

    Raises:
        UploadProblem: one is not Unicode text, or holds NUL, which no database stores.
    """
    try:
        words: Array = np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
        text = "".join(np.unique(words).tolist())
        text.encode()
    except ValueError as error:  # UnicodeError is one
        message = f"words of array {shown(name)} are not Unicode text: save them as numpy's str_, or as UTF-8 bytes"
        raise UploadProblem(message, code="wrong_encoding", pointer=pointer) from error
    if "\x00" in text:
        row = next(i for i, word in enumerate(words.tolist(), start=1) if "\x00" in word)
        raise UploadProblem(f"row {row} of array {shown(name)} holds the NUL character", code="holds_nul", pointer=pointer)
    return words


def _groups(values: Array, name: str) -> Array:
    """Give groups numbers in the order of their names.

    Raises:
        UploadProblem: a row has no group.
    """
    absent = np.isnat(values) if values.dtype.kind == "M" else np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    if absent.any():
        message = f"row {int(np.argmax(absent)) + 1} of array {shown(name)} has no group: remove such rows"
        raise UploadProblem(message, code="missing_group", pointer="/group")
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _times(values: Array) -> Array:
    is_instant = values.dtype.kind == "M"
    if not is_instant and values.dtype.kind not in "uibf":
        raise UploadProblem("times are finite numbers or datetime64", code="not_a_time", pointer="/time")
    absent = np.isnat(values) if is_instant else ~np.isfinite(values.astype(np.float64))
    if absent.any():
        message = f"row {int(np.argmax(absent)) + 1} has no time: times are finite numbers or datetime64"
        raise UploadProblem(message, code="missing_time", pointer="/time")
    if not is_instant:
        return values.astype(np.float64)
    try:
        return values.astype("datetime64[us]").astype(np.int64)
    except (OverflowError, ValueError, TypeError) as error:
        raise UploadProblem("an instant is too far away for microseconds", code="not_a_time", pointer="/time") from error


def _parts(values: Array, name: str) -> Array:
    words = [str(one).lower() for one in (_words(values, name, "/split") if values.dtype.kind in "US" else values).tolist()]
    strange = next((row for row, word in enumerate(words, start=1) if word not in PARTS), None)
    if strange is not None:
        message = f"row {strange} of array {shown(name)} holds {shown(words[strange - 1])}; rows are train, val or test"
        raise UploadProblem(message, code="unknown_part", pointer="/split")
    found = np.array([PARTS[word] for word in words], dtype=np.int8)
    if not (found == TRAIN).any():
        raise UploadProblem("the split leaves no row to train on", code="no_training_rows", pointer="/split")
    return found


def _stored(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Give the type that is written: small whole numbers as they are, others as floats of their size."""
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind in "ui":
        return dtype.newbyteorder("=") if dtype.itemsize <= 2 else np.dtype(np.float64)
    return np.dtype(np.float64) if dtype.itemsize == 8 else np.dtype(np.float32)
