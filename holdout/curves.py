"""Curves as columns by epoch, and as a tidy pandas frame."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FIGURES = (
    "train_loss",
    "val_loss",
    "generalization_gap",
    "train_accuracy",
    "val_accuracy",
    "accuracy_gap",
    "train_rmse",
    "val_rmse",
    "train_r2",
    "val_r2",
    "objective",
    "learning_rate",
    "seconds",
)
"""The columns that a curve may have, in the order of a frame. A task has not all of them; a later service may have more."""
_ALWAYS = FIGURES[:3]
_NOT_COLUMNS = frozenset({"number", "label", "best_epoch", "last_epoch", "smoothed"})


class FitCurve:
    """One fit's curve: `curve["val_loss"]`, or `curve.val_loss`, has a value, or None, for each of `curve["epoch"]`; epoch 0 is before any update."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        """Read one of the `fits` of /v1/jobs/{id}/curves."""
        self.number: int = fields["number"]
        self.label: str = fields["label"]
        self.epoch: list[int] = fields.get("epoch") or []
        self.best_epoch: int | None = fields.get("best_epoch")
        self.last_epoch: int | None = fields.get("last_epoch")
        self.smoothed: dict[str, list[float | None]] = fields.get("smoothed") or {}
        self.columns: dict[str, list[float | None]] = {
            name: values for name, values in fields.items() if name not in _NOT_COLUMNS and name != "epoch" and values is not None
        }

    def __getitem__(self, name: str) -> Sequence[float | None]:
        """Give a column; one that the service left out, as it had no value in these rows, is None throughout.

        Raises:
            KeyError: no curve has such a column.
        """
        if name == "epoch":
            return self.epoch
        if name in self.columns:
            return self.columns[name]
        if name not in FIGURES:
            raise KeyError(f"a curve has no column {name!r}; it may have epoch, {', '.join(FIGURES)}")
        return [None] * len(self.epoch)

    def __getattr__(self, name: str) -> Sequence[float | None]:
        """Give a column.

        Raises:
            AttributeError: no curve has such a column.
        """
        if name not in FIGURES and name not in self.__dict__.get("columns", ()):
            raise AttributeError(f"a curve has no {name!r}; its columns may be epoch, {', '.join(FIGURES)}")
        return self[name]

    def __dir__(self) -> list[str]:
        """List columns too, for whoever presses Tab."""
        return sorted({*super().__dir__(), *self.columns})

    def __repr__(self) -> str:
        """Say which fit it is, and how far it goes."""
        return f"<FitCurve {self.number} {self.label!r}, {len(self.epoch)} epochs to {self.last_epoch}>"

    def best(self, name: str = "val_loss") -> tuple[int, float] | None:
        """Give the best epoch (by the job's monitor) and a column's value there; None if there is none."""
        if self.best_epoch not in self.epoch:
            return None
        value = self[name][self.epoch.index(self.best_epoch)]
        return None if value is None or self.best_epoch is None else (self.best_epoch, value)


class Curves(Sequence[FitCurve]):
    """The curves of a job's fits, as of its `version`; `sampled` tells whether points were left out."""

    def __init__(self, job_id: str, fields: Mapping[str, Any]) -> None:
        """Read the answer of /v1/jobs/{id}/curves."""
        self.job_id = job_id
        self._fields = dict(fields)
        self.fits = [FitCurve(one) for one in fields["fits"]]
        self.version: int = fields["version"]
        self.sampled: bool = fields.get("sampled", False)

    def __getitem__(self, place: Any) -> Any:
        """Give the curve at a place, from 0; fit 1 is at 0 unless others were asked for."""
        return self.fits[place]

    def __len__(self) -> int:
        """Count the fits."""
        return len(self.fits)

    def __repr__(self) -> str:
        """Say whose they are."""
        return f"<Curves of {self.job_id} at version {self.version}: {self.fits!r}>"

    def to_dict(self) -> dict[str, Any]:
        """Give the answer as it came."""
        return dict(self._fields)

    def columns(self) -> list[str]:
        """Name the columns that any fit has, and the losses and their gap in any case."""
        found = {name for fit in self.fits for name in fit.columns}
        return [name for name in FIGURES if name in found or name in _ALWAYS] + sorted(found.difference(FIGURES))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give a row for each fit and epoch: job, fit, label, epoch and the columns; what has no value is None."""
        names = self.columns()
        for fit in self.fits:
            values = [fit.columns.get(name) or [None] * len(fit.epoch) for name in names]
            for i, epoch in enumerate(fit.epoch):
                figures = {name: column[i] for name, column in zip(names, values, strict=True)}
                yield {"job": self.job_id, "fit": fit.number, "label": fit.label, "epoch": epoch, **figures}

    def to_pandas(self) -> "pd.DataFrame":
        """Give a tidy frame: a row for each fit and epoch; what has no value is NaN.

        Raises:
            ImportError: pandas is not installed; `pip install "holdout[pandas]"`.
        """
        pandas = _pandas()
        names = self.columns()
        frame = pandas.DataFrame(list(self.rows()), columns=["job", "fit", "label", "epoch", *names])
        return frame.astype({"fit": "int64", "epoch": "int64", **dict.fromkeys(names, "float64")})


def _pandas() -> Any:
    try:
        import pandas as pd  # noqa: PLC0415  it is large, and who reads columns needs none of it
    except ImportError as error:
        raise ImportError('a frame needs pandas: pip install "holdout[pandas]"; Curves.rows() gives the same rows without it') from error
    return pd
