"""Under every figure: its data and, where there is one to save, the figure; every file is made and none is empty."""

from __future__ import annotations

import pytest

from tests.app.visit import PAGES
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
    real = figure_footer.foot

    def foot(name, sentence, badge, files, figure=None, code=()):
        from viz.base import static_chart

        made = {file: make() for file, make in figure_footer._both(files()).items()}
        seen[name] = (made, None if figure is None else static_chart.svg(figure()))
        real(name, sentence, badge, files, figure, code)

    monkeypatch.setattr(figure_footer, "foot", foot)
    visit(page, text="the cat sat on the mat", site="encoder.1.self", head=2, q=1, k=2, tab=tab).sound()
    return seen


@pytest.mark.parametrize(("page", "tab"), [(page, tab) for page in PAGES_WITH_FEET for tab in TABS.get(page, [""])])
def test_every_file_under_a_figure_is_made(visit, monkeypatch, page: str, tab: str) -> None:
    seen = feet_of(visit, monkeypatch, page, tab)
    assert seen, f"no figure on {page}"
    for name, (files, drawn) in seen.items():
        assert files and all(len(data) > 20 for data in files.values()), name
        assert drawn is not None or name.startswith(NO_CHART), f"{name} has no figure to save"
        kinds = {file.rsplit(".", 1)[-1] for file in files}
        assert {"csv", "npz"} <= kinds or name in DRAWINGS, f"{name} lacks a table or arrays"
        assert drawn is None or b"<svg" in drawn[:200], name
