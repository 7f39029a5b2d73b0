"""Datasets as they are told of: built-in ones and uploads."""

import dataclasses
from typing import Any, Literal, Self

from pydantic import Field

from api.views.base import Instant, View
from data.dataset import Column, DatasetInfo, Kind
from store.datasets import DatasetState


class ColumnView(View):
    """A column of a table that a network may be given."""

    name: str
    kind: Literal["number", "category", "ordinal"]
    categories: list[str] = Field(description="Its words, if it has any; those of an ordinal column lowest first.")
    num_missing: int
    first_missing_row: int | None = Field(description="Rows are counted from 1.")

    @classmethod
    def of(cls, column: Column) -> Self:
        """Shape a column."""
        return cls(
            name=column.name,
            kind=column.kind,
            categories=list(column.categories),
            num_missing=column.num_missing,
            first_missing_row=column.first_missing_row,
        )


class ColumnProfileView(View):
    """What was found in a column of an uploaded table."""

    name: str
    role: Literal["feature", "target", "group", "time", "split", "unused"]
    kind: Literal["number", "category", "ordinal", "time", "empty"]
    num_missing: int
    first_missing_row: int | None
    num_distinct: int | None = Field(description="null: more than 10 000, or not counted.")
    low: float | None
    high: float | None
    mean: float | None
    deviation: float | None = Field(description="Population standard deviation.")
    most_frequent: dict[str, int] | None = Field(description="Up to 20 values with their counts, most frequent first.")
    notes: list[str]


class ProfileView(View):
    """What was found in an upload."""

    columns: list[ColumnProfileView]
    num_duplicate_rows: int | None = Field(description="Rows whose features are those of an earlier row; null: not counted.")
    warnings: list[str]
    preview: list[dict[str, str | None]] = Field(description="The first rows of a table, as they came; of at most 100 columns.")
    facts: dict[str, Any] = Field(description="Of arrays: type, range and what divides pixels; of images: channels, bits, sizes.")


class UploadView(View):
    """Where an uploaded dataset came from."""

    created_at: Instant
    file_name: str = Field(description="As the client named the file; for people.")
    num_bytes: int
    upload_schema: dict[str, Any] = Field(
        alias="schema", description="The schema with all that was found out filled in; it may be sent again."
    )
    profile: ProfileView | None = Field(description="null in lists.")


class DatasetView(View):
    """A dataset that jobs may name."""

    id: str
    title: str
    description: str
    kind: Kind
    task: Literal["classification", "regression"]
    num_rows: int
    input_shape: list[int] = Field(description="[columns] of tables, [C, *axes] of signals, images and volumes, before preparation.")
    num_classes: int | None
    class_labels: list[str] | None
    class_counts: list[int] | None
    feature_names: list[str] | None
    columns: list[ColumnView] | None = Field(description="The features of a table.")
    target_name: str
    target_unit: str | None
    group_name: str | None = Field(description="Rows of one group are kept on one side of a split by group.")
    num_groups: int | None
    time_name: str | None = Field(description="What a split by time orders rows by.")
    predefined_rows: dict[str, int] | None = Field(description="Rows of the dataset's own division, which the split `predefined` uses.")
    licence: str
    source: str
    content_hash: str | None = Field(
        description="SHA-256: of an uploaded file's bytes (as sha256sum says), or of a built-in dataset's arrays."
    )
    available: bool
    unavailable_reason: str | None
    upload: UploadView | None = Field(None, description="null for built-in datasets.")

    @classmethod
    def of(cls, info: DatasetInfo) -> Self:
        """Shape a built-in dataset."""
        values = {name: getattr(info, name) for name in cls.model_fields if name not in {"columns", "upload"}}
        values["columns"] = None if info.columns is None else [ColumnView.of(column) for column in info.columns]
        return cls.model_validate(values, from_attributes=True)

    @classmethod
    def of_upload(cls, state: DatasetState) -> Self:
        """Shape an uploaded dataset."""
        upload = UploadView(
            created_at=state.created_at,
            file_name=state.file_name,
            num_bytes=state.num_bytes,
            schema=state.schema,
            profile=None if state.profile is None else ProfileView.model_validate(state.profile),
        )
        return cls.of(dataclasses.replace(state.info)).model_copy(update={"upload": upload})


class DatasetList(View):
    """Built-in datasets (those that can be used, and those that cannot, with the reason) and uploads, newest first."""

    items: list[DatasetView]
    unavailable: list[DatasetView]
    next_cursor: str | None = Field(None, description="Give it as `cursor` for older uploads; built-in ones are on the first page.")
    has_more: bool = False
