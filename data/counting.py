"""Numbers of things in sentences."""


def counted(number: int, what: str, many: str | None = None) -> str:
    """Count things: 1 row, 2 rows. `many` is said of more than one, where that is no plain plural."""
    return f"{number} {what}" if number == 1 else f"{number} {many or f'{what}s'}"


def written(value: float, digits: int = 6) -> str:
    """Write a number to so many digits as people do: 0.003, 1e6, 2.5e-7."""
    return f"{value:.{digits}g}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
