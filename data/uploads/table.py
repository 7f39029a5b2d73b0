"""Tables: which column plays which role, then one array file for each role, written as the rows are read a second time."""

import contextlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.counting import counted
from data.dataset import TEST, TRAIN, VAL, Array, Column, DatasetInfo, Task
from data.uploads.columns import CONSTANT, ROW_NUMBER, Feature, disguise, extremes, profiles
from data.uploads.findings import Findings
from data.uploads.ingested import Ingested, Profile
from data.uploads.labels import number_label
from data.uploads.limits import UploadLimits
from data.uploads.problems import UploadProblem, column_pointer, shown
from data.uploads.scan import LONGEST_WORD, Scan, as_label, instants, numbers, positions
from data.uploads.source import TableSource
from data.uploads.spec import Decimal, OrdinalSpec, UploadSpec
from data.uploads.target import check_classes, check_numbers, class_warnings, task_of
from data.uploads.writing import ColumnFile, RowFile

PARTS = {"train": TRAIN, "training": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "test": TEST}
_PREVIEW_ROWS = 10
_UNNAMED = re.compile(r"column_\d+")
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


class _Ingestion:
    """One table on its way in."""

    def __init__(self, source: TableSource, spec: UploadSpec, decimal: Decimal, limits: UploadLimits, warnings: list[str]) -> None:
        self.source, self.spec, self.decimal, self.limits, self.warnings = source, spec, decimal, limits, warnings
        self.names = source.names
        self.preview: list[dict[str, str | None]] = []
        if len(self.names) > limits.max_columns:
            raise UploadProblem(f"{len(self.names)} columns are more than the {limits.max_columns} allowed", code="too_many_columns")
        self._check_mentioned()
        self.scans = self._scanned()
        self.num_rows = self.scans[self.names[0]].rows
        if self.num_rows < 2:
            raise UploadProblem(f"the file has {counted(self.num_rows, 'row')}; at least 2 are needed", code="too_few_rows")

    def _check_mentioned(self) -> None:
        spec = self.spec
        if spec.target is None:
            message = f"name the column to be learned in target; the file has {_listed(self.names)}"
            raise UploadProblem(message, code="no_target", pointer="/target")
        roles = {role: getattr(spec, role) for role in ("target", "group", "time", "split") if getattr(spec, role) is not None}
        mentioned = [(f"/{role}", name) for role, name in roles.items()]
        mentioned += [(f"/features/{i}", name) for i, name in enumerate(spec.features or ())]
        mentioned += [(column_pointer(name), name) for name in spec.columns]
        for pointer, name in mentioned:
            if name not in self.names:
                is_odd = len(self.names) == 1 or not self.names[0][:1].isalnum() or any(_UNNAMED.fullmatch(one) for one in self.names)
                hint = "; is the first line the names of the columns?" if is_odd else ""
                message = f"there is no column {shown(name)}; the file has {_listed(self.names)}{hint}"
                raise UploadProblem(message, code="unknown_column", pointer=pointer)
        if len(set(roles.values())) < len(roles):
            raise UploadProblem("one column cannot be two of target, group, time and split", code="two_roles", pointer="/target")
        for i, name in enumerate(spec.features or ()):
            if name in roles.values():
                message = f"{shown(name)} is the {next(role for role, own in roles.items() if own == name)} column and cannot be a feature"
                raise UploadProblem(message, code="two_roles", pointer=f"/features/{i}")
            if name in (spec.features or ())[:i]:
                raise UploadProblem(f"{shown(name)} is named twice", code="repeated_feature", pointer=f"/features/{i}")
        self._check_kinds({**roles, **{f"feature {i + 1}": name for i, name in enumerate(spec.features or ())}})

    def _check_kinds(self, roles: Mapping[str, str]) -> None:
        """Refuse kinds that would be of no account for what a column is used as."""
        for role, name in roles.items():
            kind = self.spec.columns.get(name)
            if kind == "ignore" or (isinstance(kind, OrdinalSpec) and not role.startswith("feature")):
                what = "be ignored" if kind == "ignore" else "have an order"
                raise UploadProblem(f"column {shown(name)} is the {role} and cannot {what}", code="two_roles", pointer=column_pointer(name))
        if self.spec.columns.get(roles["target"]) == "category" and self.spec.task == "regression":
            message = "a regression needs a target of numbers, and its column is said to be a category"
            raise UploadProblem(message, code="target_not_numeric", pointer="/task")

    def _scanned(self) -> dict[str, Scan]:
        scans = {name: Scan(name, self.decimal) for name in self.names}
        rows = 0
        for batch in self.source.batches():
            rows += len(batch[0])
            if rows > self.limits.max_rows:
                raise UploadProblem(f"the file has more than the {self.limits.max_rows} rows allowed", code="too_many_rows")
            for name, column in zip(self.names, batch, strict=True):
                scans[name].see(column)
            if len(self.preview) < _PREVIEW_ROWS:
                self._keep_preview(batch)
        return scans

    def _keep_preview(self, batch: list[pa.Array]) -> None:
        count = min(len(batch[0]), _PREVIEW_ROWS - len(self.preview))
        heads = [column.slice(0, count) for column in batch[:100]]
        heads = [head.cast(pa.string()) if pa.types.is_timestamp(head.type) else head for head in heads]  # Python knows years up to 9999
        for i in range(count):
            cells = [head[i].as_py() for head in heads]
            row = {name: None if cell is None else _cell(cell) for name, cell in zip(self.names, cells, strict=False)}
            self.preview.append(row)

    def features(self) -> list[Feature]:
        """Choose the columns to learn from, and say which were left out and why."""
        taken = {self.spec.target, self.spec.group, self.spec.time, self.spec.split}
        indices = [name for name in self.names if _PANDAS_INDEX.fullmatch(name) and name not in taken]
        if indices and self.spec.features is None:
            taken |= set(indices)
            self.warnings.append(f"{', '.join(indices)} is pandas' index and not used: name it in features to use it")
        wanted = self.spec.features or [name for name in self.names if name not in taken and self.spec.columns.get(name) != "ignore"]
        found = []
        for name in wanted:
            feature, reason = self._feature(name)
            if feature is not None:
                found.append(feature)
            elif self.spec.features is not None or name in self.spec.columns:
                pointer = "/features" if self.spec.features is not None else "/columns"
                raise UploadProblem(f"column {shown(name)} {reason}", code="unusable_column", pointer=pointer)
            else:
                self.warnings.append(f"column {name} is not used: it {reason}")
        if not found:
            reasons = "; ".join(warning for warning in self.warnings if "not used" in warning) or "all others have a role or are ignored"
            raise UploadProblem(f"no column is left to learn from: {reasons}"[:1000], code="no_features", pointer="/features")
        if len(found) * self.num_rows > self.limits.max_values:
            message = f"{self.num_rows} rows of {len(found)} numbers are more than the {self.limits.max_values} numbers allowed"
            raise UploadProblem(message, code="too_large")
        return found

    def _feature(self, name: str) -> tuple[Feature | None, str]:
        scan, declared, position = self.scans[name], self.spec.columns.get(name), self.names.index(name)
        facts = {"name": name, "num_missing": scan.missing, "first_missing_row": scan.first_missing}
        if isinstance(declared, OrdinalSpec):
            known = {as_label(word, scan) for word in declared.order}
            strange = None if scan.distinct is None else [word for word, _ in scan.counts() if word not in known]
            if strange is None or strange:
                held = "too many values, or too long ones" if strange is None else shown(strange[0])
                message = f"column {shown(name)} holds {held}, which is not in its order"
                raise UploadProblem(message, code="unknown_word", pointer=f"{column_pointer(name)}/order")
            return Feature(position=position, column=Column(**facts, kind="ordinal", categories=declared.order)), ""  # type: ignore[arg-type]
        if scan.present == 0:
            return None, "has no value in any row"
        if declared == "number" and not scan.is_numeric:
            assert scan.first_word is not None
            row, word = scan.first_word
            message = f"row {row} of column {shown(name)} holds {shown(word)}, which is no number"
            raise UploadProblem(message, code="not_a_number", pointer=column_pointer(name))
        if declared != "category" and scan.is_numeric:
            return Feature(position=position, column=Column(**facts)), ""  # type: ignore[arg-type]  # facts of a Column
        if declared is None and scan.all_instants:
            return None, "holds instants: name it as time, or give their parts as numbers"
        unfit = self._unfit(scan)
        if unfit is not None:
            return None, unfit
        self._warn_of_words(scan)
        categories = tuple(value for value, _ in scan.counts())
        return Feature(position=position, column=Column(**facts, kind="category", categories=categories)), ""  # type: ignore[arg-type]

    def _unfit(self, scan: Scan) -> str | None:
        """Say why a column's values cannot be categories, if they cannot."""
        if scan.longest > LONGEST_WORD and not scan.is_numeric:
            return f"holds words of more than {LONGEST_WORD} characters: free text"
        if scan.distinct is None or scan.distinct > self.limits.max_categories:
            reason = disguise(scan)
            return (
                f"is read as words of more than {self.limits.max_categories} kinds: {reason}"
                if reason
                else f"holds words of more than {self.limits.max_categories} kinds: an id, or free text"
            )
        return None

    def _warn_of_words(self, scan: Scan) -> None:
        if scan.name not in self.spec.columns:
            reason = disguise(scan)
            if reason is not None:
                self.warnings.append(f"column {scan.name} is read as words: {reason}")
            elif scan.first_word is not None and scan.share_of_numbers >= 0.5:
                row, word = scan.first_word
                self.warnings.append(
                    f"column {scan.name} is read as words, though {scan.share_of_numbers:.0%} of its values are numbers "
                    f"(row {row}: {shown(word)}): if such words mean missing, add them to csv.missing_values"
                )
        if scan.distinct is not None and scan.distinct * 2 > scan.present > 20:
            self.warnings.append(f"column {scan.name} looks like an identifier: {scan.distinct} different words in {scan.present} rows")

    def complete(self, role: str) -> Scan | None:
        """Give the scan of a column that may lack no value, if the schema names one for this role."""
        name = getattr(self.spec, role)
        if name is None:
            return None
        scan = self.scans[name]
        if scan.missing:
            what = {"target": "target", "group": "group", "time": "time", "split": "part"}[role]
            counted = f", {scan.infinite} of them infinite" if scan.infinite else ""
            message = (
                f"row {scan.first_missing} has no {what} "
                f"({scan.missing} of {scan.rows} rows in column {shown(name)}{counted}): remove such rows"
            )
            raise UploadProblem(message, code=f"missing_{role}", pointer=f"/{role}")
        return scan


