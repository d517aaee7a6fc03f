"""A step of the arithmetic as the frame of the equation component."""

from __future__ import annotations

import numpy as np
import pytest

from model import Trace
from model.steps.head import STEPS, Step, head_steps
from model.trace.site import Site
from tests import bounds
from viz.base.cell_states import MASKED, NAN, PLAIN
from viz.base.payload import unpack
from viz.steps.equation import EquationFrame, step_frame

pytestmark = pytest.mark.float32

SITES = ["encoder.0.self", "decoder.1.self", "decoder.0.cross"]


def framed(trace: Trace, site: str, step: Step, row: int = 1, column: int = 2) -> tuple[dict, dict[str, np.ndarray]]:
    known = Site.parse(site)
    axes = {"query": known.query_side, "key": known.key_side}
    return unpack(step_frame(trace, step, axes, row, column, {"masked": "masked"}))


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("number", range(len(STEPS)), ids=STEPS)
@pytest.mark.parametrize("fixture", ["trace", "pre_trace"])
def test_a_frame_holds_every_matrix_of_its_step(request: pytest.FixtureRequest, fixture: str, number: int, site: str):
    trace = request.getfixturevalue(fixture)
    step = head_steps(trace, site, 2, 1)[number]
    header, arrays = framed(trace, site, step)
    matrices = [operand for operand in step.operands if not isinstance(operand, str)]
    alone = len(step.operands) == 1 and step.operands[0] is step.result
    drawn = [item for item in header["items"] if "matrix" in item]
    shown = matrices if alone else [*matrices, step.result]
    assert [item["symbol"] for item in drawn] == [matrix.symbol for matrix in shown]
    assert len({item["matrix"] for item in drawn}) == len(drawn)
    for item, matrix in zip(drawn, shown, strict=True):
        values, state = arrays[item["matrix"]], arrays[f"{item['matrix']}.state"]
        np.testing.assert_array_equal(values, matrix.values.numpy().astype(np.float32))
        assert item["shape"] == f"{values.shape[0]} × {values.shape[1]}"
        dead = np.zeros(values.shape, bool) if matrix.masked is None else matrix.masked.numpy()
        assert ((state == MASKED) == dead).all()
        for labels, size in ((item["rows"], values.shape[0]), (item["columns"], values.shape[1])):
            assert labels is None or len(labels) == size
        assert item["highlight_row"] == {"query": 1, "key": 2}.get(matrix.rows)
        assert item["highlight_column"] == {"query": 1, "key": 2}.get(matrix.columns)
    assert sum(item["result"] for item in drawn) == (0 if alone else 1)
    operators = [item["operator"] for item in header["items"] if "operator" in item]
    assert operators == [o for o in step.operands if isinstance(o, str)] + ([] if alone else ["="])


@pytest.mark.parametrize("site", SITES)
def test_a_linked_product_is_the_product_of_what_is_drawn(trace: Trace, site: str):
    linked = 0
    for step in head_steps(trace, site, 0, 0):
        header, arrays = framed(trace, site, step)
        link = header["link"]
        if link is None or link["kind"] != "product":
            continue
        linked += 1
        product = arrays[link["left"]].astype(float) @ arrays[link["right"]].astype(float)
        if "bias" in link:
            product = product + arrays[link["bias"]]
        bounds.close(product, arrays[link["result"]], 64)
    assert linked == 6  # q, k, v, products, sum, project


def test_scales_put_zero_on_the_page_and_hold_the_largest(trace: Trace):
    for step in head_steps(trace, "decoder.0.self", 1, 1):
        header, arrays = framed(trace, "decoder.0.self", step)
        for item in (item for item in header["items"] if "matrix" in item):
            scale, values = item["scale"], arrays[item["matrix"]]
            if item["symbol"] in ("A", "A_iT"):
                assert (scale["kind"], scale["low"], scale["high"]) == ("sequential", 0, 1)
            else:
                assert scale["low"] == -scale["high"] < 0
                assert np.abs(values[np.isfinite(values)]).max() <= scale["high"] * (1 + 1e-6)


def test_a_matrix_used_twice_gets_a_name_of_its_own():
    frame = EquationFrame({})
    names = [frame.matrix("X", np.full((1, 2), float(i))) for i in range(3)]
    assert len(set(names)) == 3
    _, arrays = unpack(frame.frame())
    assert [arrays[name][0, 0] for name in names] == [0, 1, 2]


def test_odd_values_are_marked_and_still_framed():
    frame = EquationFrame({})
    name = frame.matrix("S", np.array([[np.nan, -np.inf, 0.5]]), masked=np.array([[False, True, False]]))
    header, arrays = unpack(frame.frame())
    assert arrays[f"{name}.state"].tolist() == [[NAN, MASKED, PLAIN]]
    assert header["items"][0]["scale"]["high"] == 0.5
    empty = EquationFrame({})
    empty.matrix("S", np.full((2, 2), np.nan))
    assert unpack(empty.frame())[0]["items"][0]["scale"]["high"] > 0


def test_whole_numbers_are_written_whole():
    frame = EquationFrame({})
    frame.matrix("x", np.array([[1.0, 0.0, -2.0]]))
    frame.matrix("y", np.array([[1.0, 0.5]]))
    assert [item["digits"] for item in frame.items] == [0, 2]
