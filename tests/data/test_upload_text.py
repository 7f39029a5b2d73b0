"""Text files: encodings, delimiters, decimal marks, headers, cells."""

import math

import numpy as np
import pytest

from data.uploads.limits import UploadLimits
from tests.uploads import refused, take

PLAIN = "a,b,y\n1,2.5,p\n3,4.5,q\n"


def test_a_comma_file_of_numbers_and_text_labels_is_understood() -> None:
    taken = take(PLAIN, target="y")
    assert taken.x.tolist() == [[1.0, 2.5], [3.0, 4.5]]
    assert taken.y.tolist() == [0, 1]
    assert (taken.labels, taken.features) == (("p", "q"), ("a", "b"))
    info = taken.ingested.info
    assert (info.kind, info.task, info.input_shape, info.num_rows) == ("table", "classification", (2,), 2)
    csv = taken.ingested.spec.csv
    assert (csv.delimiter, csv.decimal, csv.encoding) == (",", ".", "utf-8")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_are_found_out(delimiter: str, end: str) -> None:
    taken = take(PLAIN.replace(",", delimiter).replace("\n", end), target="y")
    assert taken.x.tolist() == [[1.0, 2.5], [3.0, 4.5]]
    assert taken.ingested.spec.csv.delimiter == delimiter


def test_semicolons_decimal_commas_and_a_byte_order_mark_go_together() -> None:
    """B062."""
    taken = take("\ufeffname;höhe;y\nx;1,5;p\nz;-2,25e1;q\n", target="y")
    assert taken.features == ("name", "höhe")
    assert taken.x[:, 1].tolist() == [1.5, -22.5]
    assert (taken.ingested.spec.csv.delimiter, taken.ingested.spec.csv.decimal) == (";", ",")


def test_decimal_commas_do_not_pass_for_delimiters_where_no_header_tells_them_apart() -> None:
    """B062."""
    taken = take("1,5;2,5;p\n2,5;3,5;q\n3,5;1,0;p\n", target="column_3", csv={"header": False})
    assert taken.x.tolist() == [[1.5, 2.5], [2.5, 3.5], [3.5, 1.0]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_encodings_are_found_out(encoding: str) -> None:
    text = "größe,y\n1,Müller\n2,Café\n3,Müller\n"
    taken = take(text.encode(encoding), target="y")
    assert taken.labels == ("Café", "Müller")
    assert taken.features == ("größe",)
    assert ("not UTF-8" in taken.warnings) == (encoding == "cp1252")


@pytest.mark.parametrize("encoding", ["utf-16-le", "UTF8", "latin-1", "cp037", "utf-7", "shift_jis"])
def test_a_named_encoding_is_used(encoding: str) -> None:
    taken = take("a,y\n1,x\n2,z\n".encode(encoding), target="y", csv={"encoding": encoding})
    assert taken.labels == ("x", "z")
    again = taken.ingested.spec.model_dump(mode="json")
    assert take("a,y\n1,x\n2,z\n".encode(encoding), **again).ingested.spec == taken.ingested.spec


@pytest.mark.parametrize("encoding", ["zlib", "rot13", "hex", "idna", "punycode", "unicode_escape", "undefined", "no such", "é"])
def test_what_is_no_encoding_of_files_is_refused(encoding: str) -> None:
    problem = refused(b"a,y\n1,x\n2,z\n", target="y", csv={"encoding": encoding})
    assert (problem.code, problem.pointer) == ("wrong_encoding", "/csv/encoding")


def test_bytes_that_are_not_of_the_named_encoding_are_refused() -> None:
    early = refused(b"a,y\n\xff,x\n2,z\n", target="y", csv={"encoding": "utf-8"})
    late = refused(b"a,y\n" + b"1,x\n2,z\n" * 100_000 + b"\xff,x\n", target="y", csv={"encoding": "utf-8"})
    assert {early.pointer, late.pointer} == {"/csv/encoding"}


def test_no_nul_is_taken_as_text() -> None:
    """B019: PostgreSQL stores no NUL, so a label that holds one is refused with its row."""
    assert refused(b"a,y\n1,x\x00\n2,z\n", target="y").code == "not_text"
    for encoding in ("utf-8", "cp1252", "utf-16-le"):
        problem = refused("a,y\n1,x\n2,z\x00\n".encode(encoding), target="y", csv={"encoding": encoding})
        assert problem.code == "holds_nul"
        assert "row 2 of column 'y'" in str(problem)
    assert refused("a\x00,y\n1,x\n2,z\n".encode("utf-16"), target="y").code == "bad_header"


def test_quoted_cells_hold_delimiters_newlines_and_quotes() -> None:
    taken = take('a,"the, y"\n"x\ny","say ""p"""\n"x,y",q\n', target="the, y")
    column = (taken.ingested.info.columns or ())[0]
    assert column.categories == ("x\ny", "x,y")
    assert taken.labels == ("q", 'say "p"')


def test_separators_of_other_kinds_end_no_line() -> None:
    taken = take("a,y\n1,x\x0cx\n2,z\u2028z\n3,x\x0cx\n", target="y")
    assert taken.labels == ("x\x0cx", "z\u2028z")


@pytest.mark.parametrize("text", ["\n\n  \na,y\n1,x\n2,z\n", "a,y\n1,x\n\n2,z\n\n\n", "a,y\r\n1,x\r\n2,z\r\n   \r\n"])
def test_blank_lines_before_between_and_after_rows_are_nothing(text: str) -> None:
    assert take(text, target="y").x.tolist() == [[1.0], [2.0]]


def test_columns_without_a_name_are_numbered() -> None:
    assert take(",y,\n1,x,2\n2,z,3\n", target="y").features == ("column_1", "column_3")


def test_two_columns_of_one_name_are_refused() -> None:
    problem = refused("a,b, a,y\n1,2,3,x\n", target="y")
    assert problem.code == "duplicate_column"
    assert "'a'" in str(problem)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("a,y\n1,x\n2,z\n3\n", 3),
        ('a,y\n"1\n2",x\n\n3,z,4\n', 2),
        ("\n\na,y\n1\n", 1),
        ("a,y\n" + "1,x\n" * 1_500_000 + "1,2,3\n", 1_500_001),
    ],
)
def test_a_row_of_another_length_is_refused_with_its_number(text: str, row: int) -> None:
    problem = refused(text, target="y")
    assert problem.code == "ragged_row"
    assert f"row {row} has" in str(problem)