def ingest_table(
    source: TableSource, spec: UploadSpec, decimal: Decimal, folder: Path, limits: UploadLimits, warnings: list[str], content_hash: str
) -> Ingested:
    """Understand a table and write it to `folder`.

    Raises:
        UploadProblem: it cannot become a dataset as the schema asks.
    """
    work = _Ingestion(source, spec, decimal, limits, warnings)
    target, group, time, split = (work.complete(role) for role in ("target", "group", "time", "split"))
    assert target is not None
    reason = disguise(target)
    if _asked(spec, target) == "regression" and target.first_word is not None:
        row, word = target.first_word
        message = f"row {row} of the target holds {shown(word)}, which is no number" + (f": {reason}" if reason else "")
        raise UploadProblem(message, code="target_not_numeric", pointer="/task")
    task = task_of(
        asked=_asked(spec, target), is_numeric=target.is_numeric, all_whole=target.all_whole, distinct=target.distinct, rows=work.num_rows
    )
    counts: list[tuple[str, int]] = []
    if reason is not None and target.name not in spec.columns:
        work.warnings.append(f"the target is read as words: {reason}")
    if task == "classification":
        if target.is_beyond_exact:
            message = "the target's whole numbers are beyond 2^53 and cannot be told apart: save them as words, with a letter before them"
            raise UploadProblem(message, code="label_too_large", pointer="/target")
        if target.longest > LONGEST_WORD and not target.is_numeric:
            message = f"the target holds words of more than {LONGEST_WORD} characters: classes need shorter names"
            raise UploadProblem(message, code="label_too_long", pointer="/target")
        check_classes(target.distinct, limits)
        counts = target.counts()
        check_classes(len(counts), limits)
        work.warnings.extend(class_warnings([label for label, _ in counts], [count for _, count in counts]))
    else:
        check_numbers(target.low, target.high)
    _check_dividers(time, split)
    features = work.features()
    written = _write(work, features, target, tuple(label for label, _ in counts), (group, time, split), folder)
    work.warnings.extend(written.findings.warnings())
    info = DatasetInfo(
        id="",
        title=spec.name or "",
        kind="table",
        task=task,
        input_shape=(len(features),),
        num_rows=work.num_rows,
        num_classes=len(counts) or None,
        class_labels=tuple(label for label, _ in counts) or None,
        class_counts=tuple(count for _, count in counts) or None,
        feature_names=tuple(feature.column.name for feature in features),
        target_name=target.name,
        target_unit=spec.unit,
        licence=spec.licence or "",
        source="uploaded",
        description=spec.description or "",
        columns=tuple(feature.column for feature in features),
        group_name=None if group is None else group.name,
        num_groups=written.num_groups,
        time_name=None if time is None else time.name,
        predefined_rows=written.part_sizes,
        content_hash=content_hash,
    )
    resolved = spec.model_copy(update={"task": task, "features": tuple(feature.column.name for feature in features)})
    columns = tuple(profiles(work, features, written.findings))
    work.warnings.extend(
        f"column {column.name} {ROW_NUMBER}: leave it out of the features unless the order means something"
        for column in columns
        if ROW_NUMBER in column.notes and column.role == "feature"
    )
    constant = [column.name for column in columns if CONSTANT in column.notes and column.role == "feature"]
    if constant:
        more = f" and {len(constant) - 10} more" if len(constant) > 10 else ""
        work.warnings.append(f"constant, so nothing is learned from them: {', '.join(constant[:10])}{more}")
    work.warnings.extend(extremes(work, features))
    profile = Profile(
        num_rows=work.num_rows,
        columns=columns,
        num_duplicate_rows=written.findings.num_duplicate_rows,
        warnings=tuple(work.warnings),
        preview=tuple(work.preview),
    )
    return Ingested(info=info, spec=resolved, profile=profile, files=written.files)


