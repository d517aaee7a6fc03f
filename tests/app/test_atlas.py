"""The page Atlas: every control changes the numbers of the figure, clicks select and pick, and the work can be stopped."""

from __future__ import annotations

import math
import re
import threading
import time

import numpy as np
import pytest

from model import Trace, open_model
from model.attention.downsample import allowed_bins, thumbnails
from model.attention.downsample_heads import head_similarity
from model.jobs.progress import tick
from model.measures import table as head_table
from model.measures.head_statistics import trace_statistics
from model.measures.registry import ORDERABLE, ROLES
from tests import bounds
from tests.app.acting import pick, put
from tests.app.visit import Visit
from viz.atlas import atlas
from viz.ui import components
from viz.ui.atlas import compute, figure

TEXT = "the cat sat on the mat"
pytestmark = pytest.mark.usefixtures("held")
LONG = " ".join(f"the dog {i} jumps over the cat" for i in range(16))


@pytest.fixture(scope="module")
def trace() -> Trace:
    return open_model("translate").trace(TEXT, language="zh")


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """No browser is there to keep what was sent: every frame is whole."""
    monkeypatch.setattr(figure, "_sent", set)


def heads_of(seen: Visit) -> list[tuple[str, int]]:
    header, arrays = seen.sound().figure("atlas")
    return [(header["sites"][place]["site"], int(head)) for place, head in arrays["order"]]


def values_of(seen: Visit) -> np.ndarray:
    return seen.figure("atlas")[1]["values"]


def measured(trace: Trace, name: str) -> dict[tuple[str, int], float]:
    return {(str(site), head): value for (site, head), value in atlas.measured(trace_statistics(trace), name).items()}


def test_every_head_of_the_run_is_drawn(visit, trace) -> None:
    seen = visit("atlas", text=TEXT)
    header, arrays = seen.sound().figure("atlas")
    assert heads_of(seen) == [(str(s), h) for s in atlas.in_order(trace.sites) for h in range(4)]
    for entry in header["sites"]:
        exact = np.stack([trace.weights(entry["site"], head).numpy() for head in range(4)])
        assert np.abs(arrays[entry["pictures"]] / atlas.TOP - exact).max() <= 0.5 / atlas.TOP + bounds.WEIGHT
    assert header["words"]["legend"] == seen.say("atlas.legend")  # one cell, one weight
    assert not header["valued"] and header["selection"]["site"] == seen.view.site


def test_the_figure_has_every_word_that_it_says(visit) -> None:
    scripts = [path.read_text(encoding="utf-8") for path in (components.scripts.FOLDER / "atlas").glob("*.js")]
    said = {name for script in scripts for name in re.findall(r"\bwords\.([a-z_]+)", script)}
    assert said == set(visit("atlas", text=TEXT).sound().figure("atlas")[0]["words"])


@pytest.mark.parametrize("order", ORDERABLE)
def test_an_order_sorts_by_its_measure(visit, trace, order: str) -> None:
    seen = put(visit("atlas", text=TEXT), "selectbox", "atlas_order", order)
    seen = seen.set("atlas_grid", "flat")
    known = measured(trace, order)
    heads, values = heads_of(seen), values_of(seen)
    bounds.close(values, [known.get(head, math.nan) for head in heads], 64, size=1.0)
    told = values[~np.isnan(values)]
    assert len(heads) == 24 and (np.diff(told) <= 0).all() and np.isnan(values[len(told) :]).all()
    lowest = values_of(seen.set("atlas_sort", "lowest"))
    bounds.close(lowest[: len(told)], told[::-1], 64, size=1.0)
    assert seen.link["tab"] == f"atlas_grid.flat,atlas_min.0,atlas_order.{order},atlas_sort.lowest"


