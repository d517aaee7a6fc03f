"""Every slider, switch and list of a page comes back with its link; what a link cannot mean is said."""

from __future__ import annotations

import pytest

from tests.app.visit import APP, Visit
from viz.ui.variants.switches import SWITCHES

TRANSLATE = {"text": "the cat sat on the mat", "to": "fr"}
CASES = [
    ("positions", {"tab": "positions.sinusoidal"}),
    ("positions", {"tab": "positions.none"}),
    ("positions", {"tab": "positions.t5"}),
    ("masks", {"tab": "masks.padding"}),
    ("masks", {"tab": "masks.window", "site": "decoder.1.self"}),
    ("encoder_decoder", {}),
    *(("variants", {"tab": f"variants.{name}", "site": "decoder.1.self"}) for name in SWITCHES if name != "heads"),
    *(("block", {"tab": f"block.{name}"}) for name in ("stream", "norm", "units", "activations")),
    *(("generation", {"tab": f"generation.{name}"}) for name in ("greedy", "beams", "sampling", "cache")),
    ("output", {}),
    ("by_hand", {}),
    ("measures", {}),
    ("comparing", {"tab": "comparing.pairs"}),
]  # fmt: skip


# What the lists offer whose options AppTest gives as they are written on the screen.
_OPTIONS = {
    "positions-base": [10, 100], "positions-dims": [[0, 3]], "positions-order": ["shifted"], "variants-scale": ["root"],
    "variants-d_k": [16], "variants-groups": [1, 2, 4], "generation-pair": ["top_k"], "hand-row": [0, 1], "output-at": [0, 1],
    "hand-column": [0, 2], "train-rate": [1e-3],
}  # fmt: skip


def controls(seen: Visit) -> dict[str, object]:
    """The page's own controls by key."""
    drawn = seen.at.session_state["dials_drawn"]
    kinds = ("slider", "select_slider", "toggle", "selectbox", "number_input", "multiselect", "button_group")
    return {widget.key: widget for kind in kinds for widget in seen.at.get(kind) if widget.key in drawn}


def values(seen: Visit) -> dict[str, object]:
    return {
        key: pytest.approx(v) if isinstance(v := seen.at.session_state[key], float) else v for key in controls(seen)
    }


def another(seen: Visit, key: str) -> object:
    """A value that this control may have and has not; None where it has one only."""
    widget, now = controls(seen)[key], seen.at.session_state[key]
    if widget.type in ("checkbox", "toggle"):
        return not now
    if widget.type in ("slider", "number_input"):
        step = widget.step or 1
        return now - step if now - step >= widget.min else now + step if now + step <= widget.max else None
    options = _OPTIONS.get(key.split("@")[0]) or list(widget.options)
    return next((option for option in options if option != now), None)


@pytest.mark.parametrize(("page", "link"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_the_link_brings_every_control_back(visit, page, link) -> None:
    seen = visit(page, **TRANSLATE, **link).sound()
    begun = list(controls(seen))
    assert "set" not in seen.link and begun
    for key in begun:
        if key in controls(seen) and (other := another(seen, key)) is not None:  # one may take another away
            seen.at.session_state[key] = other
            seen.at.run()
    # The step of a greedy text is the app's selection, which the link has of its own.
    assert "set" in seen.link or link == {"tab": "generation.greedy"}
    again = visit(page, **seen.link).sound()
    assert {key: again.at.session_state[key] for key in controls(again)} == values(seen)
    assert again.link == seen.link


@pytest.mark.parametrize(
    ("page", "link", "said"),
    [
        ("masks", {"tab": "masks.padding", "set": "masks-real.99"}, "masks-real = 99"),
        ("positions", {"tab": "positions.sinusoidal", "set": "positions-base.7"}, "positions-base = 7"),
        ("positions", {"tab": "positions.sinusoidal", "set": "positions-dims.0_999"}, "positions-dims = 0_999"),
        ("encoder_decoder", {"set": "encoder_decoder-mean.yes"}, "encoder_decoder-mean = yes"),
        ("generation", {"tab": "generation.beams", "set": "generation-beams.2.5"}, "generation-beams = 2.5"),
    ],
)
def test_what_a_link_cannot_mean_is_said_once(visit, page, link, said) -> None:
    seen = visit(page, **TRANSLATE, **link)
    assert said in seen.complaint()
    seen.at.run()
    seen.sound()


def test_another_link_puts_back_what_it_does_not_name(visit) -> None:
    seen = visit("generation", **TRANSLATE, tab="generation.beams", set="generation-beams.5~generation-alpha.0.5")
    before = seen.link
    assert (seen.at.session_state["generation-alpha"], seen.at.slider(key="generation-beams").value) == (0.5, 5)
    seen.at.query_params.clear()
    seen.at.query_params.update({name: value for name, value in before.items() if name != "set"})
    seen.at.run()
    assert (seen.at.session_state["generation-alpha"], seen.at.slider(key="generation-beams").value) == (1.0, 3)


def test_what_nobody_moved_follows_the_selection(visit) -> None:
    seen = visit("generation", **TRANSLATE, tab="generation.greedy", site="decoder.1.self", q=2, k=0)
    assert "set" not in seen.link
    seen.at.slider(key=next(s.key for s in seen.at.slider if s.key.startswith("generation-step"))).set_value(2).run()
    assert seen.view.row == 1 and "set" not in seen.link


def test_no_page_keeps_a_control_that_the_link_does_not_know() -> None:
    ui = APP.parent / "viz" / "ui"
    sources = {path.relative_to(ui).as_posix(): path.read_text(encoding="utf-8") for path in ui.rglob("*.py")}
    assert {name for name, text in sources.items() if "persist_state" in text} == {"state/page_controls.py"}
