"""Numbers of things in sentences."""


def counted(number: int, what: str, many: str | None = None) -> str:
    """Count things: 1 row, 2 rows. `many` is said of more than one, where that is no plain plural."""
    return f"{number} {what}" if number == 1 else f"{number} {many or f'{what}s'}"