def _asked(spec: UploadSpec, target: Scan) -> Task | None:
    """Give the task that the schema asks for: by name, or by the kind of the target's column."""
    kind = spec.columns.get(target.name)
    if kind == "number" and not target.is_numeric:
        assert target.first_word is not None
        row, word = target.first_word
        message = f"row {row} of column {shown(target.name)} holds {shown(word)}, which is no number"
        raise UploadProblem(message, code="not_a_number", pointer=column_pointer(target.name))
    return "classification" if kind == "category" else spec.task


def _check_dividers(time: Scan | None, split: Scan | None) -> None:
    if time is not None and time.first_other_zone is not None and not time.is_numeric:
        message = (
            f"row {time.first_other_zone} of column {shown(time.name)} is the first {'without' if time.has_zone else 'with'} a zone: "
            "instants have all a zone, or none"
        )
        raise UploadProblem(message, code="not_a_time", pointer="/time")
    if time is not None and not time.is_numeric and not time.all_instants:
        where = "" if time.first_word is None else f" (row {time.first_word[0]}: {shown(time.first_word[1])})"
        message = f"column {shown(time.name)} holds neither numbers nor ISO 8601 instants such as 2026-01-31 or 2026-01-31T12:00:00Z{where}"
        raise UploadProblem(message, code="not_a_time", pointer="/time")
    if split is not None:
        words = {word for word, _ in split.counts()} if split.distinct is not None else {"too many values"}
        strange = sorted(word for word in words if word.lower() not in PARTS)
        if strange:
            message = f"column {shown(split.name)} holds {shown(strange[0])}; rows are train, val or test"
            raise UploadProblem(message, code="unknown_part", pointer="/split")
        if not any(PARTS[word.lower()] == TRAIN for word in words):
            raise UploadProblem(f"column {shown(split.name)} leaves no row to train on", code="no_training_rows", pointer="/split")


