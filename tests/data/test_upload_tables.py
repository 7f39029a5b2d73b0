"""Tables: which column plays which role, what is found out of it, what is refused. CSV and Parquet alike."""

import datetime as dt
import gzip
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from data.uploads.limits import UploadLimits
from tests.uploads import npz, parquet_of, refused, take, zipped

ROLES = "a,g,t,s,y\n1,u,2026-01-01,train,p\n2,v,2026-01-03,val,q\n3,u,2026-01-02,TEST,p\n4,w,2026-01-04,train,q\n"


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"target": "z"}, "/target"),
        ({"target": "y", "group": "z"}, "/group"),
        ({"target": "y", "time": "z"}, "/time"),
        ({"target": "y", "split": "z"}, "/split"),
        ({"target": "y", "features": ["a", "z"]}, "/features/1"),
        ({"target": "y", "columns": {"z/~": "number"}}, "/columns/z~1~0"),
        ({}, "/target"),
        ({"target": "y", "features": ["a", "y"]}, "/features/1"),
        ({"target": "y", "features": ["a", "a"]}, "/features/1"),
        ({"target": "y", "group": "y"}, "/target"),
        ({"target": "y", "columns": {"y": "ignore"}}, "/columns/y"),
        ({"target": "y", "features": ["a"], "columns": {"a": "ignore"}}, "/columns/a"),
        ({"target": "y", "group": "g", "columns": {"g": {"order": ["u", "v"]}}}, "/columns/g"),
        ({"target": "y", "columns": {"g": "number"}}, "/columns/g"),
        ({"target": "y", "columns": {"y": "number"}}, "/columns/y"),
        ({"target": "y", "columns": {"y": "category"}, "task": "regression"}, "/task"),
        ({"target": "y", "task": "regression"}, "/task"),
        ({"target": "y", "columns": {"g": {"order": ["u", "v"]}}}, "/columns/g/order"),
        ({"target": "y", "columns": {"g": {"order": ["u", "?", "v"]}}}, "/columns/g/order/1"),
        ({"target": "y", "images": {"size": [2, 2]}}, "/images"),
        ({"target": "y", "features": ["a", "t"]}, "/features"),
    ],
)
def test_what_the_schema_says_wrongly_of_a_table_is_pointed_at(schema: dict[str, Any], pointer: str) -> None:
    assert refused(ROLES, **schema).pointer == pointer


def test_group_time_and_split_divide_rows_and_are_never_features() -> None:
    taken = take(ROLES, target="y", group="g", time="t", split="s")
    assert taken.features == ("a",)
    assert taken.arrays["groups"].tolist() == [0, 1, 0, 2]
    assert np.argsort(taken.arrays["times"]).tolist() == [0, 2, 1, 3]
    assert taken.arrays["parts"].tolist() == [0, 1, 2, 0]
    info = taken.ingested.info
    assert (info.group_name, info.num_groups, info.time_name) == ("g", 3, "t")
    assert info.predefined_rows == {"train": 2, "val": 1, "test": 1}


@pytest.mark.parametrize(("role", "column"), [("target", "y"), ("group", "g"), ("time", "t"), ("split", "s")])
def test_a_row_that_lacks_its_target_group_time_or_part_is_refused_with_its_number(role: str, column: str) -> None:
    header, *rows = ROLES.splitlines()
    cells = rows[2].split(",")
    cells[header.split(",").index(column)] = "NA"
    text = "\n".join([header, *rows[:2], ",".join(cells), *rows[3:]])
    problem = refused(text, **{"target": "y", role: column})
    assert (problem.code, problem.pointer) == (f"missing_{role}", f"/{role}")
    assert "row 3" in str(problem)


