"""The atlas: bytes within half a step of the pooled weights, heads in the order asked for, a figure of the same pictures."""

from __future__ import annotations

import base64
import io
import math
import re

import numpy as np
import pytest
import torch
from PIL import Image

from model import Trace, open_model
from model.attention.downsample import allowed_bins, bin_lengths, block_size, thumbnails
from model.measures.head_statistics import trace_statistics
from model.measures.registry import ORDERABLE
from model.trace.site import Site
from tests import bounds
from viz.atlas import atlas
from viz.atlas import static as static_atlas
from viz.base import static_chart
from viz.base.payload import unpack

pytestmark = pytest.mark.float32

NAMES = ("title", "label", "S", "full")


@pytest.fixture(scope="module")
def trace() -> Trace:
    return open_model("translate").trace("the cat sat on the mat", language="zh")


def frame_of(trace: Trace, size: int, how: str, shown: atlas.Shown, sites=None, **more) -> tuple[dict, dict]:
    sites = atlas.in_order(trace.sites) if sites is None else sites
    pictures = {
        site: atlas.picture(
            atlas.shares(thumbnails(trace.record(site), size, how), how, bin_lengths(trace.record(site).keys, size))
        )
        for site in sites
    }
    closed = {site: ~allowed_bins(trace.record(site), size).numpy() for site in sites}
    heads = [(site, h) for site in atlas.in_order(trace.sites) for h in range(trace.record(site).heads)]
    found = trace_statistics(trace)
    values = atlas.measured(found, shown.order) if shown.order in ORDERABLE else {}
    order = atlas.arranged(heads, values, shown)
    measures = {name: atlas.measured(found, name) for name in ORDERABLE}
    names = dict.fromkeys(trace.sites, NAMES)
    parts = None if shown.grid == "layers" else [("", len(order))]
    return unpack(atlas.frame(trace, pictures, closed, order, values, measures, heads[0], heads[1:3], {}, names, parts))


@pytest.mark.parametrize("how", ["max", "mean"])
@pytest.mark.parametrize("size", [3, 64])
def test_the_bytes_are_the_pooled_weights(trace, size: int, how: str) -> None:
    header, arrays = frame_of(trace, size, how, atlas.Shown())
    assert [entry["site"] for entry in header["sites"]] == [str(site) for site in atlas.in_order(trace.sites)]
    for entry in header["sites"]:
        record = trace.record(entry["site"])
        high, wide = block_size(record.queries, size), block_size(record.keys, size)
        for head, drawn in enumerate(arrays[entry["pictures"]]):
            whole = record.weights(head, dtype=torch.float64).numpy()
            for (r, c), byte in np.ndenumerate(drawn):
                block = whole[r * high : (r + 1) * high, c * wide : (c + 1) * wide]
                told = block.max() if how == "max" else block.sum(1).mean()  # the share of its queries' attention
                assert abs(byte / atlas.TOP - told) <= 0.5 / atlas.TOP + bounds.WEIGHT
        masked = ~record.allowed().numpy()
        if masked.any() and (size >= max(masked.shape)):
            np.testing.assert_array_equal(arrays[entry["mask"]], masked)


def test_a_number_that_is_none_has_a_byte_of_its_own() -> None:
    values = np.array([[[0.0, 1.0, math.nan, 1.0000001, 0.5]]])
    assert atlas.picture(values).tolist() == [[[0, 253, atlas.NAN, 253, 126]]]
    assert atlas.picture(values, 0.5).tolist() == [[[0, atlas.BEYOND, atlas.NAN, atlas.BEYOND, 253]]]


