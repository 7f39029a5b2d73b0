"""Ten files of different kinds, as people have them, for the commands of docs/uploads.md. The same bytes on every run.

python docs/uploads/make_files.py FOLDER

Rows come from what scikit-learn, statsmodels, palmerpenguins and seglearn ship (data/packages.py says where each is from);
the volumes are made by a formula, `solids` of data/generators.py, for no package ships any.
"""

import csv
import io
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy
from PIL import Image
from pyarrow import parquet
from sklearn import datasets

from data import generators, packages
from data.dataset import Array

SOLIDS = ("ball", "cube", "hollow ball", "cross")
WINE_HEADER = (
    "Alkohol", "Äpfelsäure", "Asche", "Alkalinität der Asche", "Magnesium", "Phenole", "Flavonoide", "Phenole ohne Flavonoide",
    "Proanthocyane", "Farbstärke", "Farbton", "OD280/OD315", "Prolin", "Rebsorte",
)  # fmt: skip


def write_csv(
    path: Path,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    delimiter: str = ",",
    decimal: str = ".",
    encoding: str = "utf-8",
) -> None:
    """Write a table; whole numbers without a point, NaN as NA."""

    def cell(value: object) -> str:
        if not isinstance(value, float):
            return str(value)
        return "NA" if np.isnan(value) else f"{value:.10g}".replace(".", decimal)

    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([cell(value) for value in row] for row in rows)


def write_zip(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write an archive whose bytes tell nothing of when or where it was made."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files:
            info = zipfile.ZipInfo(name)  # dated 1980
            info.create_system, info.external_attr, info.compress_type = 3, 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, content)


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write what numpy.savez_compressed writes, without the time of day."""

    def content(array: Array) -> bytes:
        out = io.BytesIO()
        npy.write_array(out, np.ascontiguousarray(array), allow_pickle=False)
        return out.getvalue()

    write_zip(path, ((f"{name}.npy", content(array)) for name, array in arrays.items()))


def iris(path: Path) -> None:
    """Write four lengths in cm, and words as classes."""
    found = datasets.load_iris()
    header = ("sepal_length", "sepal_width", "petal_length", "petal_width", "species")
    write_csv(path, header, ([*row, found.target_names[y]] for row, y in zip(found.data.tolist(), found.target, strict=True)))


def wine(path: Path) -> None:
    """Write a table as a German spreadsheet saves it: semicolons, decimal commas, a byte order mark, umlauts."""
    found = datasets.load_wine()
    rows = ([*row, f"Sorte {'ABC'[y]}"] for row, y in zip(found.data.tolist(), found.target, strict=True))
    write_csv(path, WINE_HEADER, rows, delimiter=";", decimal=",", encoding="utf-8-sig")


def breast_cancer(path: Path) -> None:
    """Write thirty measurements of cell nuclei as float64, and a diagnosis as a string."""
    found = datasets.load_breast_cancer()
    columns = {str(name): found.data[:, i] for i, name in enumerate(found.feature_names)}
    parquet.write_table(pa.table({**columns, "diagnosis": found.target_names[found.target]}), path)


def watch(path: Path) -> None:
    """Write signals x [1833, 6, 128], exercises as words, and the person who did them."""
    x, y, people = packages.watch()
    write_npz(path, {"x": x.astype(np.float32), "y": np.array(packages.WATCH_LABELS)[y], "person": people})


def solids(path: Path) -> None:
    """Write generated volumes x [400, 1, 12, 12, 12], and their shapes as words."""
    x, y = generators.solids(rows=400)
    write_npz(path, {"x": x.astype(np.float16), "y": np.array(SOLIDS)[y]})


def digits(path: Path) -> None:
    """Write gray PNG images of 8 x 8 pixels in a folder for each digit."""
    found = datasets.load_digits()

    def files() -> Iterable[tuple[str, bytes]]:
        for number, (image, y) in enumerate(zip(found.images, found.target.tolist(), strict=True), start=1):
            out = io.BytesIO()
            Image.fromarray(np.rint(image * 255 / 16).astype(np.uint8)).save(out, format="PNG")
            yield f"digits/{y}/{number:04}.png", out.getvalue()

    write_zip(path, files())


def penguins(path: Path) -> None:
    """Write measurements, islands and sexes with the gaps that they have: NA."""
    found = packages.penguins()

    def word(code: float, words: Sequence[str]) -> str:
        return "NA" if np.isnan(code) else words[int(code)]

    rows = (
        [packages.PENGUIN_SPECIES[species], word(island, packages.PENGUIN_ISLANDS), *numbers, word(sex, packages.PENGUIN_SEXES), year]
        for species, island, numbers, sex, year in zip(
            found.species, found.island, found.numbers.tolist(), found.sex, found.years, strict=True
        )
    )
    write_csv(path, ("species", "island", *packages.PENGUIN_NUMBERS, "sex", "year"), rows)


def penguins_by_bird(path: Path) -> None:
    """Write the complete rows, with the bird (or nest) that they are of: some were measured more than once."""
    found = packages.penguins()
    rows = (
        [f"bird {bird + 1}", packages.PENGUIN_SPECIES[species], *numbers, packages.PENGUIN_SEXES[int(sex)]]
        for bird, species, numbers, sex in zip(found.groups, found.species, found.numbers.tolist(), found.sex, strict=True)
        if not np.isnan([*numbers, sex]).any()
    )
    write_csv(path, ("bird", "species", *packages.PENGUIN_NUMBERS, "sex"), rows)


def sunspots(path: Path) -> None:
    """Write a year's number of sunspots and those of the eleven years before it, in no order of time."""
    x, y, years = packages.sunspots()
    order = np.random.default_rng(0).permutation(len(y))
    rows = ([int(years[i]), *x[i].tolist(), float(y[i])] for i in order)
    write_csv(path, ("year", *packages.SUNSPOT_FEATURES, "sunspots"), rows)


def diabetes(path: Path) -> None:
    """Write ten measurements of patients, and how far their illness had gone a year later: a number."""
    found = datasets.load_diabetes(scaled=False)
    write_csv(
        path, (*found.feature_names, "progression"), ([*x, y] for x, y in zip(found.data.tolist(), found.target.tolist(), strict=True))
    )


FILES = {
    "iris.csv": iris,
    "wine.csv": wine,
    "breast_cancer.parquet": breast_cancer,
    "diabetes.csv": diabetes,
    "penguins.csv": penguins,
    "penguins_by_bird.csv": penguins_by_bird,
    "sunspots.csv": sunspots,
    "digits.zip": digits,
    "watch.npz": watch,
    "solids.npz": solids,
}


def main() -> None:
    """Write all ten."""
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/uploads/make_files.py FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in FILES.items():
        write(folder / name)
        print(f"{(folder / name).stat().st_size:>10,} {folder / name}", flush=True)


if __name__ == "__main__":
    main()
