"""Pictures as files: read whole and upright, or refused in a sentence; one is drawn here."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import PictureTooLarge, UnreadablePicture
from model.files.regular import no_file

MAX_MILLION = 50  # pixels that are read: 150 MB as RGB, more than any phone's camera makes
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # none of them runs another program, as Pillow's EPS does


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as read: rgb uint8 [H, W, 3], upright."""

    rgb: np.ndarray
    name: str = "picture"

    @cached_property
    def digest(self) -> str:
        """16 hex digits of its size and pixels."""
        size = "×".join(map(str, self.rgb.shape)).encode()
        return hashlib.sha256(size + np.ascontiguousarray(self.rgb).tobytes()).hexdigest()[:16]


def read_picture(data: bytes | Path, name: str = "picture") -> Picture:
    """Read an encoded picture; of an animation its first frame. name: what errors call bytes.

    Raises UnreadablePicture or PictureTooLarge.
    """
    from PIL import Image, ImageOps

    name = data.name if isinstance(data, Path) else name
    if isinstance(data, Path) and (reason := no_file(data)):
        raise UnreadablePicture(name=name, reason=reason)
    try:
        source = data if isinstance(data, Path) else io.BytesIO(data)
        with Image.open(source, formats=_FORMATS) as image:
            # The header alone says the size: a small file may unfold to gigabytes.
            if image.width * image.height > MAX_MILLION * 1_000_000:
                got = f"{image.width * image.height / 1e6:.0f}"
                raise PictureTooLarge(name=name, got=got, allowed=MAX_MILLION)
            return Picture(_rgb(ImageOps.exif_transpose(image)), name)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        got = f"more than {(Image.MAX_IMAGE_PIXELS or 0) // 10**6}"
        raise PictureTooLarge(name=name, got=got, allowed=MAX_MILLION) from error
    except PictureTooLarge:
        raise
    except Image.UnidentifiedImageError as error:
        raise UnreadablePicture(name=name, reason="its content is of no known format") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "it is truncated or damaged"
        raise UnreadablePicture(name=name, reason=reason) from error


def _rgb(image: Any) -> np.ndarray:
    if image.mode.startswith("I;16"):  # Pillow would cut 16-bit greys off at 255
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode == "P":  # a palette's transparency has no meaning in RGB; through RGBA it goes without a warning
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


def sample_picture(size: int = 224) -> Picture:
    """A red disc, a green square and a blue triangle on a pale ground, drawn here."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (size, size), (236, 232, 220))
    draw, unit = ImageDraw.Draw(image), size / 16
    draw.rectangle([0, 13 * unit, size, size], fill=(170, 150, 120))
    draw.ellipse([1 * unit, 2 * unit, 6 * unit, 7 * unit], fill=(210, 50, 45))
    draw.rectangle([9 * unit, 2 * unit, 14 * unit, 7 * unit], fill=(60, 150, 80))
    draw.polygon([(8 * unit, 7 * unit), (3 * unit, 14 * unit), (13 * unit, 14 * unit)], fill=(50, 90, 190))
    return Picture(np.array(image), "shapes")