@pytest.mark.parametrize("text", ["a,y", "a,y\n", "a,y\r\n\r\n", "a,y\n1,x\n"])
def test_fewer_than_two_rows_are_refused(text: str) -> None:
    assert refused(text, target="y").code == "too_few_rows"


@pytest.mark.parametrize("content", [b"", b"\n", b"  \n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(content: bytes) -> None:
    assert refused(content, target="y").code == "empty_file"


def test_one_column_leaves_nothing_to_learn_from() -> None:
    """B062: also where the delimiter that was named is not the file's."""
    assert refused("x;y\n1,5;0\n2,5;1\n", target="y", csv={"delimiter": "|"}).code == "unknown_column"
    assert refused("y\n1\n2\n", target="y").code == "no_features"


def test_a_first_line_of_numbers_is_no_header() -> None:
    problem = refused("1,2\n3,4\n5,6\n", target="1")
    assert (problem.code, problem.pointer) == ("no_header", "/csv/header")
    taken = take("1,2\n3,4\n5,6\n", target="column_2", csv={"header": False})
    assert taken.x.tolist() == [[1.0], [3.0], [5.0]]


def test_a_header_longer_than_the_first_look_is_read_whole() -> None:
    names = [f"{'n' * 150}{i}" for i in range(2000)]
    text = ",".join([*names, "y"]) + "\n" + ("1," * 2000 + "p\n") + ("2," * 2000 + "q\n")
    assert take(text, target="y").features == tuple(names)


def test_names_and_rows_without_end_are_refused() -> None:
    assert refused(f"{'n' * 201},y\n1,x\n2,z\n", target="y").code == "bad_header"
    assert refused('"a\nb",y\n1,x\n2,z\n', target="y").code == "bad_header"
    assert refused("a,y\n" + '"' + "1,x\n" * 1_500_000, target="y").code in {"row_too_long", "unreadable_csv", "ragged_row"}


def test_blanks_and_words_for_nothing_are_missing_and_question_marks_too() -> None:
    """B021: nothing missing becomes a number."""
    taken = take("a,b,y\n1,,p\n?,x,q\nNA, NaN ,p\n 4 ,x,q\n", target="y")
    assert np.isnan(taken.x[:, 0]).tolist() == [False, True, True, False]
    assert taken.x[3, 0] == 4
    a, b = taken.ingested.info.columns or ()
    assert (a.kind, a.num_missing, a.first_missing_row) == ("number", 2, 2)
    assert (b.kind, b.categories, b.num_missing, b.first_missing_row) == ("category", ("x",), 2, 1)


def test_words_for_nothing_can_be_chosen() -> None:
    taken = take("a,y\n-999,p\nNA,q\n1,p\n", target="y", csv={"missing_values": ["-999"]})
    [column] = taken.ingested.info.columns or ()
    assert (column.kind, column.categories, column.num_missing) == ("category", ("1", "NA"), 1)


@pytest.mark.parametrize("cell", ["inf", "-inf", "Infinity", "+inf", "nan", "1e400"])
def test_what_is_infinite_or_undefined_counts_as_missing_and_is_noted(cell: str) -> None:
    """B021: among numbers it is missing, with its row."""
    taken = take(f"a,b,y\n1,2,p\n{cell},2,q\n3,2,p\n", target="y", csv={"missing_values": [""]})
    column = (taken.ingested.info.columns or ())[0]
    assert (column.kind, column.num_missing, column.first_missing_row) == ("number", 1, 2)
    assert math.isnan(taken.x[1, 0])
    assert "1 infinite or undefined values" in taken.notes("a")


def test_what_is_infinite_is_a_word_among_words() -> None:
    taken = take("a,y\ninf,p\n1,q\nfoo,p\n", target="y")
    [column] = taken.ingested.info.columns or ()
    assert (column.categories, column.num_missing) == (("1", "foo", "inf"), 0)
    assert taken.x[:, 0].tolist() == [2.0, 0.0, 1.0]


@pytest.mark.parametrize("cell", ["0x10", "1_000", "nan(x)", "1e", "\u0661", "1 2", "1,000"])
def test_what_only_looks_like_a_number_is_a_word(cell: str) -> None:
    taken = take(f'a,y\n"{cell}",p\n2,q\n3,p\n', target="y")
    assert (taken.ingested.info.columns or ())[0].kind == "category"


def test_a_word_that_comes_late_makes_words_of_all() -> None:
    """Beyond the first 4 MB, in another batch: what was counted before stays right."""
    numbers = [str(i % 7) for i in range(1_200_000)]
    rows = "".join(f"{value},{'pq'[i % 2]}\n" for i, value in enumerate(numbers))
    text = f"a,y\ninf,p\n{rows}late,p\n1,q\n"
    assert len(text) > 4_194_304
    taken = take(text, target="y")
    [column] = taken.ingested.info.columns or ()
    assert column.categories == ("0", "1", "2", "3", "4", "5", "6", "inf", "late")
    assert column.num_missing == 0
    assert taken.x[:, 0].tolist() == [7.0, *(float(value) for value in numbers), 8.0, 1.0]
    assert "row 1200002: 'late'" in taken.warnings


def test_numbers_near_the_ends_of_their_range_make_no_fuss() -> None:
    taken = take("a,y\n1e308,-1e308\n-1e308,1e308\n1e308,1e308\n5e-324,0\n", target="y", task="regression")
    assert taken.x[:, 0].tolist() == [1e308, -1e308, 1e308, 5e-324]
    assert take("a,b,y\n1e308,1,p\n-1e308,2,q\n1e308,3,p\n", target="y").y.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "limits", [UploadLimits(max_rows=2), UploadLimits(max_columns=2), UploadLimits(max_values=5), UploadLimits(max_classes=1)]
)
def test_limits_hold(limits: UploadLimits) -> None:
    problem = refused("a,b,y\n1,2,p\n3,4,q\n5,6,p\n", limits, target="y")
    assert problem.code in {"too_many_rows", "too_many_columns", "too_large", "too_many_classes"}
