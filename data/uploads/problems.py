"""What can be wrong with an upload."""


class UploadProblem(ValueError):
    """A file or its schema that cannot become a dataset. `pointer` points into the schema, or is "file"."""

    def __init__(self, message: str, *, code: str, pointer: str = "file") -> None:
        """Say what is wrong, where, and what to do."""
        super().__init__(message)
        self.pointer = pointer
        self.code = code


def shown(text: str) -> str:
    """Quote a piece of a file for a message: short, and printable."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:61])
    return f"'{plain[:60]}...'" if len(text) > 60 else f"'{plain}'"


def column_pointer(name: str) -> str:
    """Point to a column's kind in the schema."""
    return "/columns/" + name.replace("~", "~0").replace("/", "~1")