@dataclass(frozen=True, kw_only=True)
class _Written:
    files: dict[str, Path]
    findings: Findings
    num_groups: int | None
    part_sizes: Mapping[str, int] | None


def _write(
    work: _Ingestion,
    features: list[Feature],
    target: Scan,
    labels: tuple[str, ...],
    dividers: tuple[Scan | None, Scan | None, Scan | None],
    folder: Path,
) -> _Written:
    """Read the rows a second time and write every role's array."""
    group, time, split = dividers
    rows = work.num_rows
    findings = Findings([feature.column for feature in features], len(labels), rows)
    types = {
        "y": np.int64 if labels else np.float64,
        "times": np.float64 if time is None or time.is_numeric else np.int64,
        "parts": np.int8,
    }
    roles = ["y", *(["times"] if time is not None else []), *(["parts"] if split is not None else [])]
    files = {"x": folder / "x.npy", **{role: folder / f"{role}.npy" for role in roles}}
    sizes = Counter[int]()
    group_numbers: dict[object, int] = {}
    grouped: list[Array] = []
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(ColumnFile(files["x"], rows, len(features)))
        kept = {role: stack.enter_context(RowFile(files[role], rows, (), np.dtype(types[role]))) for role in roles}
        for batch in work.source.batches():
            column_of = dict(zip(work.names, batch, strict=True))
            y = _target(column_of[target.name], target, labels)
            block = np.empty((len(y), len(features)), order="F")  # columns are what is hashed, summed and written
            for i, feature in enumerate(features):
                block[:, i] = _values(batch[feature.position], feature, work.scans[feature.column.name])
            file.append(block)
            findings.see(block, y)
            kept["y"].append(y)
            if group is not None:
                grouped.append(_group_numbers(column_of[group.name], group_numbers))
            if time is not None:
                kept["times"].append(_times(column_of[time.name], time))
            if split is not None:
                part = np.array([PARTS[word.lower()] for word in column_of[split.name].to_pylist()], dtype=np.int8)
                kept["parts"].append(part)
                sizes.update(dict(enumerate(np.bincount(part, minlength=3).tolist())))
    if grouped:
        files["groups"] = folder / "groups.npy"
        np.save(files["groups"], _ordered(np.concatenate(grouped), group_numbers), allow_pickle=False)
    return _Written(
        files=files,
        findings=findings,
        num_groups=len(group_numbers) or None,
        part_sizes=None if split is None else {"train": sizes[TRAIN], "val": sizes[VAL], "test": sizes[TEST]},
    )


