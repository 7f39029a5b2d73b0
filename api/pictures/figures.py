"""Numbers in pictures as people write them, and values that a figure can have."""

import math
from collections.abc import Iterable

from matplotlib.ticker import LogFormatter, ScalarFormatter

_MINUS, _TIMES = "\u2212", "\u00d7"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SMALL, _LARGE = 1e-4, 1e6
"""Outside of these a number has a power of ten."""
_POSSIBLE = {"loss": (0.0, math.inf), "rmse": (0.0, math.inf), "accuracy": (0.0, 1.0), "r2": (-math.inf, 1.0)}


def said(value: float, digits: int = 3) -> str:
    """Write a number to so many significant digits, or to the nearest whole: 0.05, 5,843, or with a power of ten."""
    rounded = float(f"{value:.{digits}g}")
    size = abs(rounded)
    if not math.isfinite(value) or _SMALL <= size < _LARGE or size == 0:
        whole = math.floor(math.log10(size)) + 1 if size and math.isfinite(size) else 1
        return f"{value if size else 0.0:,.{max(digits, whole)}g}".replace("-", _MINUS)
    mantissa, exponent = f"{rounded:.{digits - 1}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".").replace("-", _MINUS)
    power = _power(int(exponent))
    return f"{mantissa[:-1]}{power}" if mantissa in {"1", f"{_MINUS}1"} else f"{mantissa}{_TIMES}{power}"


def _power(exponent: int) -> str:
    return f"10{str(exponent).translate(_RAISED)}"


class PlainTicks(ScalarFormatter):
    """Numbers of a linear axis: thousands are set apart, a power of ten is beside the axis."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Write one number."""
        text: str = super().__call__(x, pos)
        sign, digits = (_MINUS, text[1:]) if text.startswith((_MINUS, "-")) else ("", text)
        whole, dot, rest = digits.partition(".")
        return f"{sign}{int(whole):,}{dot}{rest}" if whole.isdecimal() else text

    def get_offset(self) -> str:
        """Write the power of ten."""
        found = super().get_offset()
        return f"{_TIMES}{_power(int(found[2:].replace(_MINUS, '-')))}" if found.startswith("1e") else found


class PlainLogTicks(LogFormatter):
    """Numbers of a logarithmic axis, read without thinking: 0.05 and 200; of a wide one powers of ten."""

    def __init__(self, *, is_wide: bool) -> None:
        """Choose how to write."""
        super().__init__()
        self._is_wide = is_wide

    def __call__(self, x: float, pos: int | None = None) -> str:  # noqa: ARG002  matplotlib's signature
        """Write one number."""
        exponent = math.log10(abs(x)) if x else 0.5
        if self._is_wide and abs(exponent - round(exponent)) < 1e-9:
            return f"{_MINUS if x < 0 else ''}{_power(round(exponent))}"
        return said(x, 6)


def cut(low: float | None, high: float | None, figure: str) -> tuple[float | None, float | None]:
    """Keep the part of an interval in which the figure (loss, accuracy, rmse, r2) can be: t intervals know no bounds."""
    least, most = _POSSIBLE[figure]
    return (None, None) if low is None or high is None else (min(max(low, least), most), max(min(high, most), least))


def cut_note(ends: Iterable[tuple[float | None, float | None]], figure: str) -> str:
    """Say where intervals were cut; nothing where none was."""
    found = list(ends)
    least, most = _POSSIBLE[figure]
    at = [said(least)] if any(low is not None and low < least for low, _ in found) else []
    at += [said(most)] if any(high is not None and high > most for _, high in found) else []
    return f", cut at {' and '.join(at)}" if at else ""
