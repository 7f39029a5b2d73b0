"""Images in class folders: looked at once to learn their sizes and colors, then decoded one by one into rows."""

import io
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from data.counting import counted
from data.dataset import Array, DatasetInfo, part_sizes
from data.quiet import QUIET
from data.uploads.archives import Packed, files_in
from data.uploads.ingested import Ingested, Profile
from data.uploads.limits import UploadLimits
from data.uploads.problems import UploadProblem, shown
from data.uploads.spec import UploadSpec
from data.uploads.table import PARTS
from data.uploads.target import check_classes, class_order, class_warnings
from data.uploads.writing import RowFile

Channels = Literal["gray", "rgb", "rgba"]
_NUMBER: dict[Channels, int] = {"gray": 1, "rgb": 3, "rgba": 4}
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
_GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_TURNED = frozenset({5, 6, 7, 8})
_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    ArithmeticError,
    RuntimeError,
    NameError,
    MemoryError,
    EOFError,
    struct.error,
    zlib.error,
    UnidentifiedImageError,
)
"""What Pillow raises on files that are damaged."""
Image.MAX_IMAGE_PIXELS = None  # pixels are counted below, against a published limit, before anything is decoded


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What an image's header says: size [height, width] as it is to be seen, and colors."""

    position: int
    path: str
    size: tuple[int, int]
    is_gray: bool
    has_alpha: bool
    is_deep: bool
    loses_depth: bool


def ingest_images(file: BinaryIO, spec: UploadSpec, folder: Path, limits: UploadLimits, warnings: list[str], content_hash: str) -> Ingested:
    """Decode an archive of images in class folders into `folder`. Top folders train, val and test are the dataset's own division.

    Raises:
        UploadProblem: the archive or an image is damaged or too large, or the images cannot become rows of one shape.
    """
    looks, broken = _looked_at(file, spec, limits, warnings)
    _check_fields(spec)
    places = _places([look.path for look in looks])
    names = sorted({label for _, label in places})
    labels = tuple(names[i] for i in class_order(names))
    if len(labels) == 1:
        message = f"all images lie in one folder, {shown(labels[0])}: folders are classes, and at least 2 are needed"
        raise UploadProblem(message, code="single_class")
    check_classes(len(labels), limits)
    size, channels, is_deep = _common(looks, spec, limits, warnings)
    writer = RowFile(folder / "x.npy", len(looks), (_NUMBER[channels], *size), np.dtype(np.uint16 if is_deep else np.uint8))
    expected = iter(looks)
    with writer as rows:
        upcoming = next(expected, None)
        for position, packed in enumerate(_image_files(file, limits)):
            if upcoming is None or position != upcoming.position:  # passed over as broken
                continue
            rows.append(_pixels(packed, size, channels, is_deep=is_deep)[np.newaxis])
            upcoming = next(expected, None)
    number = {label: i for i, label in enumerate(labels)}
    y = np.array([number[label] for _, label in places], dtype=np.int64)
    counts = tuple(np.bincount(y, minlength=len(labels)).tolist())
    warnings.extend(class_warnings(labels, counts))
    files = {"x": folder / "x.npy", "y": folder / "y.npy"}
    np.save(files["y"], y, allow_pickle=False)
    parts = None
    if places[0][0] is not None:
        parts = np.array([part for part, _ in places], dtype=np.int8)
        files["parts"] = folder / "parts.npy"
        np.save(files["parts"], parts, allow_pickle=False)
    info = DatasetInfo(
        id="",
        title=spec.name or "",
        kind="image",
        task="classification",
        input_shape=(_NUMBER[channels], *size),
        num_rows=len(looks),
        num_classes=len(labels),
        class_labels=labels,
        class_counts=counts,
        feature_names=None,
        target_name="folder",
        target_unit=None,
        licence=spec.licence or "",
        source="uploaded",
        description=spec.description or "",
        predefined_rows=part_sizes(parts),
        content_hash=content_hash,
    )
    sizes = Counter(f"{look.size[0]} x {look.size[1]}" for look in looks)
    facts = {
        "channels": channels,
        "bits": 16 if is_deep else 8,
        "sizes": dict(sizes.most_common(20)),
        "broken": [shown(name) for name in broken[:100]],
    }
    resolved = spec.model_copy(
        update={"task": "classification", "images": spec.images.model_copy(update={"size": size, "channels": channels})}
    )
    profile = Profile(num_rows=len(looks), columns=(), num_duplicate_rows=None, warnings=tuple(warnings), facts=facts)
    return Ingested(info=info, spec=resolved, profile=profile, files=files, x_unit=65535.0 if is_deep else 255.0)