@pytest.mark.parametrize(
    ("times", "order"),
    [
        (["3", "1.5", "-2", "10"], [2, 1, 0, 3]),
        (["2026-01-31", "2025-12-31", "2026-02-01", "1969-12-31"], [3, 1, 0, 2]),
        (["2026-01-31T12:00", "2026-01-31 11:59:59", "2026-01-31T12:00:00.5", "2026-01-31"], [3, 1, 0, 2]),
        (["2026-01-31T12:00:00Z", "2026-01-31T12:30:00+02:00", "2026-01-31T09:00:00-0500", "2026-01-31T23:00:00+09"], [1, 0, 2, 3]),
        (["2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:00.123455Z", "2026-01-31T12:00:01Z", "2026-01-31T11:00:00Z"], [3, 1, 0, 2]),
    ],
)
def test_numbers_and_instants_order_rows(times: list[str], order: list[int]) -> None:
    rows = "".join(f"{i},{time},{'pq'[i % 2]}\n" for i, time in enumerate(times))
    assert np.argsort(take(f"a,t,y\n{rows}", target="y", time="t").arrays["times"], kind="stable").tolist() == order


def test_instants_with_and_without_a_zone_do_not_mix() -> None:
    """Also where the first without one comes in another batch."""
    near = refused("a,t,y\n1,2026-01-01T00:00Z,p\n2,2026-01-01T00:00,q\n", target="y", time="t")
    rows = "".join(f"{i},2026-01-01T00:00:00,{'pq'[i % 2]}\n" for i in range(200_000))
    far = refused(f"a,t,y\n{rows}1,2026-01-01T00:00:00+01:00,p\n", target="y", time="t")
    assert (near.code, near.pointer) == (far.code, far.pointer) == ("not_a_time", "/time")
    assert "row 2 " in str(near)
    assert "row 200001 " in str(far)


@pytest.mark.parametrize("word", ["soon", "2026-02-30", "31.01.2026"])
def test_what_is_no_time_is_refused(word: str) -> None:
    assert refused(f"a,t,y\n1,2026-01-01,p\n2,{word},q\n", target="y", time="t").pointer == "/time"


def test_a_split_of_other_words_or_without_training_rows_is_refused() -> None:
    assert refused("a,s,y\n1,train,p\n2,dev,q\n", target="y", split="s").code == "unknown_part"
    assert refused("a,s,y\n1,val,p\n2,test,q\n", target="y", split="s").code == "no_training_rows"
    many = "".join(f"{i},w{i},{'pq'[i % 2]}\n" for i in range(10_100))
    assert refused(f"a,s,y\n{many}", target="y", split="s").code == "unknown_part"


@pytest.mark.parametrize(
    ("values", "asked", "task"),
    [
        (["1", "0", "1", "0"], None, "classification"),
        (["1.5", "0", "1.5", "0"], None, "regression"),
        (["1", "2", "3", "4"], None, "regression"),
        (["1", "2", "3", "4"], "classification", "classification"),
        (["1", "0", "1", "0"], "regression", "regression"),
        (["p", "q", "p", "q"], None, "classification"),
        (["1.0", "1", "0", "0.0"], None, "classification"),
        (["true", "false", "true", "false"], None, "classification"),
    ],
)
def test_the_task_is_found_out_or_as_asked(values: list[str], asked: Any, task: str) -> None:
    rows = "".join(f"{i},{value}\n" for i, value in enumerate(values))
    taken = take(f"a,y\n{rows}", target="y", task=asked)
    assert taken.ingested.info.task == taken.ingested.spec.task == task


def test_a_target_said_to_be_a_category_is_classes() -> None:
    assert take("a,y\n1,1\n2,2\n3,3\n", target="y", columns={"y": "category"}).labels == ("1", "2", "3")


def test_classes_that_are_numbers_are_in_order_of_size() -> None:
    taken = take("a,y\n1,10\n2,2\n3,1.0\n4,10.0\n5,2\n6,1\n", target="y")
    assert taken.labels == ("1", "2", "10")
    assert taken.y.tolist() == [2, 1, 0, 2, 1, 0]
    assert taken.ingested.info.class_counts == (2, 2, 2)