def test_the_end_of_the_colours_is_what_most_heads_stay_below() -> None:
    """Of a causal head that looks at all alike the first rows hold 1, 1/2, …: they say nothing of it."""
    n, site, other = 12, Site("decoder", 0, "self"), Site("encoder", 0, "self")
    closed = np.triu(np.ones((n, n), bool), 1)
    alike = np.where(closed, 0, 1 / np.arange(1, n + 1)[:, None])
    shown = {site: np.repeat(alike[None], 4, 0)}
    assert atlas.most(shown, {site: closed}) == pytest.approx(1 / (n // 2))
    open_ = np.zeros((n, n), bool)
    sharp = np.stack([np.eye(n), np.full((n, n), math.nan), np.full((n, n), 1 / n), np.full((n, n), 1 / n)])
    told = {site: closed, other: open_}
    assert atlas.most({other: sharp}, told) == 1.0 and atlas.most(shown | {other: sharp}, told) == pytest.approx(1 / 6)
    assert (atlas.suggested(1 / 6), atlas.suggested(0.5), atlas.suggested(0.0)) == ("max", "1", "1")
    assert atlas.most({}, {}) == 0.0


def test_alike_masks_travel_once_and_a_site_that_is_not_done_has_no_picture(trace) -> None:
    header, arrays = frame_of(trace, 64, "max", atlas.Shown(), sites=list(trace.sites)[:4])
    masks = [entry["mask"] for entry in header["sites"] if "mask" in entry]
    assert len(set(masks)) <= 1 and len([name for name in arrays if name.startswith("m") and name != "measures"]) <= 1
    assert sum("pictures" in entry for entry in header["sites"]) == 4


ALL = [(Site("encoder", layer, "self"), head) for layer in (0, 1) for head in range(3)]
VALUES = dict(zip(ALL, [0.3, math.nan, 0.1, 0.9, 0.2, 0.4], strict=True))
CROSS = (Site("decoder", 0, "cross"), 0)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (atlas.Shown("entropy"), [0, 2, 1, 3, 5, 4]),
        (atlas.Shown("entropy", lowest=True), [2, 0, 1, 4, 5, 3]),
        (atlas.Shown("entropy", grid="flat"), [3, 5, 0, 4, 2, 1]),
        (atlas.Shown("entropy", lowest=True, grid="flat", least=0.2), [4, 0, 5, 3]),
        (atlas.Shown("entropy", grid="flat", kind="decoder_self"), []),
        (atlas.Shown(kind="encoder_self"), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_heads_stand_in_the_order_asked_for(shown: atlas.Shown, expected: list[int]) -> None:
    values = VALUES if shown.order != "layer" else {}
    assert atlas.arranged(ALL, values, shown) == [ALL[i] for i in expected]


def test_heads_without_a_measure_come_last_and_pass_no_minimum() -> None:
    assert atlas.arranged([CROSS, *ALL], VALUES, atlas.Shown("entropy", grid="flat"))[-2:] == [CROSS, ALL[1]]
    assert CROSS not in atlas.arranged([CROSS, *ALL], VALUES, atlas.Shown("entropy", least=-9.0))


def test_values_and_measures_belong_to_the_head_they_stand_with(trace) -> None:
    header, arrays = frame_of(trace, 64, "max", atlas.Shown("first", grid="flat"))
    found = {str(site): values for site, values in trace_statistics(trace).items()}
    assert header["measures"] == list(ORDERABLE) and len(arrays["order"]) == 24
    for (place, head), value, row in zip(arrays["order"], arrays["values"], arrays["measures"], strict=True):
        measured = found[header["sites"][place]["site"]]
        assert value == pytest.approx(float(measured.first[head]))
        for name, number in zip(ORDERABLE, row, strict=True):
            own = getattr(measured, name)
            assert number == pytest.approx(math.nan if own is None else float(own[head]), nan_ok=True)
    assert (np.diff(arrays["values"]) <= 0).all()


def test_many_heads_get_smaller_pictures() -> None:
    record = type("Record", (), {"heads": 64})()
    traces = [type("Run", (), {"attention": dict.fromkeys(range(layers), record)})() for layers in (1, 12, 80)]
    sizes = [atlas.size(trace) for trace in traces]
    assert sizes[0] == 64 and sizes == sorted(sizes, reverse=True)
    assert all(len(t.attention) * 64 * size**2 <= 1_200_000 for t, size in zip(traces, sizes, strict=True))


def test_144_heads_weigh_less_than_a_megabyte_and_a_half() -> None:
    assert 144 * atlas.SIZE**2 < 600_000


ROLES = {ALL[0]: ("first", 0.6), ALL[2]: ("previous", 0.5), ALL[3]: ("first", 0.9), ALL[5]: ("duplicate", 0.7)}


def test_heads_stand_by_their_role_in_the_order_of_the_roles() -> None:
    expected = [("previous", [2]), ("first", [3, 0]), ("duplicate", [5]), ("", [1, 4])]
    assert atlas.by_role(ALL, ROLES, True) == [(role, [ALL[i] for i in heads]) for role, heads in expected]
    # Ordered by something else they stay in that order among themselves.
    assert atlas.by_role(ALL, ROLES, False)[1] == ("first", [ALL[0], ALL[3]])
    assert atlas.by_role([ALL[1]], ROLES, True) == [("", [ALL[1]])]  # a role that no head has is not there


def test_the_table_says_the_role_and_its_share(trace) -> None:
    site = trace.sites[0]
    told = {(site, 1): ("first", 0.75)}
    table = atlas.table({}, (), [(site, 0), (site, 1)], {}, told)
    assert table["role"].tolist() == ["", "first"] and table["role_share"].fillna(-1).tolist() == [-1, 0.75]
    assert "role" not in atlas.table({}, (), [(site, 0)], {})


@pytest.mark.parametrize("parts", [[("", 24)], [("one", 5), ("two", 19)], None])
def test_the_figure_holds_the_same_pictures(trace, parts) -> None:
    sites = atlas.in_order(trace.sites)
    pictures = {site: atlas.picture(thumbnails(trace.record(site)).numpy()) for site in sites}
    closed = {site: ~allowed_bins(trace.record(site)).numpy() for site in sites}
    order = [(site, head) for site in sites for head in range(4)]
    names = {site: (atlas.group(site), f"layer {site.layer}", "D0", str(site)) for site in sites}
    drawn = static_chart.svg(static_atlas.chart(pictures, closed, order, parts, names, "0 – 1 · legend")).decode()
    images = re.findall(r'xlink:href="data:image/png;base64,([^"]+)"', drawn)
    images = images[1:]  # the scale
    assert len(images) == len(order) == 24 and "legend" in drawn
    assert all(title in drawn for title, _ in parts or ())
    edge = np.asarray(Image.open(io.BytesIO(base64.b64decode(images[-1]))).convert("RGB"))
    last = pictures[order[-1][0]][order[-1][1]]
    r, c = np.unravel_index(last.argmax(), last.shape)
    rows, columns = last.shape
    middle = edge[int((r + 0.5) * len(edge) / rows), int((c + 0.5) * len(edge) / columns)]
    assert tuple(middle) == tuple(
        edge.reshape(-1, 3)[edge.reshape(-1, 3).sum(1).argmin()]
    )  # the largest is the darkest


def test_the_table_is_the_statistics(trace) -> None:
    found = trace_statistics(trace)
    heads = [(site, head) for site in atlas.in_order(trace.sites) for head in range(4)]
    table = atlas.table(found, ["entropy", "distance"], heads, {heads[0]: 0.5})
    assert list(table.columns) == ["site", "head", "entropy", "distance", "like"] and len(table) == 24
    for row in table.itertuples():
        measured = found[Site.parse(row.site)]
        assert row.entropy == pytest.approx(float(measured.entropy[row.head]))
        assert math.isnan(row.distance) == (Site.parse(row.site).kind == "cross")