def _check_fields(spec: UploadSpec) -> None:
    for field in ("target", "features", "group", "time", "split", "columns", "csv", "unit"):
        if getattr(spec, field) != getattr(UploadSpec(), field):
            raise UploadProblem(
                f"{field} says nothing of images, whose folders are their classes: leave it out", code="does_not_apply", pointer=f"/{field}"
            )
    if spec.task == "regression":
        raise UploadProblem("images in folders are classes", code="does_not_apply", pointer="/task")


def _image_files(file: BinaryIO, limits: UploadLimits) -> Iterator[Packed]:
    return (packed for packed in files_in(file, limits) if packed.name.lower().endswith(IMAGE_SUFFIXES))


def _looked_at(file: BinaryIO, spec: UploadSpec, limits: UploadLimits, warnings: list[str]) -> tuple[list[_Look], list[str]]:
    """Read every header and decode every image once, so that what is broken is known before anything is written."""
    looks: list[_Look] = []
    broken: list[str] = []
    others: list[str] = []
    for packed in files_in(file, limits):
        if not packed.name.lower().endswith(IMAGE_SUFFIXES):
            others.append(packed.name)
            continue
        try:
            with QUIET:  # damaged metadata is Pillow's to warn of; pixels are what counts
                looks.append(_look(packed, len(looks) + len(broken), limits))
        except _BROKEN as error:
            if isinstance(error, UploadProblem):
                raise
            broken.append(packed.name)
    if broken and spec.images.broken == "reject":
        listed = ", ".join(shown(name) for name in broken[:10]) + (f" and {len(broken) - 10} more" if len(broken) > 10 else "")
        message = f"{counted(len(broken), 'image')} cannot be decoded: {listed}; mend or remove them, or set images.broken to skip"
        raise UploadProblem(message, code="broken_images")
    if broken:
        warnings.append(
            f"{counted(len(broken), 'image that cannot be decoded was', 'images that cannot be decoded were')} left out, the first {shown(broken[0])}"
        )
    if others:
        warnings.append(f"{len(others)} files that are no PNG or JPEG were left out, the first {shown(others[0])}")
    if len(looks) < 2:
        message = f"the archive has {len(looks)} PNG or JPEG images; at least 2 are needed (tables are sent as they are, not packed)"
        raise UploadProblem(message, code="too_few_rows")
    if len(looks) > limits.max_rows:
        raise UploadProblem(f"{len(looks)} images are more than the {limits.max_rows} allowed", code="too_many_rows")
    return looks, broken


def _look(packed: Packed, position: int, limits: UploadLimits) -> _Look:
    with _opened(packed) as image:
        width, height = image.size
        if width * height > limits.max_image_pixels:
            message = f"{shown(packed.name)} has {width} x {height} pixels, more than the {limits.max_image_pixels} allowed"
            raise UploadProblem(message, code="too_many_pixels")
        depth = packed.content[24] if image.format == "PNG" and len(packed.content) > 24 else 8
        is_gray = image.mode in _GRAY_MODES or image.mode.startswith("I;16")
        if image.getexif().get(0x0112) in _TURNED:
            width, height = height, width
        image.load()
        _in_channels(ImageOps.exif_transpose(image), "rgba")  # whatever can fail later fails now
        is_gray = is_gray or (image.mode in {"P", "PA"} and _has_gray_palette(image))
        has_alpha = image.mode in _ALPHA_MODES or "transparency" in image.info
        return _Look(
            position=position,
            path=packed.name,
            size=(height, width),
            is_gray=is_gray,
            has_alpha=has_alpha,
            is_deep=is_gray and depth == 16 and not has_alpha,
            loses_depth=depth == 16 and (not is_gray or has_alpha),
        )


def _opened(packed: Packed) -> Image.Image:
    return Image.open(io.BytesIO(packed.content), formats=("PNG", "JPEG"))


def _has_gray_palette(image: Image.Image) -> bool:
    palette = np.frombuffer(image.convert("RGB").tobytes(), dtype=np.uint8).reshape(-1, 3)
    return bool((palette[:, 0] == palette[:, 1]).all() and (palette[:, 1] == palette[:, 2]).all())


