"""What a client says of a file it uploads: the schema. All of it is optional but a table's target."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from data.dataset import Task
from models.closed import Lax, Spec, Text, Title

Name = Annotated[Text, Field(min_length=1, max_length=200)]
Words = Annotated[Text, Field(max_length=200)]
Prose = Annotated[Text, Field(max_length=2000)]
Delimiter = Literal[",", ";", "\t", "|"]
Decimal = Literal[".", ","]
MISSING_VALUES = (
    "",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "<NA>",
    "NaN",
    "nan",
    "NULL",
    "null",
    "None",
    "NaT",
    "?",
    "#DIV/0!",
    "#NUM!",
    "#REF!",
    "#VALUE!",
)


class CsvSpec(Spec):
    """How a text file is to be read; null is found out, and what was found is echoed."""

    delimiter: Annotated[Delimiter | None, Field(description="Between cells: comma, semicolon, tab or bar.")] = None
    decimal: Annotated[Decimal | None, Field(description="The decimal mark.")] = None
    encoding: Annotated[Text, Field(min_length=1, max_length=40, description="A name that Python knows, as utf-8 or cp1252.")] | None = None
    header: Annotated[bool, Field(description="Whether the first line names the columns; else they are column_1, column_2, ...")] = True
    missing_values: Annotated[
        tuple[Words, ...],
        Lax,
        Field(max_length=50, description="Cells that stand for a missing value, after spaces around them are removed."),
    ] = MISSING_VALUES


def _different(words: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(words)) < len(words):
        raise ValueError("must not repeat a word")
    return words


class OrdinalSpec(Spec):
    """A column of words that have an order; they become 0, 1, 2, ..."""

    order: Annotated[
        tuple[Words, ...], Lax, AfterValidator(_different), Field(min_length=2, max_length=1000, description="All its words, lowest first.")
    ]


ColumnSpec = Literal["number", "category", "ignore"] | OrdinalSpec


class ImagesSpec(Spec):
    """How images in an archive become rows of one shape."""

    size: (
        Annotated[
            tuple[Annotated[int, Field(ge=1, le=4096)], Annotated[int, Field(ge=1, le=4096)]],
            Lax,
            Field(description="[height, width] that every image is brought to; null needs images of one size."),
        ]
        | None
    ) = None
    channels: Annotated[
        Literal["gray", "rgb", "rgba"] | None,
        Field(description="null: rgb if any image has color, else gray; transparency is then blended over black."),
    ] = None
    broken: Annotated[Literal["reject", "skip"], Field(description="What to do with files that cannot be decoded.")] = "reject"


class UploadSpec(Spec):
    """The schema of an upload. Names are of columns in tables and of arrays in NPZ files."""

    name: Annotated[
        Annotated[Title, Field(min_length=1, max_length=200)] | None, Field(description="A title; the file's name if it is not given.")
    ] = None
    target: Annotated[
        Name | None,
        Field(description="What is to be learned. Tables: required. NPZ: `y` by default. Images: their folder, so leave it out."),
    ] = None
    task: Annotated[Task | None, Field(description="null: words and a few whole numbers are classes, other numbers are a regression.")] = (
        None
    )
    features: Annotated[
        Annotated[tuple[Name, ...], Lax, Field(min_length=1, max_length=10_000)] | None,
        Field(description="What may be learned from. null: all other columns that can be used; NPZ: `x`."),
    ] = None
    group: Annotated[Name | None, Field(description="Rows of one value belong together (a patient); never a feature.")] = None
    time: Annotated[Name | None, Field(description="Numbers or ISO 8601 instants that order the rows; never a feature.")] = None
    split: Annotated[Name | None, Field(description="train, val or test for each row: the split `predefined`; never a feature.")] = None
    columns: Annotated[
        dict[Name, ColumnSpec], Field(max_length=10_000, description="Kinds of columns, where they are not to be found out.")
    ] = Field(default_factory=dict)
    unit: Annotated[Words | None, Field(description="Unit of a numeric target.")] = None
    description: Annotated[Prose | None, Field(description="For people.")] = None
    licence: Annotated[Words | None, Field(description="For people.")] = None
    csv: CsvSpec = CsvSpec()
    images: ImagesSpec = ImagesSpec()