@pytest.mark.parametrize("value", ["p", "1"])
def test_one_class_is_no_target(value: str) -> None:
    """B111."""
    problem = refused(f"a,y\n1,{value}\n2,{value}\n", target="y", task="classification")
    assert (problem.code, problem.pointer) == ("single_class", "/target")


def test_too_many_classes_and_labels_that_are_texts_are_refused() -> None:
    many = "".join(f"{i},w{i}\n" for i in range(1001))
    assert refused(f"a,y\n{many}", target="y").code == "too_many_classes"
    assert refused(f"a,y\n1,{'w' * 201}\n2,z\n", target="y").code == "label_too_long"


def test_kinds_of_columns_can_be_declared() -> None:
    text = "n,c,o,i,y\n1,7,low,x,p\n2,8,high,x,q\n3,7,,x,p\n"
    columns = {"n": "number", "c": "category", "o": {"order": ["low", "mid", "high"]}, "i": "ignore"}
    taken = take(text, target="y", columns=columns)
    assert taken.features == ("n", "c", "o")
    assert [column.kind for column in taken.ingested.info.columns or ()] == ["number", "category", "ordinal"]
    assert taken.x[:, 1].tolist() == [0, 1, 0]
    assert taken.x[:2, 2].tolist() == [0, 2]
    assert np.isnan(taken.x[2, 2])


def test_an_order_of_numbers_is_one_however_they_are_written() -> None:
    taken = take("o,y\n1.0,p\n2,q\n10,p\n", target="y", columns={"o": {"order": ["10", "2.0", "1"]}})
    assert taken.x[:, 0].tolist() == [2, 1, 0]


def test_columns_that_cannot_be_used_are_left_out_and_named() -> None:
    texts = [f"{'w' * 201}{i}" for i in range(30)]
    rows = "".join(f"{i % 3},,2026-01-{i + 1:02},{texts[i]},id{i},{'pq'[i % 2]}\n" for i in range(30))
    taken = take(f"a,empty,day,text,name,y\n{rows}", UploadLimits(max_categories=20), target="y")
    assert taken.features == ("a",)
    for name in ("empty", "day", "text", "name"):
        assert f"column {name} is not used" in taken.warnings
    assert {column.name: column.kind for column in taken.ingested.profile.columns}["empty"] == "empty"


def test_the_profile_says_what_looks_wrong() -> None:
    rows = "".join(f"{i},5,{i % 4},{i % 4},{2 * (i % 5) + 1},{'pq'[i % 5 > 2]},id{i},{i % 5}\n" for i in range(40))
    taken = take(f"number,constant,b,copy,line,word,name,y\n{rows}", target="y", task="regression")
    assert "counts upwards like a row number" in taken.notes("number")
    assert "constant" in taken.notes("constant")
    assert "a copy of b" in taken.notes("copy")
    assert "gives the target away" in taken.notes("line")
    assert taken.notes("b") == taken.notes("word") == ""
    assert "column name looks like an identifier" in taken.warnings
    classes = take(f"number,constant,b,copy,line,word,name,y\n{rows}", target="word", features=["line", "b"], columns={"line": "category"})
    assert "each of its words comes with one class only" in classes.notes("line")
    assert classes.ingested.profile.num_duplicate_rows == 20


def test_rounding_gives_no_target_away() -> None:
    rows = "".join(f"{1e9 + (i * 7919 % 13) * 1e-6!r},{'pq'[i % 2]}\n" for i in range(40))
    assert "away" not in take(f"a,y\n0,p\n{rows}", target="y").warnings


def test_no_rows_that_differ_pass_for_duplicates() -> None:
    rows = "".join(f"{i},{j},{k},{'pq'[i % 2]}\n" for i in range(40) for j in range(40) for k in range(-20, 20))
    assert take(f"a,b,c,y\n{rows}", target="y").ingested.profile.num_duplicate_rows == 0


