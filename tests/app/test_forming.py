"""The page Forming: every step's weights in one frame, the step by link, curves and their change, two steps, no history."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from model import history, open_model
from model.forming.over_steps import over_steps, table
from model.training.train import train
from tests.app.acting import pick
from tests.app.visit import Visit
from viz.atlas import atlas
from viz.ui.state import model_list

SIZES = {"d_model": 8, "heads": 2, "train_size": 200, "evaluate_every": 100, "average": 0.0, "snapshots": 8}
TEXT = "qwertqwert"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("forming") / "induction"
    train("induction", path, steps=20, peak=0.05, warmup=1, **SIZES)
    return path


def open_page(folder: Path, **link: object) -> Visit:
    return Visit("forming", straight=True, model=str(folder), text=TEXT, **link)


def test_the_frame_has_every_steps_own_weights(folder: Path) -> None:
    seen = open_page(folder, site="decoder.1.self", head=1).sound()
    told, arrays = seen.figure("forming-matrix")
    steps = history(folder)
    assert told["steps"] == steps and told["at"] == steps[-1]
    for place, step in enumerate(steps):
        trace = open_model(folder, step=step).trace(TEXT)
        assert np.allclose(arrays["values"][place], trace.weights("decoder.1.self", 1).numpy(), atol=1e-6)
        likeliest = [trace.vocabulary[i] for i in np.asarray(trace.logits).argmax(-1)]
        read = trace.side("decoder").texts
        assert told["rows_at"][place] == [f"{a} ▸ {b}" for a, b in zip(read, likeliest, strict=True)]
    assert len({tuple(names) for names in told["rows_at"]}) > 1  # each step would write otherwise
    assert told["row_title"] == seen.say("forming.query")
    line = next(one.value for one in seen.at.markdown if " ← " in one.value)
    assert "▸" not in line and "**" not in line  # no step's weight, and no step's word, stands still above the slider
    assert np.ptp(arrays["values"], axis=0).max() > 0.01
    assert (arrays["state"][:, 0, 1:] == 1).all()  # the first token sees itself alone


def test_the_step_of_the_link_is_shown_and_stays_in_it(folder: Path) -> None:
    step = history(folder)[2]
    seen = open_page(folder, set=f"forming-step.{step}").sound()
    assert seen.figure("forming-matrix")[0]["at"] == step
    assert f"forming-step.{step}" in seen.link["set"]
    seen = open_page(folder, set="forming-step.7777")
    assert "forming-step" in seen.complaint() and seen.figure("forming-matrix")[0]["at"] == history(folder)[-1]


def lines_of(seen: Visit) -> dict[tuple[str, int, int], float]:
    """(site, head, step) -> value, of what the chart was given."""
    import pyarrow as pa

    (chart,) = seen.at.get("vega_lite_chart")
    tables = [pa.ipc.open_stream(each.data.data).read_pandas() for each in chart.proto.datasets]
    rows = next(each for each in tables if "chosen" in each)
    return {(row.site, row.head, row.step): row.value for row in rows.itertuples()}


@pytest.mark.parametrize("measure", ["previous", "entropy"])
def test_the_curves_are_the_measures_of_each_step(folder: Path, measure: str) -> None:
    seen = open_page(folder, set=f"forming-measure.{measure}").sound()
    known = table(over_steps(folder, TEXT))
    wanted = {(row.site, row.head, row.step): getattr(row, measure) for row in known.itertuples()}
    found = lines_of(seen)
    assert found.keys() == wanted.keys()
    assert all(found[key] == pytest.approx(value, abs=1e-6) for key, value in wanted.items())


def test_every_head_at_the_step_of_the_slider_and_a_press_selects(folder: Path) -> None:
    step = history(folder)[1]
    seen = open_page(folder, site="decoder.1.self", head=1, set=f"forming-step.{step}").sound()
    told, arrays = seen.figure("forming-heads")
    assert [each["site"] for each in told["sites"]] == ["decoder.1.self", "decoder.0.self"]
    trace = open_model(folder, step=step).trace(TEXT)
    for each in told["sites"]:
        weights = np.stack([trace.weights(each["site"], head).numpy() for head in range(2)])
        assert np.abs(arrays[each["pictures"]] / atlas.TOP - weights).max() <= 0.5 / atlas.TOP + 1e-6
    assert arrays["order"].shape == (4, 2)
    seen = pick(seen, "forming-heads", {"site": "decoder.0.self", "head": 1}).sound()
    assert (seen.view.site, seen.view.head) == ("decoder.0.self", 1)
    assert seen.figure("forming-matrix")[0]["at"] == step


def test_two_steps_beside_each_other(folder: Path) -> None:
    first, second = history(folder)[0], history(folder)[-1]
    seen = open_page(folder, site="decoder.0.self", head=0, set=f"forming-two.1~forming-before.{first}").sound()
    runs = [open_model(folder, step=step).trace(TEXT).weights("decoder.0.self", 0).numpy() for step in (first, second)]
    shown = [seen.figure(f"comparing-steps-{place}")[1]["values"] for place in range(3)]
    for found, wanted in zip(shown, (*runs, runs[1] - runs[0]), strict=True):
        assert np.allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_a_model_without_a_history_is_told_which_have_one(locale: str) -> None:
    seen = Visit("forming", straight=True, locale=locale, model="dates").sound()
    assert seen.say("forming.none") in [info.value for info in seen.at.info]
    assert not seen.figures()
    if locale != "en-US":  # the list of models stands there in both languages' names for AppTest
        return
    seen.click("forming-open-induction").sound()
    assert seen.view.model == "induction" and seen.figures() == ["forming-matrix", "forming-heads"]


def test_the_librarys_training_folder_opens(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from model.checkpoints.random_models import make

    first = make.write("gpt2")
    for step in (500, 1000):
        shutil.copytree(first, tmp_path / "run" / f"checkpoint-{step}")
    model_list.found.clear()
    seen = Visit("forming", straight=True, model=str(tmp_path / "run"), text="a cat and a cat").sound()
    told, arrays = seen.figure("forming-matrix")
    assert told["steps"] == [500, 1000] and arrays["values"].shape[0] == 2


def test_a_head_that_changed_says_when() -> None:
    """Of the shipped model: the head and the measure that its card names."""
    card = json.loads((Path(__file__).parents[2] / "checkpoints/induction/card.json").read_text("utf-8"))
    site, head = card["head"]
    seen = Visit(
        "forming", straight=True, model="induction", site=site, head=head, set="forming-measure.induction"
    ).sound()
    (said,) = [each.value for each in seen.at.markdown if each.value.startswith("**Between step")]
    low, high, before, after = map(
        float, re.search(r"step ([\d,]+) and step ([\d,]+)\*\*.* rises from (\S+) to (\S+)\.$", said).groups()
    )
    assert 126 <= low < high <= 512 and after - before > 0.3
    found = table(over_steps("induction", seen.view.text))
    curve = found[(found["site"] == site) & (found["head"] == head)].set_index("step")["induction"]
    assert before == pytest.approx(curve[curve.index <= low].mean(), abs=0.05)
    assert after == pytest.approx(curve[curve.index >= high].mean(), abs=0.05)
    # What falls to nothing is no head that came to be.
    seen = Visit("forming", straight=True, model="induction", site="decoder.0.self", head=0,
                 set="forming-measure.induction").sound()  # fmt: skip
    (said,) = [each.value for each in seen.at.markdown if each.value.startswith("**Between step")]
    before, after = map(float, re.search(r" falls from (\S+) to (\S+)\.$", said).groups())
    assert before > 0.1 > 0.02 > after


def test_an_unknown_character_is_said_once_and_the_last_good_figure_stays(folder: Path) -> None:
    seen = open_page(folder).sound()
    seen.set("text", "qwert§")
    assert "§" in seen.complaint() and "characters" in seen.complaint()
    assert seen.figure("forming-matrix")[0]["steps"] == history(folder)
    # A link leads to it without a run before: the model's own example is shown.
    seen = Visit("forming", straight=True, model=str(folder), text="§§")
    assert "§" in seen.complaint() and "forming-matrix" in seen.figures()


def test_one_checkpoint_of_the_library_shows_its_training_from_its_own_step_on(models: Path, tmp_path: Path) -> None:
    for step in (5, 10):
        shutil.copytree(models / "gpt2", tmp_path / f"checkpoint-{step}")
    for name, first in (("checkpoint-5", 5), (".", 10)):
        seen = Visit("forming", straight=True, model=str(tmp_path / name), text="a cat").sound()
        told, _ = seen.figure("forming-matrix")
        assert told["steps"] == [5, 10] and told["at"] == first


def test_a_damaged_step_is_left_out_and_said(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    steps = history(folder)
    file = tmp_path / "copy" / "snapshots" / f"step-{steps[1]:08d}.safetensors"
    file.write_bytes(b"junk")
    seen = open_page(tmp_path / "copy")
    (said,) = [warning.value for warning in seen.at.warning]
    assert file.name in said.replace("\\", "") and not seen.at.exception and not seen.at.error
    assert seen.figure("forming-matrix")[0]["steps"] == [step for step in steps if step != steps[1]]


def test_a_training_that_has_only_begun_is_shown(tmp_path: Path) -> None:
    """What it writes is no text that could be read again."""
    sizes = SIZES | {"d_model": 16, "d_ff": 16, "encoder_layers": 1, "decoder_layers": 1, "batch": 4, "train_size": 60}
    train("copy", tmp_path / "run", steps=5, positions="learned", **sizes)
    seen = Visit("forming", straight=True, model=str(tmp_path / "run"), text="abcd").sound()
    assert seen.figure("forming-matrix")[0]["steps"] == history(tmp_path / "run")
