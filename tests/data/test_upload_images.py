"""Images in class folders: colors, depths, sizes, damaged ones, folders of parts."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.dataset import Array
from data.uploads.limits import UploadLimits
from tests.uploads import Taken, folders, gray, picture, refused, take, tarred, zipped

RGB = np.random.default_rng(0).integers(0, 256, (5, 3, 3), dtype=np.uint8)


def _both(content: bytes, kind: str = "png", **schema: Any) -> Taken:
    """Read an image beside a copy of it in another class."""
    return take(zipped({f"a/1.{kind}": content, f"b/1.{kind}": content}), **schema)


def _seen(content: bytes, channels: str = "RGB") -> Array:
    return np.moveaxis(np.asarray(Image.open(io.BytesIO(content)).convert(channels)), -1, 0)


def test_folders_are_classes_and_bytes_are_exact() -> None:
    taken = take(zipped({"dog/1.png": gray(1), "cat/1.png": gray(5), "dog/2.PNG": gray(9)}))
    info = taken.ingested.info
    assert (info.kind, info.task, info.input_shape, taken.labels, info.class_counts) == (
        "image",
        "classification",
        (1, 4, 3),
        ("cat", "dog"),
        (1, 2),
    )
    assert taken.y.tolist() == [1, 0, 1]
    assert taken.x.dtype == np.uint8
    assert [row[0, 0, 0] for row in taken.x] == [1, 5, 9]
    assert np.array_equal(taken.x[0, 0], (np.arange(12) + 1).reshape(4, 3))
    assert taken.ingested.x_unit == 255


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_rgb_is_exact_in_every_archive(pack: Any) -> None:
    taken = take(pack({"a/1.png": picture(RGB), "b/1.png": picture(RGB[::-1])}))
    assert np.array_equal(taken.x[0], np.moveaxis(RGB, -1, 0))
    assert np.array_equal(taken.x[1], np.moveaxis(RGB[::-1], -1, 0))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tars_of_every_packing_are_read_and_a_folder_given_as_a_dot_too(mode: str) -> None:
    taken = take(tarred({f"./{name}": content for name, content in folders().items()}, mode))
    assert taken.labels == ("cat", "dog")
    assert len(taken.x) == 4


def test_folders_named_by_numbers_are_in_order_of_size() -> None:
    taken = take(zipped({f"{label}/1.png": gray(label) for label in (10, 2, 1)}))
    assert taken.labels == ("1", "2", "10")
    assert [int(taken.labels[k]) for k in taken.y] == [row[0, 0, 0] for row in taken.x]


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("L", 1), ("RGB", 3), ("P", 3)])
def test_modes_without_transparency_keep_their_colors(mode: str, channels: int) -> None:
    content = picture(RGB, mode=mode)
    taken = _both(content)
    assert taken.ingested.info.input_shape == (channels, 5, 3)
    seen = _seen(content)
    assert np.array_equal(taken.x[0], seen if channels == 3 else seen[:1])


def test_a_gray_palette_is_gray() -> None:
    assert _both(picture(Image.fromarray(RGB[..., 0]).convert("P"))).ingested.info.input_shape == (1, 5, 3)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_transparency_is_blended_over_black_or_kept(mode: str) -> None:
    image = Image.fromarray(RGB).convert("RGBA")
    image.putalpha(128)
    if mode == "P":
        image = Image.fromarray(RGB).convert("P")
        content = picture(image, transparency=image.getpixel((0, 0)))
    else:
        content = picture(image, mode=mode)
    rgba = _seen(content, "RGBA").astype(np.float64)
    taken = _both(content)
    assert "transparency; it is blended over black" in taken.warnings
    assert np.abs(taken.x[0] - (rgba[:3] * rgba[3] / 255)[: len(taken.x[0])]).max() <= 1
    assert np.array_equal(_both(content, images={"channels": "rgba"}).x[0], rgba)


@pytest.mark.parametrize("mode", ["LA", "RGB", "L", "RGBA", "1", "I;16"])
@pytest.mark.parametrize("channels", ["gray", "rgb", "rgba"])
def test_channels_are_as_asked(mode: str, channels: str) -> None:
    image = Image.fromarray(np.arange(15, dtype=np.uint16).reshape(5, 3) * 4000) if mode == "I;16" else Image.fromarray(RGB).convert(mode)
    taken = _both(picture(image), images={"channels": channels})
    assert taken.x.shape[1] == {"gray": 1, "rgb": 3, "rgba": 4}[channels]


def test_gray_of_16_bits_keeps_its_depth_and_is_not_mixed_up_with_8() -> None:
    deep = np.arange(12, dtype=np.uint16).reshape(4, 3) * 5000 + 7
    taken = take(zipped({"a/1.png": picture(deep), "b/1.png": gray(3)}))
    assert taken.x.dtype == np.uint16
    assert np.array_equal(taken.x[0, 0], deep)
    assert np.array_equal(taken.x[1, 0], (np.arange(12) + 3).reshape(4, 3) * 257)
    assert taken.ingested.x_unit == 65535
    shallow = _both(picture(deep), images={"channels": "rgb"})
    assert np.array_equal(shallow.x[0, 0], deep >> 8)
    assert "16 bits" in shallow.warnings


def test_cmyk_jpegs_are_read_as_colors() -> None:
    content = picture(RGB, "JPEG", "CMYK")
    assert np.array_equal(_both(content, "jpg").x[0], _seen(content))


@pytest.mark.parametrize("turn", range(1, 9))
def test_jpegs_are_turned_as_cameras_say(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    pixels = np.repeat(np.repeat(RGB, 8, axis=0), 8, axis=1)
    content = picture(pixels, "JPEG", quality=95, exif=exif)
    taken = _both(content, "jpg")
    expected = [lambda p: p, np.fliplr, lambda p: np.rot90(p, 2), np.flipud, lambda p: p.transpose(1, 0, 2), lambda p: np.rot90(p, -1),
                lambda p: np.rot90(p, 2).transpose(1, 0, 2), np.rot90][turn - 1](np.asarray(Image.open(io.BytesIO(content))))  # fmt: skip
    assert np.array_equal(np.moveaxis(taken.x[0], 0, -1), expected)


def test_damaged_metadata_does_not_spoil_pixels() -> None:
    content = picture(
        np.repeat(np.repeat(RGB, 8, axis=0), 8, axis=1), "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff\x12\x01\x03"
    )
    assert take(zipped({"a/1.jpg": content, "b/1.jpg": content})).x.shape == (2, 3, 40, 24)


def test_several_sizes_are_refused_with_what_to_do_or_brought_to_one() -> None:
    files = {"a/1.png": gray(), "b/1.png": gray(height=6), "b/2.png": gray(height=6)}
    problem = refused(zipped(files))
    assert (problem.code, problem.pointer) == ("several_sizes", "/images/size")
    assert "6 x 3 (2), 4 x 3 (1)" in str(problem)
    assert take(zipped(files), images={"size": [7, 5]}).x.shape == (3, 1, 7, 5)
    flat = {name: picture(np.full((height, 9), 201, np.uint8)) for name, height in (("a/1.png", 4), ("b/1.png", 8))}
    assert set(take(zipped(flat), images={"size": [3, 3]}).x.reshape(-1).tolist()) == {201}


def _bomb(width: int, height: int) -> bytes:
    """Claim a size in the header of a PNG file of a few bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + gray()[33:]


