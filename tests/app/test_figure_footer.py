"""Under every figure: its data and, where there is one to save, the figure; every file is made, none is empty, each says how it
checks."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import streamlit

from tests.app.visit import PAGES
from viz.base import check_note, export
from viz.ui import language
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
# Tables without a figure, and drawings without a table.
NO_CHART = ("evaluate-numbers", "masks-finite", "families-table", "generation-ranking", "generation-draw")
DRAWINGS = ("families-tree", "encoder_decoder-architecture")
# Of no run: formulas, the weights themselves, lists.
NO_RUN = {
    "evaluate-numbers", "evaluate-worst", "families-tree", "families-table", "variants-random",
    "positions-table", "positions-products", "positions-curves",
    "positions-learned", "positions-offsets", "positions-vectors", "positions-buckets", "positions-alibi", "train-schedule",
}  # fmt: skip
ALL = ("csv", "npz", "svg", "png", "safetensors")
# A PNG is drawn from the SVG, by the same code under every figure: these are of each kind of figure that there is.
PNG = ("overview", "heads", "measures", "steps")
CURRENT = language.current  # the fixture `visit` answers for it outside of a session
PAGES_WITH_FEET = [page for page in PAGES if page not in ("models", "model_card")]


def feet_of(
    visit,
    monkeypatch: pytest.MonkeyPatch,
    page: str,
    tab: str,
    sound: bool = True,
    kinds: tuple[str, ...] = ALL,
    **told: object,
) -> dict[str, tuple[check_note.CheckNote | None, dict[str, bytes]]]:
    """The feet of a page as they were asked for: name -> (its check, its files). kinds: of these the files are made, the others
    are empty. They are made as the server makes them: when the page has run, where there is no session to ask."""
    offered: dict[str, tuple] = {}
    real = figure_footer.draw

    def draw(name, sentence, check, files, figure=None, code=()):
        data, pictures = figure_footer.made(name, check, files, figure)
        offered[name] = check, data | pictures
        real(name, sentence, check, files, figure, code)

    with monkeypatch.context() as patched:
        patched.setattr(figure_footer, "draw", draw)
        asked = {"text": "the cat sat on the mat", "site": "encoder.1.self", "head": 2, "q": 1, "k": 2, "tab": tab}
        seen_page = visit(page, straight=True, **asked | told)
        if sound:
            seen_page.sound()
        assert not seen_page.at.exception, seen_page.at.exception[0].value
    with monkeypatch.context() as patched:
        for name in ("session_state", "context"):
            patched.setattr(streamlit, name, Nobody())
        patched.setattr(language, "current", CURRENT)
        return {
            name: (check, {file: make() if file.endswith(kinds) else b"" for file, make in files.items()})
            for name, (check, files) in offered.items()
        }


class Nobody:
    """What a thread of the server that makes a file finds in the place of a session."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"a file asks the session for {name}")

    __getitem__ = __contains__ = __getattr__


def reads_back(name: str, data: bytes, shapes: set[tuple[int, int]], checked: bool) -> None:
    """A CSV: UTF-8 that spreadsheets know as such, lines ended by a line feed alone, a header, rows as long as it, and for
    pandas a table of a shape that was written."""
    assert data.startswith(b"\xef\xbb\xbf") and data.count(b"\xef\xbb\xbf") == 1, name
    text = data.decode("utf-8-sig")
    assert "\r" not in text and text.endswith("\n"), name
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert all(header) and rows and {len(row) for row in rows} == {len(header)}, name
    table = pd.read_csv(io.BytesIO(data), encoding="utf-8-sig", keep_default_na=False)
    assert table.shape == (len(rows), len(header)), name
    assert (len(rows), len(header) - checked) in shapes, name


def says(file: str, data: bytes) -> set[str]:
    """What a file says of its check, read by what anyone would open it with; none where it says nothing."""
    kind = file.rsplit(".", 1)[-1]
    if kind == "csv":
        table = pd.read_csv(io.BytesIO(data), encoding="utf-8-sig", keep_default_na=False)
        return set(table["check"]) if "check" in table else set()
    if kind == "npz":
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {str(arrays["check"])} if "check" in arrays else set()
    lines = [node for node in ElementTree.fromstring(data).iter() if node.get("class") == "check"]
    return {"".join(line.itertext()) for line in lines}


def colour_of(data: bytes) -> str:
    (line,) = (node for node in ElementTree.fromstring(data).iter() if node.get("class") == "check")
    return line.get("fill")


def hold_to(check: check_note.CheckNote | None, files: dict[str, bytes]) -> None:
    """Every file says the check in words, a picture in its colour; of every kind there is, none goes unasked."""
    for file, data in files.items():
        kind = file.rsplit(".", 1)[-1]
        assert kind in {"csv", "npz", "svg", "png", "safetensors"}, f"what does a .{kind} say of its check?"
        if kind not in ("png", "safetensors") and data:  # drawn from the SVG; checked anew when it is opened
            assert {"".join(said.split()) for said in says(file, data)} == (
                {"".join(check.text.split())} if check else set()
            ), file
        if kind == "svg" and check and data:
            assert colour_of(data) == (check_note.palette.ERROR if check.fails else check_note.palette.QUIET), file


@pytest.mark.parametrize(("page", "tab"), [(page, tab) for page in PAGES_WITH_FEET for tab in TABS.get(page, [""])])
def test_every_file_under_a_figure_is_made(visit, monkeypatch, page: str, tab: str) -> None:
    shapes: list[tuple[int, int]] = []
    write = export.table_csv

    def table_csv(frame: pd.DataFrame, begins: bool = True) -> bytes:
        # The weights of a whole run are the tables of its sites, one after the other.
        shapes.append(frame.shape if begins else (shapes[-1][0] + len(frame), frame.shape[1]))
        return write(frame, begins)

    monkeypatch.setattr(export, "table_csv", table_csv)
    made = ALL if page in PNG else tuple(kind for kind in ALL if kind != "png")
    seen = feet_of(visit, monkeypatch, page, tab, kinds=made)
    assert seen, f"no figure on {page}"
    for name, (check, files) in seen.items():
        assert files and all(len(data) > 20 for file, data in files.items() if file.endswith(made)), name
        kinds = {file.rsplit(".", 1)[-1] for file in files}
        assert {"svg", "png"} <= kinds or name.startswith(NO_CHART), f"{name} has no figure to save"
        assert {"csv", "npz"} <= kinds or name in DRAWINGS, f"{name} lacks a table or arrays"
        assert (check is None) == (name in NO_RUN), f"{name}: says nothing of how it checks"
        hold_to(check, files)
        for file, data in files.items():
            if file.endswith(".csv"):
                reads_back(f"{name}: {file}", data, set(shapes), check is not None)
            if file.endswith(".npz"):
                with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                    assert all(arrays[each].dtype.kind in "biufU" for each in arrays.files), f"{name}: {file}"


def test_logits_that_were_not_compared_are_said_to_be_so(visit, monkeypatch) -> None:
    from viz.ui.state import memory_budget, model_cache

    kept = memory_budget.MemoryBudget(2**30)
    monkeypatch.setattr(memory_budget, "shared", lambda: kept)
    seen = visit("heads").sound()
    said = seen.say("foot.logits_open")
    assert not any(said in caption.value for caption in seen.at.caption)
    kept.empty()
    monkeypatch.setattr(model_cache, "_COMPARED", 3)  # tokens
    assert any(said in caption.value for caption in visit("heads").sound().at.caption)