def test_imbalance_and_rare_classes_are_warned_of() -> None:
    warnings = take("a,y\n" + "1,p\n" * 200 + "2,q\n" * 3, target="y").warnings
    assert "classes with fewer than 10 rows: q (3)" in warnings
    assert "imbalance: p has 200 rows, q 3" in warnings


def test_the_profile_shows_first_rows_and_figures() -> None:
    taken = take("a,b,y\n1,x,p\n,x,q\n4,z,p\n", target="y", group="b", features=["a"])
    assert taken.ingested.profile.preview[1] == {"a": None, "b": "x", "y": "q"}
    a, b, y = taken.ingested.profile.columns
    assert (a.role, a.kind, a.num_missing, a.first_missing_row, a.low, a.high, a.mean, a.deviation) == (
        "feature",
        "number",
        1,
        2,
        1,
        4,
        2.5,
        1.5,
    )
    assert (b.role, b.most_frequent) == ("group", {"x": 2, "z": 1})
    assert (y.role, y.num_distinct) == ("target", 2)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, 2, None], pa.int64()), [1.0, 2.0, None]),
        (pa.array([1, 2, 200], pa.uint8()), [1.0, 2.0, 200.0]),
        (pa.array([1.5, float("nan"), 3.0], pa.float64()), [1.5, None, 3.0]),
        (pa.array(np.array([1.5, 2.5, 3.0], np.float16)), [1.5, 2.5, 3.0]),
        (pa.array([1.5, float("inf"), 3.0], pa.float32()), [1.5, None, 3.0]),
        (pa.array([Decimal("1.25"), None, Decimal("-3.00")]), [1.25, None, -3.0]),
        (pa.array([True, False, None]), [1.0, 0.0, None]),
        (pa.array(["b", "a", "b"]), [1.0, 0.0, 1.0]),
        (pa.array(["b", "a", "b"], pa.large_string()), [1.0, 0.0, 1.0]),
        (pa.array(["b", None, "a"]).dictionary_encode(), [1.0, None, 0.0]),
    ],
)
def test_parquet_columns_of_every_flat_kind_are_read(column: pa.Array, expected: list[float | None]) -> None:
    taken = take(parquet_of({"a": column, "y": pa.array(["p", "q", "p"])}), target="y")
    assert [None if np.isnan(value) else value for value in taken.x[:, 0].tolist()] == expected


@pytest.mark.parametrize(
    "column",
    [
        pa.array([dt.date(2026, 1, 2), dt.date(2026, 1, 1), dt.date(2026, 1, 3)]),
        pa.array([dt.datetime(2026, 1, day, tzinfo=dt.UTC) for day in (2, 1, 3)], pa.timestamp("ns", tz="Europe/Berlin")),
        pa.array([2, 1, 3], pa.int32()),
        pa.array([2**51, 2**50, 2**52], pa.timestamp("ms")),
    ],
)
def test_parquet_instants_and_numbers_order_rows(column: pa.Array) -> None:
    content = parquet_of({"a": pa.array([1, 2, 3]), "t": column, "y": pa.array(["p", "q", "p"])})
    assert np.argsort(take(content, target="y", time="t").arrays["times"]).tolist() == [1, 0, 2]


def test_parquet_instants_that_microseconds_cannot_hold_are_refused() -> None:
    column = pa.array([2**60, 1, 2], pa.timestamp("ms"))
    problem = refused(parquet_of({"a": pa.array([1, 2, 3]), "t": column, "y": pa.array(["p", "q", "p"])}), target="y", time="t")
    assert problem.code == "unsupported_column"


@pytest.mark.parametrize(
    "column", [pa.array([[1], [2]]), pa.array([{"a": 1}, {"a": 2}]), pa.array([b"a", b"b"]), pa.array([1, 2], pa.duration("s"))]
)
def test_parquet_columns_of_other_kinds_are_refused_by_name(column: pa.Array) -> None:
    problem = refused(parquet_of({"odd": column, "y": pa.array(["p", "q"])}), target="y")
    assert problem.code == "unsupported_column"
    assert "'odd'" in str(problem)


