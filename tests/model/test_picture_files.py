"""Picture files of every kind read, and what is none refused in a sentence."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.checkpoints.media.pictures import Picture, read_picture, sample_picture
from model.errors import PictureTooLarge, UnreadablePicture


def random_picture(height: int, width: int, seed: int = 0) -> Picture:
    shape = (height, width, 3)
    return Picture(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    with io.BytesIO() as file:
        image.save(file, form, **options)
        return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "BMP", "GIF", "WEBP", "JPEG"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "1"])
def test_every_format_and_mode_gives_rgb(form: str, mode: str):
    image = Image.fromarray(sample_picture(40).rgb).convert(mode)
    if form == "JPEG":
        image = image.convert("L" if mode in "1P" else "RGB")
    found = read_picture(encoded(image, form))
    assert found.rgb.shape == (40, 40, 3) and found.rgb.dtype == np.uint8
    if form in ("PNG", "BMP"):
        np.testing.assert_array_equal(found.rgb, np.asarray(image.convert("RGB")))


def test_a_palette_with_transparency_and_sixteen_bits():
    image = Image.fromarray(sample_picture(12).rgb).convert("P")
    assert read_picture(encoded(image, transparency=bytes(range(200)))).rgb.shape == (12, 12, 3)
    grey = (np.arange(12, dtype=np.uint16) * 5000).reshape(3, 4)
    found = read_picture(encoded(Image.fromarray(grey)))
    np.testing.assert_array_equal(found.rgb[..., 1], grey // 256)


def test_a_picture_lies_as_its_camera_says(tmp_path: Path):
    image = Image.fromarray(random_picture(4, 6).rgb)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter clockwise
    file = tmp_path / "turned.png"
    file.write_bytes(encoded(image, exif=exif))
    found = read_picture(file)
    np.testing.assert_array_equal(found.rgb, np.rot90(random_picture(4, 6).rgb, -1))
    assert found.name == "turned.png"


@pytest.mark.parametrize("data", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n", encoded(Image.new("RGB", (9, 9)))[:48]])
def test_what_is_no_picture_is_refused(data: bytes):
    with pytest.raises(UnreadablePicture, match=r"cannot be read .*: give a PNG"):
        read_picture(data)


def test_a_missing_file_says_so(tmp_path: Path):
    with pytest.raises(UnreadablePicture, match=r"no\.png cannot be read \(there is no such file"):
        read_picture(tmp_path / "no.png")


def header(width: int, height: int) -> bytes:
    """A PNG whose header claims a size, with next to nothing behind it."""
    small = encoded(Image.new("1", (1, 1)))
    claim = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + small[24:29]
    return small[:12] + claim + zlib.crc32(claim).to_bytes(4, "big") + small[33:]


@pytest.mark.parametrize(("side", "got"), [(7_072, "50"), (10_000, "more than 89"), (60_000, "more than 89")])
def test_a_small_file_that_unfolds_is_refused_unopened(side: int, got: str):
    with pytest.raises(PictureTooLarge, match=f"has {got} million pixels, and at most 50 million"):
        read_picture(header(side, side))


def test_the_sample_is_the_same_each_time():
    assert sample_picture().digest == sample_picture().digest != sample_picture(100).digest
    assert sample_picture().rgb.shape == (224, 224, 3)
    assert len(np.unique(sample_picture().rgb.reshape(-1, 3), axis=0)) == 5
