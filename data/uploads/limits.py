"""How much an upload may hold. Published at /v1/limits; beyond one it is refused before the work is done."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class UploadLimits(BaseModel):
    """Caps on one upload."""

    model_config = ConfigDict(frozen=True)

    max_rows: Annotated[int, Field(description="Most rows of a dataset.")] = 20_000_000
    max_columns: Annotated[int, Field(description="Most columns of a table.")] = 10_000
    max_values: Annotated[int, Field(description="Most numbers in all rows of a dataset.")] = 4_000_000_000
    max_row_values: Annotated[int, Field(description="Most numbers of one row.")] = 134_217_728
    max_classes: Annotated[int, Field(description="Most classes.")] = 1000
    max_categories: Annotated[int, Field(description="Most words of one column.")] = 1000
    max_image_pixels: Annotated[int, Field(description="Most pixels of one image, counted before it is decoded.")] = 50_000_000
    max_archive_entries: Annotated[int, Field(description="Most entries of an archive.")] = 500_000
    max_entry_bytes: Annotated[int, Field(description="Largest image file in an archive.")] = 50_000_000
    max_unpacked_bytes: Annotated[int, Field(description="Most bytes that an archive or a Parquet file may unpack to.")] = 16_000_000_000
    max_ratio: Annotated[int, Field(description="Most bytes unpacked for one byte received, beyond the first 100 MB.")] = 200
