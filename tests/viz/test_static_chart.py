"""Figures as files: every label, the palette's colours, signs for what is no number, and nothing fetched."""

from __future__ import annotations

import re
import struct
from xml.etree import ElementTree

import numpy as np
import pytest

from model import Trace
from model.steps.head import head_steps
from viz.base import check_note, palette, static_chart, svg

ROWS, COLUMNS = ["the", "cat's", "a\\b", "猫"], ["<s>", "it's", "⏎", "the", "the"]
VALUES = np.linspace(0, 1, 20).reshape(4, 5)


def texts(svg: bytes) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(node.itertext()) for node in root.iter() if node.tag.endswith("}text")]


def test_every_word_of_a_file_is_in_the_typeface_of_the_app():
    """Also where signs are, which a plain "sans-serif" lacks: a renderer would set the whole line in a serif face."""
    chart = static_chart.heat_map(VALUES, ROWS, COLUMNS, titles=("query", "key", "weight"))
    stamped = check_note.stamped(".svg", static_chart.svg(chart), check_note.note("✓ 3.0·10⁻⁷ 注意", True))
    faces = [node.get("font-family") for node in ElementTree.fromstring(stamped).iter() if node.tag.endswith("}text")]
    assert len(faces) > 10 and set(faces) == {palette.FACE}
    drawn = svg.drawing([svg.text((9, 9), "q")], 20, 20, "a letter")
    assert ElementTree.fromstring(drawn).get("font-family") == palette.FACE


def test_signs_and_chinese_in_a_file_are_in_faces_that_have_them():
    """A renderer that lacks a sign takes any face for it, and one for Chinese sets · and ’ as wide as a character."""
    line = svg.text((9, 9), "▸ cat’s · A → 猫。 10⁻⁷ ✓ <&>")
    root = ElementTree.fromstring(svg.faced(svg.drawing([line], 200, 20, "猫")))
    (text,) = (node for node in root if node.tag.endswith("}text"))
    runs = [(text.text, palette.FACE)] if text.text else []
    for run in text:
        runs += [(run.text, run.get("font-family")), (run.tail, palette.FACE)]
    told = {
        face: "".join(part for part, own in runs if own == face)
        for face in (palette.FACE, palette.SIGNS, palette.CHINESE)
    }
    assert told == {palette.FACE: " cat’s · A   10  <&>", palette.SIGNS: "▸→⁻⁷✓", palette.CHINESE: "猫。"}
    assert "".join(text.itertext()) == "▸ cat’s · A → 猫。 10⁻⁷ ✓ <&>" and root.get("aria-label") == "猫"


def test_a_line_of_a_png_is_in_one_face_that_has_all_of_it():
    """The renderer replaces the face of a whole line, by any, where one sign of it is missing."""
    lines = [svg.text((9, 9), said) for said in ("▸ cat’s · A", "plain", "猫 · it’s")]
    root = ElementTree.fromstring(svg.whole_faces(svg.drawing(lines, 200, 20, "letters")))
    signed, plain, chinese = (node for node in root if node.tag.endswith("}text"))
    first = palette.SIGNS.partition(",")[0]
    assert root.get("font-family").startswith(first) and signed.get("font-family") is plain.get("font-family") is None
    assert chinese.get("font-family") == palette.CHINESE and chinese.text == "猫 ･ it's"
    assert signed.text == "▸ cat’s · A"
    latin = svg.drawing([svg.text((9, 9), "q · k’s")], 20, 20, "letters")
    assert svg.whole_faces(latin) == latin


def colours(svg: bytes) -> list[tuple[int, int, int]]:
    """The fills of the cells, in the order in which they were given."""
    cells = [node for node in ElementTree.fromstring(svg).iter() if "mark-rect role-mark" in node.get("class", "")]
    found = []
    for path in cells[0]:
        fill = path.get("fill", "")
        if fill.startswith("rgb"):
            found.append(tuple(map(int, re.findall(r"\d+", fill))))
        elif fill.startswith("#"):
            found.append(tuple(int(fill[i : i + 2], 16) for i in (1, 3, 5)))
    return found


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def test_the_svg_holds_every_label_and_fetches_nothing() -> None:
    made = static_chart.svg(static_chart.heat_map(VALUES, ROWS, COLUMNS, titles=("queries", "keys", "weight")))
    shown = texts(made)
    for label in {*ROWS, *COLUMNS, "queries", "keys", "weight"}:
        assert shown.count(label) >= (ROWS + COLUMNS).count(label), label
    # Names of XML's own vocabularies are addresses that nobody opens.
    outside = re.findall(rb"(?:href|src)\s*=\s*['\"](?!#)|url\((?!['\"]?#)|<script|<image|@import", made)
    assert not outside


