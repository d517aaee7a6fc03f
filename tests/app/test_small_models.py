"""Where the opened model lacks a kind of positions, a small one that has it is made at a press, and the same part shows it."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("kind", "name", "figure"),
    [
        ("learned", "gpt2", "positions-learned"),
        ("relative", "shaw", "positions-vectors"),
        ("t5", "t5", None),
        ("alibi", "bloom", None),
        ("rotary", "llama", "positions-places"),
    ],
)
def test_a_small_model_has_the_positions_that_were_lacking(visit, tmp_path, monkeypatch, kind, name, figure) -> None:
    from model.checkpoints.random_models import make

    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    seen = visit("positions", text="the cat sat on the mat", tab=f"positions.{kind}").sound()
    assert seen.say(f"positions.{kind}_none") in [info.value for info in seen.at.info]
    seen.click(f"positions-open-{kind}")
    assert seen.view.model == str(make.folder(name)) and seen.link["tab"] == f"positions.{kind}"
    assert not seen.at.exception
    assert seen.say(f"positions.{kind}_none") not in [info.value for info in seen.at.info]
    assert not [b for b in seen.at.button if b.key == f"positions-open-{kind}"]
    assert figure is None or any(each.startswith(figure) for each in seen.figures()), seen.figures()
