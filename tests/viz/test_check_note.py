"""Files with their check: the numbers are the same to the bit, the words are read by what anyone opens the file with."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from viz.base import check_note, export, palette, static_chart, svg
from viz.base.check_note import CheckNote, note, stamped

HOLDS = note("✓ 3.1·10⁻⁷ off the module’s own output", True)
FAILS = note("✗ does not check: encoder 1 · self-attention is 0.31 off the module’s own output", False)
UNCHECKED = note("not checked")
NOTES = pytest.mark.parametrize("check", [HOLDS, FAILS, UNCHECKED], ids=["holds", "fails", "unchecked"])
ODD = ["a,b", 'a"b', "line\nend", "喜欢", "", 'two\n"lines"\n']
VALUES = np.random.default_rng(0).random((6, 6)).astype(np.float32)


def test_there_is_one_way_out_of_the_app() -> None:
    """Every download passes the footer, and so `stamped`."""
    root = Path(__file__).parents[2]
    texts = {path: path.read_text("utf-8") for folder in ("viz", "pages") for path in (root / folder).rglob("*.py")}
    assert [path.name for path, text in texts.items() if "download_button(" in text] == ["figure_footer.py"]
    footer = next(text for path, text in texts.items() if path.name == "figure_footer.py")
    assert footer.count("_download(") == 2 and "data, pictures = made(" in footer


def test_a_kind_of_file_that_nobody_thought_of_is_not_written() -> None:
    for file in ("a.parquet", "a.html", "a.tsv", "a.json", "a.zip", "a"):
        with pytest.raises(KeyError):
            stamped(file, b"", HOLDS)
        with pytest.raises(KeyError):
            stamped(file, b"", None)


@NOTES
def test_a_table_gains_a_column_and_loses_nothing(check: CheckNote) -> None:
    plain = export.matrix_csv(VALUES, ODD, ODD)
    made = stamped("m.csv", plain, check)
    before, after = (list(csv.reader(io.StringIO(d.decode("utf-8-sig"), newline=""))) for d in (plain, made))
    assert [row[:-1] for row in after] == before
    assert [row[-1] for row in after] == ["check", *[check.text] * len(ODD)]
    table = pd.read_csv(io.BytesIO(made), encoding="utf-8-sig", keep_default_na=False)
    np.testing.assert_array_equal(table.iloc[:, 2:-1].to_numpy(np.float32), VALUES)
    assert set(table["check"]) == {check.text}


def test_a_note_with_the_signs_of_a_table_stays_one_cell() -> None:
    odd = note('off by 3, "here"; 模块', False)
    table = pd.read_csv(io.BytesIO(stamped("m.csv", export.table_csv(pd.DataFrame({"x": [1, 2]})), odd)))
    assert list(table["check"]) == [odd.text] * 2 and list(table.iloc[:, 0]) == [1, 2]


@NOTES
def test_arrays_gain_one_and_need_no_pickle(check: CheckNote) -> None:
    for plain in (
        export.npz(weights=VALUES, tokens=ODD),
        export.rows_npz({"weights": ((6, 6), np.float32, [(slice(0, 6), VALUES)])}),
    ):
        with np.load(io.BytesIO(stamped("m.npz", plain, check)), allow_pickle=False) as arrays:
            np.testing.assert_array_equal(arrays["weights"], VALUES)
            assert str(arrays["check"]) == check.text


def drawn(wide: int) -> bytes:
    names = [str(i) for i in range(wide)]
    return static_chart.svg(static_chart.heat_map(np.eye(wide), names, names))


DRAWING = svg.drawing([svg.text((40, 20), "x")], 300, 40, "a drawing").encode()


@NOTES
@pytest.mark.parametrize("plain", [drawn(2), drawn(40), DRAWING], ids=["narrow", "wide", "drawing"])
def test_a_picture_gains_a_line_below_it_in_its_colour(plain: bytes, check: CheckNote) -> None:
    before, after = (ElementTree.fromstring(data) for data in (plain, stamped(".svg", plain, check)))
    old, new = ([float(n) for n in root.get("viewBox").split()] for root in (before, after))
    (line,) = (node for node in after.iter() if node.get("class") == "check")
    assert "".join(line.itertext()).replace(" ", "") == check.text.replace(" ", "")
    assert line.get("fill") == (palette.ERROR if check is FAILS else palette.QUIET)
    # Below the picture, inside the page, and nothing of the picture is moved.
    assert all(old[3] < float(span.get("y")) < new[3] for span in line) and new[:2] == old[:2] and new[2] >= old[2]
    if before.get("width", "%")[-1] != "%":
        assert [float(after.get(side)) for side in ("width", "height")] == new[2:]
    assert len(list(after)) == len(list(before)) + 1


def test_a_saved_picture_is_red_where_it_fails_and_nowhere_else() -> None:
    """Pixels of the PNG: its line alone has the colour of an error."""
    from PIL import Image

    red = np.array([int(palette.ERROR[i : i + 2], 16) for i in (1, 3, 5)])
    for check, expected in ((FAILS, True), (HOLDS, False), (UNCHECKED, False)):
        picture = svg.png(stamped(".svg", drawn(8), check).decode(), 2)
        pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
        near = (np.abs(pixels - red).max(-1) < 40).any(1)
        assert near.any() == expected
        assert not near[: svg_height(drawn(8)) * 2].any()


def svg_height(data: bytes) -> int:
    return int(float(ElementTree.fromstring(data).get("height")))


def test_chinese_wraps_between_signs_and_not_before_a_comma() -> None:
    text = "✗ 校验不通过：编码器 1 层自注意力与模块自身输出相差 0.31，" * 3
    lines = check_note._wrapped(text, 200)
    assert len(lines) > 3 and "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert not any(line[0] in "，：" for line in lines)
    assert all(check_note._letters(line) * 11 <= 211 for line in lines)


def test_notes_are_joined_and_one_that_fails_is_enough() -> None:
    both = HOLDS + FAILS
    assert both.fails and not (HOLDS + UNCHECKED).fails
    assert both.text == f"{HOLDS.text} · {FAILS.text}"
    assert both.markdown == f"{HOLDS.text} · :red[{FAILS.text}]"


def test_a_picture_names_what_it_is_of_on_a_line_of_its_own():
    picture = b'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="100" viewBox="0 0 300 100"></svg>'
    check = check_note.note("off by 1", False)
    found = ElementTree.fromstring(check_note.stamped(".svg", picture, check, "A model · the <cat>"))
    lines = {node.get("class"): ("".join(node.itertext()), node.get("fill")) for node in found}
    assert lines["source"] == ("A model · the <cat>", palette.QUIET)
    assert lines["check"] == (check.text, palette.ERROR)
    assert float(found.get("height")) > float(
        ElementTree.fromstring(check_note.stamped(".svg", picture, check)).get("height")
    )