def test_pixels_are_counted_before_anything_is_decoded() -> None:
    problem = refused(zipped({"a/1.png": gray(), "b/bomb.png": _bomb(100_000, 100_000)}))
    assert problem.code == "too_many_pixels"
    assert "'b/bomb.png'" in str(problem)
    assert refused(zipped(folders()), UploadLimits(max_image_pixels=11)).code == "too_many_pixels"
    assert (
        refused(zipped(folders()), images={"size": [4096, 4096], "channels": "rgb"}, limits=UploadLimits(max_values=1000)).pointer
        == "/images/size"
    )
    assert refused(zipped(folders()), UploadLimits(max_row_values=11)).pointer == "/images/size"


def test_images_that_cannot_be_decoded_are_refused_by_name_or_left_out_with_their_number() -> None:
    """B114: skipped ones are counted, and the rows that stay are the right ones."""
    jpeg = picture(np.repeat(np.repeat(RGB[..., 0], 20, axis=0), 20, axis=1), "JPEG")
    whole = picture(np.repeat(np.repeat(RGB[..., 0], 20, axis=0), 20, axis=1))
    files = {
        "a/1.png": whole, "a/cut.png": whole[: len(whole) // 2], "a/cut.jpg": jpeg[: len(jpeg) // 2], "a/text.png": b"no image", "a/none.jpg": b"",
        "b/1.jpg": jpeg, "b/2.png": picture(np.full((100, 60), 9, np.uint8)),
    }  # fmt: skip
    problem = refused(zipped(files))
    assert problem.code == "broken_images"
    assert all(f"'a/{name}'" in str(problem) for name in ("cut.png", "cut.jpg", "text.png", "none.jpg"))
    assert str(problem).startswith("4 images")
    taken = take(zipped(files), images={"broken": "skip"})
    assert "4 images that cannot be decoded were left out" in taken.warnings
    assert (taken.ingested.info.num_rows, taken.y.tolist()) == (3, [0, 1, 1])
    assert np.array_equal(taken.x[0, 0], np.repeat(np.repeat(RGB[..., 0], 20, axis=0), 20, axis=1))
    assert set(taken.x[2].reshape(-1).tolist()) == {9}
    assert taken.ingested.profile.facts["broken"] == ["'a/cut.png'", "'a/cut.jpg'", "'a/text.png'", "'a/none.jpg'"]


def test_a_broken_image_is_not_mistaken_for_a_whole_one_of_its_name() -> None:
    """B114."""
    content = tarred({"a/1.png": b"broken", "b/1.png": gray(4)}, "w")
    more = tarred({"a/1.png": gray(2), "b/2.png": gray(6)}, "w")
    joined = content[: -len(content) + 1024 * 2] + more  # each has a header block and a data block per file
    taken = take(joined, images={"broken": "skip"})
    assert [row[0, 0, 0] for row in taken.x] == [4, 2, 6]
    assert taken.y.tolist() == [1, 0, 1]


def test_other_files_are_left_out_with_a_warning_and_hidden_ones_without() -> None:
    others = {"readme.txt": b"x", "a/notes.csv": b"1,2", "a/.DS_Store": b"x", "__MACOSX/a/._1.png": b"x", ".git/1.png": b"x"}
    taken = take(zipped({**others, "a/1.png": gray(), "b/1.png": gray()}))
    assert "2 files that are no PNG or JPEG were left out, the first 'readme.txt'" in taken.warnings
    assert len(taken.x) == 2


def test_images_without_a_folder_or_all_in_one_are_refused() -> None:
    """B111."""
    assert refused(zipped({"1.png": gray(), "a/2.png": gray()})).code == "no_class_folder"
    assert refused(zipped({"./1.png": gray(), "a/2.png": gray()})).code == "no_class_folder"
    problem = refused(zipped({"a/1.png": gray(), "a/2.png": gray()}))
    assert problem.code == "single_class"
    assert "'a'" in str(problem)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_images_are_refused(count: int) -> None:
    assert refused(zipped({f"a/{i}.png": gray() for i in range(count)})).code == "too_few_rows"
    assert refused(zipped({"table.csv": b"a,y\n1,p\n"})).code == "too_few_rows"


@pytest.mark.parametrize("top", ["", "data/"])
def test_folders_of_parts_are_the_datasets_own_division(top: str) -> None:
    places = [("train", "a"), ("train", "b"), ("Valid", "a"), ("test", "b")]
    taken = take(zipped({f"{top}{part}/{label}/{i}.png": gray(i) for i, (part, label) in enumerate(places)}))
    assert taken.labels == ("a", "b")
    assert taken.arrays["parts"].tolist() == [0, 0, 1, 2]
    assert taken.ingested.info.predefined_rows == {"train": 2, "val": 1, "test": 1}


def test_folders_named_as_parts_that_are_classes_stay_classes() -> None:
    assert take(zipped({"train/1.png": gray(), "test/1.png": gray()})).labels == ("test", "train")


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"target": "y"}, "/target"),
        ({"features": ["x"]}, "/features"),
        ({"csv": {"header": False}}, "/csv"),
        ({"task": "regression"}, "/task"),
        ({"unit": "m"}, "/unit"),
    ],
)
def test_what_says_nothing_of_images_is_pointed_at(schema: dict[str, Any], pointer: str) -> None:
    assert refused(zipped(folders()), **schema).pointer == pointer


def test_what_was_found_out_can_be_sent_again() -> None:
    content = zipped(folders())
    taken = take(content)
    assert taken.ingested.spec.images.size == (4, 3)
    assert take(content, **taken.ingested.spec.model_dump(mode="json")).ingested.spec == taken.ingested.spec