@pytest.mark.parametrize("theme", palette.THEMES)
@pytest.mark.parametrize("low", [0.0, -1.0])
def test_the_cells_have_the_palettes_colours(theme: str, low: float) -> None:
    values = np.array([[low, 0.0, 0.5, 1.0]])
    scale = palette.diverging(theme) if low else palette.sequential(theme)
    made = static_chart.svg(static_chart.heat_map(values, ["q"], list("abcd"), low, 1.0, theme=theme))
    found = colours(made)
    assert len(found) == 4
    for got, value in zip(found, values[0], strict=True):
        expected = rgb(scale[round((value - low) / (1 - low) * (len(scale) - 1))])
        assert np.abs(np.subtract(got, expected)).max() <= 6, (value, got, expected)


def test_what_is_no_number_has_its_sign() -> None:
    values = np.array([[0.5, np.nan, 2.0, 0.1]])
    allowed = np.array([[True, True, True, False]])
    made = texts(static_chart.svg(static_chart.heat_map(values, ["q"], list("abcd"), allowed=allowed)))
    assert [made.count(sign) for sign in "?▴×"] == [1, 1, 1]
    plain = texts(static_chart.svg(static_chart.heat_map(VALUES, ROWS, COLUMNS)))
    assert not set("?▴×") & set(plain)


def test_the_png_is_one_and_has_its_size() -> None:
    chart = static_chart.heat_map(VALUES, ROWS, COLUMNS)
    root = ElementTree.fromstring(static_chart.svg(chart))
    width, height = (float(root.get(side)) for side in ("width", "height"))
    for scale in (1.0, 2.0):
        made = svg.png(static_chart.svg(chart).decode(), scale)
        assert made.startswith(b"\x89PNG\r\n\x1a\n")
        size = struct.unpack(">II", made[16:24])
        assert np.abs(np.subtract(size, (width * scale, height * scale))).max() <= 2


def test_every_step_is_a_figure_with_its_tokens(trace: Trace) -> None:
    names = {"query": trace.tokens("decoder"), "key": trace.tokens("encoder")}
    for step in head_steps(trace, "decoder.0.cross", 1, 1):
        chart = static_chart.step_map(step, names, (1, 2))
        domain = chart.to_dict()["layer"][0]["encoding"]["color"]["scale"]["domain"]
        weights = step.result.symbol in ("A", "A_iT")
        assert domain == [0, 1] if weights else domain[0] == -domain[1] < 0
        if step.key in ("softmax", "concat"):
            shown = texts(static_chart.svg(chart))
            axes = [axis for axis in (step.result.rows, step.result.columns) if axis in names]
            assert axes and all(token in shown for axis in axes for token in names[axis])


def test_the_largest_map_is_drawn() -> None:
    """128 × 128 cells are more rows than Altair writes unasked."""
    size = static_chart.LARGEST
    names = [str(i) for i in range(size)]
    chart = static_chart.heat_map(np.random.default_rng(0).random((size, size)), names, names)
    assert static_chart.svg(chart).count(b"<path") >= size * size
    assert svg.png(static_chart.svg(chart).decode(), 0.5).startswith(b"\x89PNG")


def test_maps_in_a_row_name_what_they_cut() -> None:
    wide = np.linspace(-2, 3, 3 * 200).reshape(3, 200)
    drawn = static_chart.svg(
        static_chart.in_a_row([("A", np.eye(3), list("abc"), None), ("C", wide, None, None)])
    ).decode()
    assert "C [0–2, 0–127]" in drawn and ">a<" in drawn
    nothing = static_chart.in_a_row([("S", np.full((2, 2), np.nan), None, None)])
    assert static_chart.svg(nothing).count(b"?") >= 4


def test_cells_with_room_carry_their_number_and_labels_stand_as_on_the_screen() -> None:
    values = np.array([[0.5, -0.25, 0.0], [-0.004, 0.123, np.nan]])
    allowed = np.array([[True, True, True], [True, False, True]])
    chart = static_chart.heat_map(values, ["a", "b"], ["x", "y", "z"], -0.5, 0.5, allowed)
    written = texts(static_chart.svg(chart))
    for shown in ("0.50", "−0.25", "0.00", "×", "?"):
        assert shown in written
    assert written.count("0.00") == 2 and "−0.00" not in written and "0.12" not in written  # the last is masked
    assert chart.to_dict()["layer"][0]["encoding"]["x"]["axis"]["labelAngle"] == 0
    long = static_chart.heat_map(VALUES, ROWS, ["a long token"] * 5).to_dict()
    assert long["layer"][0]["encoding"]["x"]["axis"]["labelAngle"] == -45
    many = static_chart.heat_map(np.zeros((60, 60)), ["a"] * 60, ["a long token"] * 60)
    assert many.to_dict()["layer"][0]["encoding"]["x"]["axis"]["labelAngle"] == -90
    assert len(many.layer) == 1  # cells of 9 px have no numbers
