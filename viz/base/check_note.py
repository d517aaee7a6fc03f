"""How a figure checks, in words, and every kind of file with those words in it.

`stamped` is what every download passes: a file of a kind that is not listed there is not written.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import numpy as np

from viz.base import palette

COLUMN = "check"  # of a table; the name of the array too
_SIZE, _LEADING, _MARGIN = 11.0, 15.0, 6.0  # of the line under a picture, px
_NARROWEST = 240.0


@dataclass(frozen=True)
class Check:
    """One check in a sentence. holds: None where nothing was measured."""

    said: str
    holds: bool | None = None


@dataclass(frozen=True)
class CheckNote:
    """Every check that a figure stands by, the most important first."""

    parts: tuple[Check, ...]

    def __add__(self, other: CheckNote) -> CheckNote:
        return CheckNote(self.parts + other.parts)

    @property
    def fails(self) -> bool:
        return any(part.holds is False for part in self.parts)

    @property
    def text(self) -> str:
        return " · ".join(part.said for part in self.parts)

    @property
    def markdown(self) -> str:
        """The same for a page, what fails in red."""
        return " · ".join(f":red[{part.said}]" if part.holds is False else part.said for part in self.parts)


def note(said: str, holds: bool | None = None) -> CheckNote:
    """A figure with one check."""
    return CheckNote((Check(said, holds),))


def stamped(file: str, data: bytes, check: CheckNote | None, source: str = "") -> bytes:
    """The file with its check in words: a column of a table, an array of an npz, a line under a picture.

    file: its name, which says its kind. check: None of a file that is of no run. source: what a picture is of, a line before.
    Raises KeyError for a kind that is not known.
    """
    stamp = KINDS[file.rsplit(".", 1)[-1]]
    if check is None:
        return data
    return _svg(data, check, source) if stamp is _svg else stamp(data, check)


def _csv(data: bytes, check: CheckNote) -> bytes:
    """A last column, the same in every row; rows end at a line feed outside quotes."""
    ends = [_cell(COLUMN), _cell(check.text)]
    made, open_quote, row = bytearray(), False, 0
    for line in data.split(b"\n")[:-1]:
        made += line
        open_quote ^= line.count(b'"') % 2 == 1
        if not open_quote:
            made += ends[min(row, 1)]
            row += 1
        made += b"\n"
    return bytes(made)


def _cell(text: str) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow(["", text])
    return written.getvalue().encode("utf-8")


def _npz(data: bytes, check: CheckNote) -> bytes:
    buffer = io.BytesIO(data)
    with (
        zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as files,
        files.open(f"{COLUMN}.npy", "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array(file, np.asarray(check.text), allow_pickle=False)
    return buffer.getvalue()


def _svg(data: bytes, check: CheckNote, source: str = "") -> bytes:
    """The picture with a line below it, wrapped to its width: quiet where it holds, red where it fails."""
    picture = data.decode("utf-8")
    opening = re.search(r"<svg\b[^>]*>", picture)
    if opening is None:
        raise ValueError("not an SVG picture")
    x, y, wide, high = (float(n) for n in re.search(r'viewBox="([^"]+)"', opening[0])[1].split())
    room = max(wide, _NARROWEST) - 2 * _MARGIN
    titles = _wrapped(source, room) if source else []
    lines = [*titles, *_wrapped(check.text, room)]
    width = max([wide, *(_letters(line) * _SIZE + 2 * _MARGIN for line in lines)])
    height = high + len(lines) * _LEADING + 1.5 * _MARGIN
    root = opening[0].replace(
        re.search(r'viewBox="[^"]+"', opening[0])[0], f'viewBox="{x:g} {y:g} {width:g} {height:g}"'
    )
    for side, size in (("width", width), ("height", height)):  # those in %, of a drawing, stay
        root = re.sub(rf' {side}="[0-9.]+"', f' {side}="{size:g}"', root, count=1)
    root = root.replace(f"max-width:{wide:g}px", f"max-width:{width:g}px")
    spans = [
        f'<tspan x="{x + _MARGIN:g}" y="{y + high + _LEADING + place * _LEADING:g}">{_signed(line, x + _MARGIN)}</tspan>'
        for place, line in enumerate(lines)
    ]
    told = ""
    for name, some, colour in (
        ("source", spans[: len(titles)], palette.QUIET),
        ("check", spans[len(titles) :], palette.ERROR if check.fails else palette.QUIET),
    ):
        how = f'font-family="{palette.FACE}" font-size="{_SIZE:g}" text-anchor="start" fill="{colour}"'
        told += f'<text class="{name}" {how}>{"".join(some)}</text>' if some else ""
    inside = picture[opening.end() : picture.rindex("</svg>")]
    # A chart's page is a rectangle of its own size.
    inside = re.sub(
        rf'^<rect width="{wide:g}" height="{high:g}"', f'<rect width="{width:g}" height="{height:g}"', inside, count=1
    )
    return f"{picture[: opening.start()]}{root}{inside}{told}</svg>".encode()


def _wrapped(text: str, width: float) -> list[str]:
    """Lines of up to `width` px, broken between words, and in Chinese between any two signs."""
    lines = [""]
    for word in re.findall(r"[\u2e80-\uffef]|[^\s\u2e80-\uffef]+\s*|\s+", text):
        if lines[-1] and _letters(lines[-1] + word.rstrip()) * _SIZE > width and word not in "，。；：、）":
            lines.append("")
        lines[-1] += word
    return [line.rstrip() for line in lines]


def _letters(text: str) -> float:
    """How wide a text is about, in em."""
    return sum(1.0 if ord(letter) > 0x2E7F else 0.55 for letter in text)


def _signed(line: str, x: float) -> str:
    """A sign at the beginning of a line stands apart: few fonts have it, and the words after it keep theirs."""
    sign, words = re.fullmatch(r"([✓✗] )?(.*)", line).groups(default="")
    return f'{sign}<tspan x="{x + 1.2 * _SIZE:g}">{escape(words)}</tspan>' if sign else escape(words)


def _checks_itself(data: bytes, _: CheckNote) -> bytes:
    """A saved trace holds what was recorded and is checked anew when it is opened."""
    return data


# PNG is drawn from the SVG that is stamped already (`svg.png`).
KINDS: dict[str, Callable[[bytes, CheckNote], bytes]] = {
    "csv": _csv, "npz": _npz, "svg": _svg, "safetensors": _checks_itself,
}  # fmt: skip
