"""Under every figure: its data and, where there is one to save, the figure; every file is made and none is empty."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

from tests.app.visit import PAGES
from viz.base import export
from viz.ui.block.page import PANELS
from viz.ui.generation.page import WAYS
from viz.ui.masks.mistakes import MISTAKES
from viz.ui.shared import figure_footer
from viz.ui.variants.switches import SWITCHES

TABS = {
    "masks": [f"mistake.{name}" for name in MISTAKES],
    "block": [f"block.{name}" for name in PANELS],
    "generation": [f"generation.{name}" for name in WAYS],
    "variants": [f"variants.{name}" for name in SWITCHES],
    "positions": [f"positions.{name}" for name in ("sinusoidal", "relative", "t5", "alibi", "rotary", "none")],
}
# Tables and drawings: the first have no figure, the second have theirs among their data.
NO_CHART = ("masks-finite", "families", "encoder_decoder-architecture", "encoder_decoder-shift", "generation-ranking")
DRAWINGS = ("families-tree", "encoder_decoder-architecture")
PAGES_WITH_FEET = [page for page in PAGES if page not in ("models", "model_card")]


def feet_of(visit, monkeypatch: pytest.MonkeyPatch, page: str, tab: str) -> dict[str, tuple]:
    """The feet of a page as they were asked for: name -> (files, figure)."""
    seen: dict[str, tuple] = {}
    real = figure_footer.draw

    def draw(name, sentence, badge, files, figure=None, code=()):
        from viz.base import static_chart

        made = {file: make() for file, make in figure_footer._both(files()).items()}
        seen[name] = (made, None if figure is None else static_chart.svg(figure()))
        real(name, sentence, badge, files, figure, code)

    monkeypatch.setattr(figure_footer, "draw", draw)
    visit(page, text="the cat sat on the mat", site="encoder.1.self", head=2, q=1, k=2, tab=tab).sound()
    return seen


def reads_back(name: str, data: bytes, written: dict[bytes, tuple[int, int]]) -> None:
    """A CSV: UTF-8 that spreadsheets know as such, lines ended by a line feed alone, a header, rows as long as it, and for
    pandas a table of the shape that was written."""
    assert data.startswith(b"\xef\xbb\xbf") and data.count(b"\xef\xbb\xbf") == 1, name
    text = data.decode("utf-8-sig")
    assert "\r" not in text and text.endswith("\n"), name
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert all(header) and rows and {len(row) for row in rows} == {len(header)}, name
    table = pd.read_csv(io.BytesIO(data), encoding="utf-8-sig", keep_default_na=False)
    assert table.shape == (len(rows), len(header)), name
    # The weights of a whole run are the tables of its sites, one after the other.
    parts = [data] if data in written else [piece for piece in written if piece in data]
    assert table.shape == (sum(written[piece][0] for piece in parts), written[parts[0]][1]), name


@pytest.mark.parametrize(("page", "tab"), [(page, tab) for page in PAGES_WITH_FEET for tab in TABS.get(page, [""])])
def test_every_file_under_a_figure_is_made(visit, monkeypatch, page: str, tab: str) -> None:
    written: dict[bytes, tuple[int, int]] = {}
    write = export.table_csv

    def table_csv(frame: pd.DataFrame, begins: bool = True) -> bytes:
        data = write(frame, begins)
        written[data] = frame.shape
        return data

    monkeypatch.setattr(export, "table_csv", table_csv)
    seen = feet_of(visit, monkeypatch, page, tab)
    assert seen, f"no figure on {page}"
    for name, (files, drawn) in seen.items():
        assert files and all(len(data) > 20 for data in files.values()), name
        assert drawn is not None or name.startswith(NO_CHART), f"{name} has no figure to save"
        for file, data in files.items():
            if file.endswith(".csv"):
                reads_back(f"{name}: {file}", data, written)
        kinds = {file.rsplit(".", 1)[-1] for file in files}
        assert {"csv", "npz"} <= kinds or name in DRAWINGS, f"{name} lacks a table or arrays"
        assert drawn is None or b"<svg" in drawn[:200], name