def test_parquet_columns_without_values_and_with_nul_are_handled() -> None:
    """B019."""
    taken = take(parquet_of({"a": pa.array([1, 2]), "n": pa.nulls(2), "y": pa.array(["p", "q"])}), target="y")
    assert taken.features == ("a",)
    assert refused(parquet_of({"a": pa.array([1, 2]), "y": pa.array(["p", "q\x00"])}), target="y").code == "holds_nul"


def test_parquet_needs_no_csv_and_whole_files() -> None:
    content = parquet_of({"a": pa.array([1, 2]), "y": pa.array(["p", "q"])})
    assert refused(content, target="y", csv={"delimiter": ";"}).pointer == "/csv"
    for end in (4, 20, len(content) // 2, len(content) - 1):
        assert refused(content[:end], target="y").code == "unreadable_parquet"
    assert refused(content, UploadLimits(max_rows=1), target="y").code == "too_large"


def test_parquet_makes_the_same_dataset_as_the_same_csv() -> None:
    text = "a,b,y\n1,x,10\n2.5,z,2\n,x,10\n4,,2\n"
    columns = {"a": pa.array([1, 2.5, None, 4]), "b": pa.array(["x", "z", "x", None]), "y": pa.array([10, 2, 10, 2])}
    one, other = take(text, target="y"), take(parquet_of(columns), target="y")
    assert one.ingested.info.columns == other.ingested.info.columns
    assert one.labels == other.labels == ("2", "10")
    assert np.array_equal(one.x, other.x, equal_nan=True)
    assert np.array_equal(one.y, other.y)
    assert one.ingested.profile.warnings == other.ingested.profile.warnings


@pytest.mark.parametrize("start", [b"\x80\x04\x95", b"\x93NUMPY\x01\x00", b"\x89HDF\r\n", b"\x1f\x8b\x08\x00"])
def test_files_of_other_kinds_are_refused(start: bytes) -> None:
    assert refused(start + b"a,y\n1,x\n2,z\n", target="y").code in {"unsupported_file", "damaged_archive"}


def test_what_was_found_out_can_be_sent_again() -> None:
    for content, schema in ((ROLES.encode(), {"target": "y", "group": "g", "time": "t"}), (npz(x=np.eye(4), y=np.array([0, 1, 0, 1])), {})):
        taken = take(content, **schema)
        again = take(content, **taken.ingested.spec.model_dump(mode="json"))
        assert again.ingested.spec == taken.ingested.spec


@pytest.mark.parametrize("word", ["1,5", "1.234,5", "-12'000.5"])
def test_numbers_in_another_notation_are_pointed_out(word: str) -> None:
    """B062."""
    content = "x;y\n" + "".join(f"{word};{'ab'[i % 2]}\n" for i in range(30))
    found = take(content.encode(), target="y", csv={"delimiter": ";", "decimal": "."})
    assert "look like numbers" in found.warnings


def test_a_target_that_never_changes_is_refused() -> None:
    problem = refused(b"x,y\n1,5.5\n2,5.5\n3,5.5\n", target="y")
    assert (problem.pointer, problem.code) == ("/target", "constant_target")


@pytest.mark.parametrize("decimal", [{}, {"csv": {"decimal": ","}}])
def test_a_point_in_a_file_of_decimal_commas_is_no_decimal_mark(decimal: dict[str, Any]) -> None:
    """B062: 1.234 may be 1234."""
    rows = [f"{i},5;{sales};{'ab'[i % 2]}" for i in range(12) for sales in ("999", "1.234", "2.500")]
    taken = take("x;sales;y\n" + "\n".join(rows), target="y", **decimal)
    assert taken.ingested.spec.csv.decimal == ","
    assert "column sales is read as words: they look like numbers in another notation (row 2: '1.234')" in taken.warnings
    assert "remove separators of thousands" in refused("x;y\n1,5;1.234\n2,5;2\n", target="y", task="regression").args[0]


@pytest.mark.parametrize(
    ("word", "hint"),
    [("5%", "percent"), ("$1000.00", "money"), ("(5)", "notation"), ("1.2.2024", "look like dates"), ("31/12/2024", "look like dates")],
)
def test_numbers_and_dates_in_disguise_are_pointed_out(word: str, hint: str) -> None:
    content = "x,z,y\n" + "".join(f"{word},{i},{'ab'[i % 2]}\n" for i in range(30))
    assert hint in take(content, target="y").warnings
    assert (
        f"the target is read as words: they look like {'dates' if 'date' in hint else 'numbers'}"
        in take(content + "b,1,a\n", target="x").warnings
    )


@pytest.mark.parametrize("strays", [1, 5, 30, 49])
def test_stray_words_in_a_column_of_numbers_are_pointed_out_however_many(strays: int) -> None:
    """B021."""
    rows = "".join(f"{'-' if i < strays else i % 7 + 0.5},{i % 2}\n" for i in range(100))
    assert (
        f"column x is read as words, though {100 - strays}% of its values are numbers (row 1: '-')"
        in take("x,y\n" + rows, target="y").warnings
    )


def test_whole_numbers_beyond_what_floats_tell_apart_stay_apart_as_groups() -> None:
    """B035."""
    ids, y = [2**60 + i // 2 for i in range(60)], [i % 2 for i in range(60)]
    for content in (
        parquet_of({"id": pa.array(ids), "x": pa.array(range(60)), "y": pa.array(y)}),
        "id,x,y\n" + "".join(f"{ids[i]},{i},{y[i]}\n" for i in range(60)),
    ):
        assert take(content, target="y", group="id").ingested.info.num_groups == 30
        assert "beyond 2^53" in take(content, target="y").warnings
        assert refused(content, target="id", task="classification").code == "label_too_large"


def test_the_index_of_pandas_is_not_learned_from_unless_it_is_named() -> None:
    content = parquet_of({"x": pa.array([1, 2, 3, 4]), "__index_level_0__": pa.array([4, 3, 2, 1]), "y": pa.array(["a", "b", "a", "b"])})
    taken = take(content, target="y")
    assert taken.features == ("x",)
    assert "__index_level_0__ is pandas' index and not used" in taken.warnings
    assert take(content, target="y", features=["x", "__index_level_0__"]).features == ("x", "__index_level_0__")


def test_what_is_wrong_with_the_columns_that_were_left_out_is_said() -> None:
    problem = refused("x,y\n" + "".join(f",{'ab'[i % 2]}\n" for i in range(10)), target="y")
    assert (problem.code, "column x is not used: it has no value in any row" in str(problem)) == ("no_features", True)
    assert "constant, so nothing is learned from them: x" in take("x,z,y\n1,1,a\n1,2,b\n", target="y").warnings
    assert "reaches 1e+200" in take("x,z,y\n1e200,1,a\n1,2,b\n", target="y").warnings


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n", "one image is no dataset"),
        (b"%PDF-1.7", "a PDF"),
        (b'{"a": 1}\n', "JSON is not read"),
        (zipped({"xl/workbook.xml": b"<x/>"}), "save the sheet as CSV"),
        (zipped({"table.csv": b"a,y\n1,2\n"}), "tables are sent as they are, not packed"),
        (gzip.compress(b"a,y\n1,2\n"), "tables are sent as they are, not packed"),
        (b"sep=;\nx;y\n1;2\n", "is the first line the names of the columns?"),
    ],
)
def test_the_commonest_wrong_files_are_told_what_to_do(content: bytes, said: str) -> None:
    assert said in str(refused(content, target="y"))


def test_an_infinite_target_is_said_to_count_as_missing() -> None:
    """B021."""
    assert "row 2 has no target (1 of 3 rows in column 'y', 1 of them infinite)" in str(refused("x,y\n1,1\n2,inf\n3,2\n", target="y"))
