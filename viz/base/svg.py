"""Small drawings as SVG text: boxes, words and arrows, in the text colour of whatever page or file shows them."""

from __future__ import annotations

import math
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

from viz.base import palette

Point = tuple[float, float]
INK = "currentColor"


def drawing(parts: Iterable[str], width: float, height: float, alt: str) -> str:
    """The whole picture, as wide as its column up to `width` pixels; `alt` is what a screen reader says."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="100%" role="img" '
        f'aria-label="{escape(alt, quote=True)}" style="max-width:{width:g}px" font-size="13" '
        f'font-family="{palette.FACE}">'
    )
    return f"{head}<title>{escape(alt)}</title>{''.join(parts)}</svg>"


def image(picture: str, theme: str, scrolls: bool = False) -> str:
    """HTML that shows the drawing in a theme's text colour; an HTML sanitiser leaves an image where it takes SVG out.

    scrolls: a wide drawing keeps its size, in a strip that scrolls, instead of shrinking to its column.
    """
    wide = picture.split('viewBox="0 0 ', 1)[1].split(" ", 1)[0]
    alt = picture.split('aria-label="', 1)[1].split('"', 1)[0]
    inked = picture.replace(INK, palette.THEMES[theme]["text"]).replace('width="100%"', f'width="{wide}"', 1)
    source = b64encode(inked.encode("utf-8")).decode("ascii")
    style = f"width:{wide}px;max-width:{'none' if scrolls else '100%'};height:auto;display:block"
    shown = f'<img alt="{alt}" src="data:image/svg+xml;base64,{source}" style="{style}">'
    return f'<div style="overflow-x:auto">{shown}</div>' if scrolls else shown


# Signs that Latin faces lack, and what is written in Chinese, its marks included.
_CHINESE = r"[\u2e80-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef]+"
_RUNS = re.compile(rf"(?P<signs>[\u2190-\u2bff\u2070-\u208e]+)|(?P<chinese>{_CHINESE})")
_FACES = {"signs": palette.SIGNS, "chinese": palette.CHINESE}


def png(picture: str, scale: float = 2.0) -> bytes:
    """A picture as a PNG file of `scale` pixels for each of its own, on the light page."""
    import vl_convert

    return vl_convert.svg_to_png(whole_faces(picture), scale=scale)


def whole_faces(picture: str) -> str:
    """The picture with one face for each text. The renderer of PNG sets a whole line in any face that has a sign which its own
    lacks, a serif one too: where there are signs every text is in a face that has Latin and them, and a text with Chinese in
    a Chinese one, whose wide · and ’ give way to narrow ones."""
    if not _RUNS.search("".join(re.findall(r">([^<]+)<", picture))):
        return picture

    def chinese(found: re.Match) -> str:
        if not re.search(_CHINESE, "".join(re.findall(r">([^<]+)<", found[0]))):
            return found[0]
        own = re.sub(r'font-family="[^"]*"', "", found[0]).replace("<text", f'<text font-family="{palette.CHINESE}"', 1)
        return re.sub(r">[^<]+<", lambda part: part[0].replace("·", "･").replace("’", "'"), own)

    signed = picture.replace(palette.FACE, f"{palette.SIGNS.removesuffix(', sans-serif')}, {palette.FACE}")
    return re.sub(r"<text\b.*?</text>", chinese, signed, flags=re.DOTALL)


def faced(picture: str) -> str:
    """The picture with signs and Chinese inside its texts as runs of their own, in faces that have them."""

    def run(found: re.Match) -> str:
        return f'<tspan font-family="{_FACES[found.lastgroup]}">{found[0]}</tspan>'

    def inside(found: re.Match) -> str:
        return re.sub(r">[^<]+<", lambda part: _RUNS.sub(run, part[0]), found[0])

    return re.sub(r"<text\b.*?</text>", inside, picture, flags=re.DOTALL)


def text(
    at: Point, said: str, size: float = 13, anchor: str = "middle", colour: str = INK, weight: int = 400,
    opacity: float = 1.0,
) -> str:  # fmt: skip
    """One line of text whose middle is at `at`."""
    return (
        f'<text x="{at[0]:g}" y="{at[1] + size * 0.35:g}" font-size="{size:g}" text-anchor="{anchor}" fill="{colour}" '
        f'font-weight="{weight}" opacity="{opacity:g}">{escape(said)}</text>'
    )


def box(
    corner: Point, size: Point, colour: str = INK, fill: float = 0.0, dashed: bool = False, width: float = 1.2
) -> str:
    """A rounded box; `fill` is how opaque its inside is, in its own colour."""
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<rect x="{corner[0]:g}" y="{corner[1]:g}" width="{size[0]:g}" height="{size[1]:g}" rx="8" fill="{colour}" '
        f'fill-opacity="{fill:g}" stroke="{colour}" stroke-opacity="{0.4 if dashed else 0.9:g}" '
        f'stroke-width="{width:g}"{dash}/>'
    )


def arrow(points: Sequence[Point], colour: str = INK, width: float = 1.6, dashed: bool = False) -> str:
    """A line through `points` with a head at its end."""
    (x0, y0), (x1, y1) = points[-2:]
    angle, size = math.atan2(y1 - y0, x1 - x0), 4 + 2 * width
    ends = [(x1 - size * math.cos(angle + turn), y1 - size * math.sin(angle + turn)) for turn in (0.42, -0.42)]
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    line = " ".join(f"{x:g},{y:g}" for x, y in points)
    head = " ".join(f"{x:.1f},{y:.1f}" for x, y in ((x1, y1), *ends))
    return (
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dash}/>'
        f'<polygon points="{head}" fill="{colour}"/>'
    )
