"""Numbers as labels: in columns that are read, and in rows that ask for predictions."""

import math


def number_label(value: float) -> str:
    """Write a number as a label: whole numbers without a point."""
    if not math.isfinite(value):
        return repr(value)
    return str(int(value)) if value == math.floor(value) and abs(value) < 1e15 else repr(value)
