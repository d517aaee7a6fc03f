"""The page Comparing: every number on it is the runs' own, and what has no counterpart is said."""

from __future__ import annotations

import io
import threading
import time

import numpy as np
import pandas as pd
import pytest

from model import open_model
from model.checkpoints import minimal_pair
from model.compare import aligned_runs
from model.compare import heads as compare_heads
from model.compare.heads import LN2
from model.trace.site import Site
from tests import bounds
from tests.app.acting import put, stays_stopped, stop_during, wait_for_stop
from viz.base import axes, cell_states, export
from viz.ui.compare import pair as comparing_pair
from viz.ui.compare import window
from viz.ui.state import jobs, model_cache
from viz.ui.state.model_list import card as models_card

TEXT = "the animal didn't cross the street because it was too tired"
OTHER = "the animal didn't cross the street because it was too wide"
PICKS = "encoder.1.self.2,encoder.0.self.1,encoder.1.self.0"


@pytest.fixture(scope="module")
def opened():
    return open_model("translate")


@pytest.fixture(scope="module")
def trace(opened):
    return opened.trace(TEXT, language="zh")


def test_picked_heads_stand_side_by_side(visit, trace) -> None:
    seen = visit("comparing", text=TEXT, to="zh", picks=PICKS).sound()
    rooms = []
    for name in PICKS.split(","):
        site, _, head = name.rpartition(".")
        header, arrays = seen.figure(f"comparing-{site}-{head}")
        rooms.append(header["room"])
        np.testing.assert_allclose(arrays["values"], trace.weights(site, int(head)), atol=bounds.WEIGHT)
    assert rooms[0] == rooms[1] == rooms[2]