def test_by_role_each_head_stands_with_the_share_that_earns_it(visit, trace) -> None:
    seen = visit("atlas", text=TEXT).set("atlas_grid", "roles")
    names = ROLES
    by_role = {name: measured(trace, name) for name in names}
    best = {head: max(names, key=lambda name: by_role[name].get(head, -1)) for head in by_role["first"]}
    earned = {head: by_role[name][head] for head, name in best.items() if by_role[name][head] >= head_table.LEAST}
    heads, values, place = heads_of(seen), values_of(seen), 0
    assert len(heads) == 24 and 0 < len(earned) < 24
    told = {seen.say(f"atlas.role_{name}", n=sum(best[head] == name for head in earned)): name for name in names}
    told[seen.say("atlas.role_none", n=24 - len(earned))] = "none"
    for title, count in seen.figure("atlas")[0]["parts"]:
        for head, value in zip(heads[place : place + count], values[place : place + count], strict=True):
            assert told[title] == (best[head] if head in earned else "none")
            assert value == bounds.near(earned.get(head, math.nan), 64, size=1.0)
        place += count
    assert place == 24 and any(seen.say("atlas.role_sentence", least="0.5") in c.value for c in seen.at.caption)
    ordered = put(seen, "selectbox", "atlas_order", "entropy")
    known = measured(trace, "entropy")
    bounds.close(values_of(ordered), [known[head] for head in heads_of(ordered)], 64, size=1.0)
    assert sorted(heads_of(ordered)) == sorted(heads) != heads_of(ordered)


def test_in_layers_each_sub_layer_is_ordered_by_itself(visit, trace) -> None:
    seen = visit("atlas", text=TEXT, tab="atlas_order.largest")
    known, heads = measured(trace, "largest"), heads_of(seen)
    assert [site for site, _ in heads] == [str(s) for s in atlas.in_order(trace.sites) for _ in range(4)]
    for first in range(0, 24, 4):
        values = [known[head] for head in heads[first : first + 4]]
        assert values == sorted(values, reverse=True)


def test_a_filter_leaves_out_and_says_how_many(visit, trace) -> None:
    seen = visit("atlas", text=TEXT).set("atlas_kind", "decoder_cross")
    assert {site.split(".")[2] for site, _ in heads_of(seen)} == {"cross"} and len(heads_of(seen)) == 8
    assert any(seen.say("atlas.count", shown=8, heads=24) in caption.value for caption in seen.at.caption)
    seen = visit("atlas", text=TEXT, tab="atlas_order.first,atlas_grid.flat,atlas_min.50")
    known = measured(trace, "first")
    bound = (min(known.values()) + max(known.values())) / 2
    assert set(heads_of(seen)) == {head for head, value in known.items() if value >= bound}
    slider = next(w for w in seen.at.get("select_slider") if (w.key or "").startswith("atlas_min"))
    slider.set_value(100)
    seen.at.run()
    assert heads_of(seen) == [max(known, key=known.get)] and "atlas_min.100" in seen.link["tab"]
    assert (
        "atlas_min.0" in put(seen, "selectbox", "atlas_order", "entropy").link["tab"]
    )  # another measure, another range


def test_an_order_within_layers_is_said_to_be_one(visit) -> None:
    seen = put(visit("atlas", text=TEXT), "selectbox", "atlas_order", "entropy")
    assert any(seen.say("atlas.within_layers") in caption.value for caption in seen.at.caption)


def test_the_heads_like_the_selected_one(visit, trace) -> None:
    site = trace.sites[0]
    seen = visit("atlas", text=TEXT, site=str(site), head=1, tab="atlas_order.like,atlas_grid.flat")
    means = {s: thumbnails(trace.record(s), 64, "mean") for s in trace.sites}
    allowed = {s: allowed_bins(trace.record(s), 64) for s in trace.sites}
    expected = {(str(s), h): r for (s, h), r in head_similarity(means, allowed, site, 1).items()}
    heads = heads_of(seen)
    assert heads[0] == (str(site), 1) and set(heads) == set(expected)
    bounds.close(values_of(seen), [expected[head] for head in heads], 64, size=[1.0, *expected.values()])
    said = seen.say("atlas.like_left", n=24 - len(expected))
    assert any(said in caption.value for caption in seen.at.caption)
    seen = pick(seen, "atlas", {"site": "decoder.1.cross", "head": 2})
    assert heads_of(seen)[0] == ("decoder.1.cross", 2)