def _places(paths: list[str]) -> list[tuple[int | None, str]]:
    """Give each image's part, if the archive has folders of parts, and its class: the folder it lies in."""
    folders = [[part for part in path.replace("\\", "/").split("/") if part.strip() and part != "."][:-1] for path in paths]
    for path, folder in zip(paths, folders, strict=True):
        if not folder:
            message = f"{shown(path)} lies in no folder: every image's folder is its class"
            raise UploadProblem(message, code="no_class_folder")
        if len(folder[-1]) > 200 or not folder[-1].isprintable() or folder[-1] == "..":
            raise UploadProblem(f"the folder of {shown(path)} cannot name a class", code="bad_class_name")
    for depth in (0, 1):
        heads = {folder[depth].lower() if len(folder) > depth + 1 else "" for folder in folders}
        if heads <= PARTS.keys() and "train" in {head.removesuffix("ing") for head in heads} and len(heads) > 1:
            return [(PARTS[folder[depth].lower()], folder[-1]) for folder in folders]
    return [(None, folder[-1]) for folder in folders]


def _common(looks: list[_Look], spec: UploadSpec, limits: UploadLimits, warnings: list[str]) -> tuple[tuple[int, int], Channels, bool]:
    """Choose one size, one set of channels and one depth for all."""
    sizes = Counter(look.size for look in looks)
    if spec.images.size is None and len(sizes) > 1:
        listed = ", ".join(f"{height} x {width} ({count})" for (height, width), count in sizes.most_common(5))
        message = f"the images are of {len(sizes)} sizes, height x width: {listed}; say in images.size which all are brought to"
        raise UploadProblem(message, code="several_sizes", pointer="/images/size")
    size = spec.images.size or looks[0].size
    channels: Channels = spec.images.channels or ("gray" if all(look.is_gray for look in looks) else "rgb")
    if channels != "rgba" and any(look.has_alpha for look in looks):
        warnings.append(
            f"{counted(sum(look.has_alpha for look in looks), 'image has', 'images have')} transparency; it is blended over black"
        )
    if spec.images.channels == "gray" and not all(look.is_gray for look in looks):
        warnings.append(f"{counted(sum(not look.is_gray for look in looks), 'color image is', 'color images are')} turned gray")
    is_deep = channels == "gray" and any(look.is_deep for look in looks)
    if any(look.loses_depth for look in looks) or (channels != "gray" and any(look.is_deep for look in looks)):
        warnings.append("images of 16 bits with color or transparency are read with 8 bits")
    if _NUMBER[channels] * size[0] * size[1] > limits.max_row_values:
        message = f"an image of {_NUMBER[channels]} x {size[0]} x {size[1]} is more than the {limits.max_row_values} numbers allowed"
        raise UploadProblem(f"{message}: set a smaller images.size", code="too_large", pointer="/images/size")
    if len(looks) * _NUMBER[channels] * size[0] * size[1] > limits.max_values:
        message = (
            f"{len(looks)} images of {_NUMBER[channels]} x {size[0]} x {size[1]} are more than the {limits.max_values} numbers allowed"
        )
        raise UploadProblem(f"{message}: set a smaller images.size", code="too_large", pointer="/images/size")
    return size, channels, is_deep


def _pixels(packed: Packed, size: tuple[int, int], channels: Channels, *, is_deep: bool) -> Array:
    """Decode an image as [C, H, W]."""
    try:
        with QUIET, _opened(packed) as opened:
            image = ImageOps.exif_transpose(opened)
            if is_deep:
                return _deep(image, size)[np.newaxis]
            image = _in_channels(image, channels)
            if (image.height, image.width) != size:
                image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            pixels = np.asarray(image, dtype=np.uint8)
    except _BROKEN as error:
        raise UploadProblem(f"{shown(packed.name)} cannot be decoded", code="broken_images") from error
    return pixels[np.newaxis] if channels == "gray" else np.moveaxis(pixels, -1, 0)


def _in_channels(image: Image.Image, channels: Channels) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if channels == "rgba":
        return image.convert("RGBA")
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        whole = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", whole.size, (0, 0, 0, 255)), whole).convert("RGB")
    return image.convert("L" if channels == "gray" else "RGB")


def _deep(image: Image.Image, size: tuple[int, int]) -> Array:
    """Decode a gray image with 16 bits; one of 8 bits is spread over them."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        pixels = np.asarray(image).astype(np.float32)
    else:
        pixels = np.asarray(_in_channels(image, "gray")).astype(np.float32) * 257
    if pixels.shape != size:
        pixels = np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BILINEAR))
    return np.clip(np.rint(pixels), 0, 65535).astype(np.uint16)