def test_picked_heads_are_one_figure_and_one_table(visit, trace) -> None:
    """The rows of a decoder say what was read and what was written."""
    from viz.ui.compare import side_by_side
    from viz.ui.shared import figure_footer

    made = {}
    heads = [("encoder.1.self", 2), ("decoder.1.cross", 0), ("decoder.0.self", 1), ("encoder.0.self", 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            figure_footer,
            "draw",
            lambda name, said, check, files, figure, code: made.update(files=files(), figure=figure()),
        )
        patch.setattr(figure_footer, "worst_badge", lambda *_: None)
        patch.setattr(side_by_side, "say", lambda key, **_: key)
        patch.setattr(side_by_side, "head_name", lambda name, head: f"{name} {head}")
        side_by_side._footer(trace, heads, {name: axes.axes(trace, Site.parse(name), (0, 0)) for name, _ in heads})
    table = pd.read_csv(io.BytesIO(made["files"]["translate-picked-heads.csv"]()))
    assert list(dict.fromkeys(zip(table["site"], table["head"], strict=True))) == heads
    cross = table[table["site"] == "decoder.1.cross"]
    np.testing.assert_allclose(cross["weight"], trace.weights("decoder.1.cross", 0).flatten(), atol=bounds.WEIGHT)
    assert set(cross["query_token"]) == {
        f"{a} ▸ {b}" for a, b in zip(trace.tokens("decoder"), trace.written(), strict=True)
    }
    with np.load(io.BytesIO(made["files"]["translate-picked-heads.npz"]()), allow_pickle=False) as arrays:
        assert set(arrays) == {f"{name}.{head}" for name, head in heads}
        np.testing.assert_allclose(arrays["decoder.1.cross.0"], trace.weights("decoder.1.cross", 0), atol=bounds.WEIGHT)
    drawn = made["figure"].to_dict()
    titles = [chart["title"] for line in drawn["vconcat"] for chart in line["hconcat"]]
    assert titles == [f"{name} {head}" for name, head in heads]


def test_matrices_of_other_sides_have_cells_of_one_size(visit) -> None:
    seen = visit("comparing", text=TEXT, to="zh", picks="encoder.1.self.2,decoder.1.cross.0").sound()
    first, second = (seen.figure(f"comparing-{name}")[0] for name in ("encoder.1.self-2", "decoder.1.cross-0"))
    assert (
        first["room"]["titles"] == [first["row_title"], second["row_title"]]
        and first["row_title"] != second["row_title"]
    )
    assert first["room"] == second["room"] and first["room"]["rows"] == first["rows"] + second["rows"]
    assert (first["room"]["n"], first["room"]["m"]) == (max(len(first["rows"]), len(second["rows"])), 11)


def test_without_picks_the_selected_head_and_its_neighbour(visit, trace) -> None:
    seen = visit("comparing", text=TEXT, to="zh", site="decoder.1.self", head=3).sound()
    assert seen.say("comparing.nothing_picked") in [caption.value for caption in seen.at.caption]
    for head in (3, 0):
        _, arrays = seen.figure(f"comparing-decoder.1.self-{head}")
        np.testing.assert_allclose(arrays["values"], trace.weights("decoder.1.self", head), atol=bounds.WEIGHT)


def test_the_difference_is_b_less_a(visit, trace) -> None:
    seen = visit("comparing", text=TEXT, to="zh", picks=PICKS).sound()
    header, arrays = seen.figure("comparing-difference")
    apart = trace.weights("encoder.0.self", 1) - trace.weights("encoder.1.self", 2)
    np.testing.assert_allclose(arrays["values"], apart, atol=2 * bounds.WEIGHT)
    assert (
        header["scale"]["low"]
        == -header["scale"]["high"]
        == pytest.approx(-float(apart.abs().max()), abs=bounds.WEIGHT)
    )
    found = compare_heads.compared(trace.record("encoder.1.self"), 2, trace.record("encoder.0.self"), 1)
    told = seen.say("comparing.numbers", mean=f"{found.mean:.3f}", r=f"{found.correlation:.3f}")
    assert told.replace("-", "−") in [text.value for text in seen.at.markdown]
    choice = next(box for box in seen.at.selectbox if box.label == seen.say("comparing.b"))
    choice.set_value(2)
    seen.at.run()
    _, arrays = seen.sound().figure("comparing-difference")
    apart = trace.weights("encoder.1.self", 0) - trace.weights("encoder.1.self", 2)
    np.testing.assert_allclose(arrays["values"], apart, atol=2 * bounds.WEIGHT)


def test_heads_about_other_tokens_are_not_compared(visit) -> None:
    seen = visit("comparing", text=TEXT, to="zh", picks="encoder.1.self.2,decoder.1.cross.0").sound()
    assert seen.say("comparing.other_tokens") in [info.value for info in seen.at.info]


def test_a_head_can_be_picked_here(visit) -> None:
    seen = visit("comparing", text=TEXT, to="zh", site="decoder.0.self", head=1).sound()
    seen.click("comparing-add").sound()
    assert seen.view.picks == "decoder.0.self.1" and seen.link["picks"] == "decoder.0.self.1"
    seen.click("comparing-add").sound()
    assert seen.view.picks == ""


@pytest.mark.parametrize("how", compare_heads.HOW)
def test_all_pairs_in_the_order_of_their_clusters(visit, trace, how: str) -> None:
    seen = visit("comparing", text=TEXT, to="zh", tab=f"comparing.pairs,likeness.{how}").sound()
    for place, group in enumerate(compare_heads.all_pairs(trace, how)):
        header, arrays = seen.figure(f"comparing-pairs-{place}")
        order, _ = compare_heads.clustered(group.distance)
        bounds.close(arrays["values"], group.values.numpy()[np.ix_(order, order)], 64, size=1.0)
        assert [label["text"] for label in header["rows"]] == [
            f"{group.heads[i][0].layer}.{group.heads[i][1]}" for i in order
        ]
        ends = (-1, 1) if how == "correlation" else (0, LN2)
        assert (header["scale"]["low"], header["scale"]["high"]) == pytest.approx(ends)


def test_all_pairs_in_the_order_of_their_layers(visit, trace) -> None:
    seen = visit("comparing", text=TEXT, to="zh", tab="comparing.pairs", site="encoder.1.self", head=2).sound()
    assert "ticks" not in seen.figure("comparing-pairs-0")[0]
    seen.set("pairs_order", "layers").sound()
    for place, group in enumerate(compare_heads.all_pairs(trace, "correlation")):
        header, arrays = seen.figure(f"comparing-pairs-{place}")
        bounds.close(arrays["values"], group.values.numpy(), 64, size=1.0)
        assert header["row_breaks"] == header["column_breaks"] == [4]
        assert [tick["at"] for tick in header["ticks"]] == [2, 6]
    said = " ".join(caption.value for caption in seen.at.caption)
    assert seen.say("comparing.plane_ring", head="1.2") in said and seen.link["tab"].endswith("pairs_order.layers")


def test_r_of_pooled_pictures_is_r_of_all_weights_where_nothing_is_pooled(trace) -> None:
    """The Atlas and this page name two kinds of r: they agree on a short text, as the pages say, and part on a long one."""
    from model.attention.downsample import allowed_bins
    from model.attention.downsample_heads import head_similarity, trace_thumbnails

    (group,) = (g for g in compare_heads.all_pairs(trace, "correlation") if str(g.heads[0][0]) == "encoder.0.self")
    sites = list(dict.fromkeys(site for site, _ in group.heads))
    site, head = group.heads[3]
    for size, agree in ((64, True), (4, False)):
        means = dict(trace_thumbnails(trace, size, "mean", sites))
        pooled = head_similarity(means, {each: allowed_bins(trace.record(each), size) for each in sites}, site, head)
        apart = [abs(pooled[other] - float(r)) for other, r in zip(group.heads, group.values[3], strict=True)]
        assert (max(apart) < bounds.WEIGHT) == agree


def test_one_head_on_two_inputs(visit, trace, opened) -> None:
    link = {"text": TEXT, "to": "zh", "site": "encoder.1.self", "head": 2, "against": f"text:{OTHER}"}
    seen = visit("comparing", tab="comparing.inputs", **link).sound()
    other = opened.trace(OTHER, language="zh")
    A, B = trace.weights("encoder.1.self", 2).numpy(), other.weights("encoder.1.self", 2).numpy()
    for place, want in enumerate((A, B, B - A)):
        np.testing.assert_allclose(seen.figure(f"comparing-input-{place}")[1]["values"], want, atol=2 * bounds.WEIGHT)
    table = seen.at.dataframe[0].value
    i, j = np.unravel_index(np.abs(B - A).argmax(), A.shape)
    names = [a if a == b else f"{a} → {b}" for a, b in zip(TEXT.split(), OTHER.split(), strict=True)]
    assert list(table.iloc[0])[:2] == [names[i], names[j]]
    assert "tired" in " ".join(caption.value for caption in seen.at.caption)


def test_a_second_text_that_cannot_be_read_is_answered(visit) -> None:
    seen = visit("comparing", text=TEXT, to="zh", tab="comparing.inputs", against="text:" + "street " * 280)
    assert not seen.at.exception and len(seen.at.warning) == 1


def test_the_example_of_tired_and_wide(visit) -> None:
    seen = visit("comparing", text="I like cats", to="zh", tab="comparing.inputs").sound()
    seen.click("comparing-example").sound()
    assert seen.view.text == TEXT and seen.view.against == f"text:{OTHER}" and seen.view.head == 2


def spread(weights: np.ndarray, places: tuple[int | None, ...]) -> np.ndarray:
    """Weights over the tokens of both texts, NaN where this one lacks one of the two."""
    rows = [i for i, place in enumerate(places) if place is not None]
    own = [place for place in places if place is not None]
    found = np.full((len(places), len(places)), np.nan)
    found[np.ix_(rows, rows)] = weights[np.ix_(own, own)]
    return found


def test_tokens_that_only_one_text_has_are_drawn_and_every_head_is_ranked(visit, opened) -> None:
    """The three matrices have the same rows, columns and room for labels; what a text lacks is hatched, and 0 in the change."""
    first, second = "I like big red cats", "I like cats and dogs"
    link = {"text": first, "to": "zh", "site": "encoder.1.self", "head": 2, "against": f"text:{second}"}
    seen = visit("comparing", tab="comparing.inputs", **link).sound()
    one, other = (opened.trace(text, language="zh") for text in (first, second))
    sides = aligned_runs.aligned_sides(one, other)
    slots = aligned_runs.merged(sides["encoder"])
    A, B = (spread(run.weights("encoder.1.self", 2).numpy(), own)
            for run, own in zip((one, other), zip(*slots, strict=True), strict=True))  # fmt: skip
    change = np.where([[None in slot] for slot in slots], np.nan, np.nan_to_num(B) - np.nan_to_num(A))
    headers = []
    for place, want in enumerate((A, B, change)):
        header, arrays = seen.figure(f"comparing-input-{place}")
        np.testing.assert_allclose(arrays["values"], np.nan_to_num(want), atol=2 * bounds.WEIGHT)
        assert ((arrays["state"] == cell_states.MASKED) == np.isnan(want)).all() and np.isnan(want).any()
        headers.append(header)
    assert headers[0]["room"] == headers[1]["room"] == headers[2]["room"]
    assert [label["text"] for label in headers[2]["rows"] if label["kind"] == "absent"] == ["big", "red", "and", "dogs"]
    assert headers[0]["words"]["masked"] == seen.say("comparing.absent")
    assert [label["text"] for label in headers[0]["columns"] if label["kind"] == "absent"] == ["and", "dogs"]
    table = next(table.value for table in seen.at.dataframe if "divergence" in table.value)
    ranked = aligned_runs.ranked_changes(one, other, sides)
    np.testing.assert_allclose(table["divergence"], [each.mean for each in ranked], atol=1e-9)
    assert len(table) == 24 and list(table["divergence"]) == sorted(table["divergence"], reverse=True)


LONG = "a cat saw the mat and the dog . " * 9


def test_a_long_text_is_drawn_in_a_window_that_moves(visit, models) -> None:
    words = LONG.split()
    second = " ".join(["cat", *words[:40], "mat", *words[41:]])
    link = {"model": "gpt2", "text": LONG.strip(), "site": "decoder.1.self", "head": 1, "against": f"text:{second}"}
    seen = visit("comparing", tab="comparing.inputs", **link).sound()
    own = open_model(models / "gpt2")
    one, other = own.trace(LONG.strip()), own.trace(second)
    places = aligned_runs.aligned_sides(one, other)["decoder"]
    pairs = aligned_runs.merged(places)
    firsts, seconds = zip(*pairs, strict=True)
    assert len(pairs) > window.MOST and firsts != seconds and None in firsts
    A, B = (spread(run.weights("decoder.1.self", 1).numpy(), own) for run, own in ((one, firsts), (other, seconds)))
    change = np.where([[None in pair] for pair in pairs], np.nan, np.nan_to_num(B) - np.nan_to_num(A))

    # As the causal mask has them: a place before or at the query's, which both texts keep in their order.
    opens = [~np.isnan(weights) & np.tri(len(pairs), dtype=bool) for weights in (A, B)]
    opens.append(~np.isnan(change) & (opens[0] | opens[1]))

    def drawn(rows: int, columns: int) -> None:
        size = window.MOST
        part = np.s_[rows : rows + size, columns : columns + size]
        for place, want in enumerate((A, B, change)):
            header, arrays = seen.figure(f"comparing-input-{place}")
            np.testing.assert_allclose(arrays["values"], np.nan_to_num(want[part]), atol=2 * bounds.WEIGHT)
            assert ((arrays["state"] == cell_states.MASKED) == ~opens[place][part]).all()
            assert header["words"]["masked"].endswith(seen.say("comparing.absent"))
            for label, number in zip(header["rows"], (seconds if place else firsts)[part[0]], strict=True):
                assert place == 2 or label["kind"] == ("absent" if number is None else "word")
                assert number is None or label["text"].split()[0] == str(number)
        own = {
            (name, which): [number for number in side[start : start + size] if number is not None]
            for name, start in (("queries", rows), ("keys", columns))
            for which, side in (("first", firsts), ("second", seconds))
        }
        spans = {f"{name}_{which}": f"{told[0]}–{told[-1]}" for (name, which), told in own.items()}
        assert seen.say("comparing.window", **spans) in [caption.value for caption in seen.at.caption]

    def start(at: int) -> int:
        return min(max(0, at - 24), len(pairs) - 48)

    i, j = np.unravel_index(np.abs(np.nan_to_num(change)).argmax(), A.shape)
    drawn(start(i), start(j))
    rows, columns = (s for s in seen.at.slider if "comparing-input" in s.key)
    rows.set_value(len(pairs) - 48)  # counted over both texts, because the second has tokens of its own
    columns.set_value(3)
    seen.at.run()
    seen.sound()
    drawn(len(pairs) - 48, 3)
    assert "comparing-input-keys.3" in seen.link["set"]
    seen = visit("comparing", **seen.link).sound()
    drawn(len(pairs) - 48, 3)


def test_the_second_run_waits_beside_the_first(visit, models, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both may take long in one run of the page: each has a bar of its own."""
    record = model_cache.record
    monkeypatch.setattr(model_cache, "record", lambda *asked: (time.sleep(2 * jobs._QUIET), record(*asked))[1])
    link = {"model": "gpt2", "text": "the dog is slow", "against": "text:the cat is slow"}
    seen = visit("comparing", tab="comparing.inputs", **link).sound()
    assert "comparing-input-2" in seen.figures()


@pytest.mark.parametrize("name", ["gpt2", "bert", "t5", "ours", "dates"])
def test_every_model_of_text_has_a_pair_to_begin_with(visit, models, name: str) -> None:
    seen = visit("comparing", model=name, tab="comparing.inputs").sound()
    own = open_model(name if name == "dates" else models / name)
    pair = minimal_pair.minimal_pair(own, models_card(name)["examples"])
    if pair is None:
        assert name == "ours" and not [b for b in seen.at.button if b.key == "comparing-example"]
        return
    seen.click("comparing-example").sound()
    assert (seen.view.text, seen.view.against) == (pair[0], f"text:{pair[1]}") and seen.view.model == name
    assert minimal_pair.changed(*pair) and len(minimal_pair.ids(own, pair[0])) == len(minimal_pair.ids(own, pair[1]))
    assert not [button for button in seen.at.button if button.key == "comparing-example"]


def test_a_second_text_that_was_stopped_is_not_begun_again_by_itself(visit, models, monkeypatch) -> None:
    waits, calls, record = threading.Event(), [], model_cache.record

    def slow(name: str, how: tuple, *more: bool):
        if dict(how)["text"] == "the cat is lazy and slow":
            calls.append(name)
            wait_for_stop(waits)
        return record(name, how, *more)

    monkeypatch.setattr(model_cache, "record", slow)
    seen = visit("comparing", tab="comparing.inputs", model="gpt2", text="a dog is slow").sound()
    stop_during(seen, waits, lambda: put(seen, "text_area", "comparing_text", "the cat is lazy and slow"))
    stays_stopped(seen, (1, 2), calls, text="a dog is slow")
    monkeypatch.setattr(model_cache, "record", record)
    seen.click("comparing-again").sound()
    assert "comparing-input-2" in seen.figures()


def test_files_of_two_heads_are_written_part_by_part(trace, opened, monkeypatch) -> None:
    other = opened.trace(OTHER, language="zh")
    ends = tuple(comparing_pair.HeadOfRun(run, Site.parse("encoder.1.self"), 2, "") for run in (trace, other))
    places = tuple((i, i) for i in range(11))
    two = comparing_pair.HeadPair("input", ends, places, places, "")
    A, B = (run.weights("encoder.1.self", 2).numpy() for run in (trace, other))
    monkeypatch.setattr(export, "_CELLS", 40)
    parts = list(two.rows())
    assert len(parts) == 4 and [rows.start for rows, _ in parts] == [0, 3, 6, 9]
    np.testing.assert_allclose(np.concatenate([part for _, part in parts]), B - A, atol=2 * bounds.WEIGHT)
    made = export.rows_npz({"before": (A.shape, np.float32, two.rows(0))}, js=np.zeros(3))
    with np.load(io.BytesIO(made), allow_pickle=False) as arrays:
        np.testing.assert_allclose(arrays["before"], A, atol=bounds.WEIGHT)
        assert arrays["js"].shape == (3,)