def _values(column: pa.Array, feature: Feature, scan: Scan) -> Array:
    """Read a feature as float64, NaN where missing; words as their positions."""
    words = feature.column.categories
    return positions(column, scan, words) if words else numbers(column, scan.decimal)[0]


def _target(column: pa.Array, scan: Scan, labels: tuple[str, ...]) -> Array:
    return positions(column, scan, labels).astype(np.int64) if labels else numbers(column, scan.decimal)[0]


def _times(column: pa.Array, scan: Scan) -> Array:
    if scan.is_numeric:
        return numbers(column, scan.decimal)[0]
    found = instants(column)
    if found is None:
        raise UploadProblem(f"column {shown(scan.name)} holds instants with and without a zone", code="not_a_time", pointer="/time")
    return found


def _group_numbers(column: pa.Array, known: dict[object, int]) -> Array:
    encoded = column.dictionary_encode()
    names = [number_label(value) if isinstance(value, float) else value for value in encoded.dictionary.to_pylist()]
    numbers_of = np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)
    found: Array = numbers_of[encoded.indices.to_numpy(zero_copy_only=False)]
    return found


def _ordered(numbers_of: Array, known: dict[object, int]) -> Array:
    """Give groups numbers in the order of their names, so that the file's order of rows says nothing."""
    order = {value: place for place, value in enumerate(sorted(known, key=lambda value: (str(type(value)), value)))}
    place = np.array([order[value] for value in known], dtype=np.int64)
    return place[numbers_of]


def _cell(value: object) -> str:
    text = number_label(value) if isinstance(value, float) else str(value)
    return text if len(text) <= 100 else f"{text[:99]}..."


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(shown(name) for name in names[:20]) + more