def test_a_click_selects_everywhere(visit) -> None:
    seen = pick(visit("atlas", text=TEXT), "atlas", {"site": "encoder.1.self", "head": 3}).sound()
    assert (seen.view.site, seen.view.head) == ("encoder.1.self", 3)
    assert seen.figure("atlas")[0]["selection"] == {"site": "encoder.1.self", "head": 3}
    seen.go("heads")
    assert (seen.view.site, seen.view.head) == ("encoder.1.self", 3)


def test_picks_are_told_shown_and_taken_back(visit) -> None:
    chosen = [["encoder.1.self", 3], ["decoder.0.cross", 0]]
    seen = pick(visit("atlas", text=TEXT), "atlas", chosen, event="picks").sound()
    assert seen.link["picks"] == "encoder.1.self.3,decoder.0.cross.0"
    assert seen.figure("atlas")[0]["picks"] == chosen
    assert seen.go("heads").go("atlas").figure("atlas")[0]["picks"] == chosen
    assert seen.click("atlas-unpick").sound().figure("atlas")[0]["picks"] == [] and seen.view.picks == ""


def test_the_colours_of_an_untrained_model_end_where_its_weights_do(visit, models) -> None:
    seen = visit("atlas", model="gpt2", text=LONG, tab="atlas_how.mean").sound()
    header, arrays = seen.figure("atlas")
    run = open_model(models / "gpt2").trace(LONG)
    size = -(-run.record(header["sites"][0]["site"]).queries // 64)
    end, drawn = float(header["end"]), []
    for entry in header["sites"]:
        for head, bytes_ in enumerate(arrays[entry["pictures"]]):
            whole = run.record(entry["site"]).weights(head).double().numpy()
            for (r, c), byte in np.ndenumerate(bytes_):
                told = whole[r * size : (r + 1) * size, c * size : (c + 1) * size].sum(1).mean()
                edge = abs(told - end) <= 1e-4 * end
                assert edge or (byte == atlas.BEYOND) == (told > end)
                if byte != atlas.BEYOND:
                    drawn.append(abs(byte / atlas.TOP * end - told))
    assert max(drawn) <= (0.5 / atlas.TOP + 1e-4) * end and end < 1
    beyond = header["words"]["legend"].endswith(seen.say("overview.legend_beyond"))
    assert beyond == any((arrays[entry["pictures"]] == atlas.BEYOND).any() for entry in header["sites"])
    whole = seen.set("scale", "1").sound().figure("atlas")
    assert whole[0]["end"] == "1" and seen.link["scale"] == "1"
    assert not whole[0]["words"]["legend"].endswith(seen.say("overview.legend_beyond"))
    assert visit("atlas", text=TEXT).sound().figure("atlas")[0]["end"] == "1"


@pytest.mark.parametrize("how", ["max", "mean"])
def test_a_long_text_is_pooled_and_says_how(visit, models, how: str) -> None:
    seen = visit("atlas", model="gpt2", text=LONG, tab=f"atlas_how.{how}", scale="1").sound()
    header, arrays = seen.figure("atlas")
    run = open_model(models / "gpt2").trace(LONG)
    record = run.record(header["sites"][0]["site"])
    n = record.queries
    size = -(-n // 64)
    assert n > 64 and seen.say(f"atlas.cell_{how}", bins=f"{size} × {size}") == header["words"]["legend"]
    whole = record.weights(0).numpy()
    drawn = arrays[header["sites"][0]["pictures"]][0]
    for (r, c), byte in np.ndenumerate(drawn):
        block = whole[r * size : (r + 1) * size, c * size : (c + 1) * size]
        assert (
            abs(byte / atlas.TOP - (block.max() if how == "max" else block.sum(1).mean()))
            <= 0.5 / atlas.TOP + bounds.WEIGHT
        )
    other = "mean" if how == "max" else "max"
    again = seen.set("atlas_how", other).sound().figure("atlas")
    assert again[0]["words"]["legend"] == seen.say(f"atlas.cell_{other}", bins=f"{size} × {size}")
    assert not np.array_equal(again[1][header["sites"][0]["pictures"]][0], drawn)


@pytest.mark.parametrize("name", ["t5", "bart", "xlnet", "deberta", "llama"])
def test_any_checkpoint(visit, models, name: str) -> None:
    seen = visit("atlas", model=name, tab="atlas_order.like").sound()
    assert "atlas" in seen.figures() and len(heads_of(seen))
    assert not np.isnan(values_of(seen)).all()


def test_what_is_done_is_drawn_while_the_rest_is_not_and_stop_keeps_it(visit, monkeypatch) -> None:
    """The third sub-layer waits until somebody stops the work."""
    reached, real = threading.Event(), thumbnails
    done: list[int] = []

    def slow(*args: object, **more: object):
        done.append(1)
        if len(done) == 3:
            reached.set()
            for _ in range(1500):
                time.sleep(0.02)
                tick("pictures", 0.5)
        return real(*args, **more)

    monkeypatch.setattr("model.attention.downsample_heads.thumbnails", slow)
    monkeypatch.setattr(compute, "PATIENCE", 0.3)
    text = "the dog sat on the mat"
    seen = visit("atlas", text=text).sound()
    assert reached.wait(20)
    header, _ = seen.figure("atlas")
    assert sum("pictures" in entry for entry in header["sites"]) == 2 and len(heads_of(seen)) == 24
    assert not header["measures"] and any(button.key == "stop-atlas" for button in seen.at.button)
    seen.click("stop-atlas")
    seen.at.session_state["jobs"]["atlas"].thread.join(20)
    seen.at.run()
    assert [info.value for info in seen.at.info] == [seen.say("atlas.stopped")]
    assert sum("pictures" in entry for entry in seen.figure("atlas")[0]["sites"]) == 2
    monkeypatch.setattr("model.attention.downsample_heads.thumbnails", real)
    monkeypatch.setattr(compute, "PATIENCE", 20)
    seen.click("atlas-again").sound()
    header, _ = seen.figure("atlas")
    assert all("pictures" in entry for entry in header["sites"]) and len(header["measures"]) == len(ORDERABLE)


def test_a_drawn_atlas_is_kept(visit, monkeypatch) -> None:
    text = "a dog saw the cat"
    visit("atlas", text=text).sound()
    monkeypatch.setattr("model.attention.downsample_heads.thumbnails", None)
    seen = visit("atlas", text=text).sound()
    assert len(heads_of(seen)) == 24


def test_a_picture_that_the_browser_has_is_named_and_not_sent_again(visit, monkeypatch) -> None:
    monkeypatch.undo()
    seen = visit("atlas", text=TEXT)
    header, arrays = seen.sound().figure("atlas")
    names = [entry["pictures"] for entry in header["sites"]]
    assert set(names) <= set(arrays) and all(entry["digest"] for entry in header["sites"])
    seen.at.run()
    again, fewer = seen.figure("atlas")
    assert again["sites"] == header["sites"] and not set(names) & set(fewer)
    assert not set(names) & set(pick(seen, "atlas", {"site": "encoder.1.self", "head": 3}).figure("atlas")[1])
    assert set(names) <= set(
        pick(seen, "atlas", {"count": 1}, "lost").figure("atlas")[1]
    )  # it asks where it has it not
