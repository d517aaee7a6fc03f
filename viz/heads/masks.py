"""A mask between scores and weights, and the mistakes with masks: frames of the equation component."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from viz.base import numbers, tokens
from viz.steps.equation import WEIGHTS, EquationFrame, shared_scale

if TYPE_CHECKING:
    import altair as alt

    from model.attention.mask_effects import Fill, Masked
    from model.trace.site import Site
    from model.trace.trace import Trace

_HEIGHT = 250  # pixels of the matrices at most
Cuts = tuple[slice, slice]


def _labels(trace: Trace, site: Site, cuts: Cuts) -> tuple[list[tokens.Label], list[tokens.Label]]:
    return tokens.query_labels(trace, site)[cuts[0]], tokens.key_labels(trace, site)[cuts[1]]


def mask_frame(
    trace: Trace, site: Site, masked_head: Masked, cuts: Cuts, at: tuple[int, int], words: dict[str, str]
) -> bytes:
    """S + M → softmax → A for the rows cuts[0]; dead cells are drawn as such in M and in A."""
    rows, columns = _labels(trace, site, cuts)
    frame = EquationFrame(words, at[0] - cuts[0].start, at[1] - cuts[1].start, _HEIGHT)
    dead = ~masked_head.allowed[:, cuts[1]].numpy()
    scores = masked_head.scores[:, cuts[1]].numpy()
    scale = shared_scale([scores])
    frame.matrix("S", scores, ("query", rows), ("key", columns), scale=scale)
    frame.operator("+")
    frame.matrix("M", np.where(dead, -np.inf, 0.0), ("query", None), ("key", columns), dead, scale=scale)
    frame.operator("→ softmax →")
    weights = masked_head.weights[:, cuts[1]].numpy()
    frame.matrix("A", weights, ("query", None), ("key", columns), dead, result=True, scale=WEIGHTS)
    return frame.frame()


def wrong_frame(
    trace: Trace,
    site: Site,
    pairs: list[tuple[str, np.ndarray, np.ndarray | None]],
    cuts: Cuts,
    at: tuple[int, int],
    words: dict[str, str],
) -> bytes:
    """Weights beside each other on one scale from 0 to 1: (symbol, values [r, k] already cut, dead cells or None)."""
    rows, columns = _labels(trace, site, cuts)
    frame = EquationFrame(words, at[0] - cuts[0].start, at[1] - cuts[1].start, _HEIGHT)
    for place, (symbol, values, dead) in enumerate(pairs):
        if place:
            frame.operator("|")
        frame.matrix(symbol, values, ("query", rows if not place else None), ("key", columns), dead, scale=WEIGHTS)
    return frame.frame()


def wrong_context_frame(
    trace: Trace, site: Site, weights: np.ndarray, v: np.ndarray, context: np.ndarray, dead: np.ndarray, cuts: Cuts,
    at: tuple[int, int], words: dict[str, str],
) -> bytes:  # fmt: skip
    """A × v = o where rows of A are NaN: every number of those rows of o is. `dead`: what the model's own mask forbids."""
    rows, columns = _labels(trace, site, cuts)
    frame = EquationFrame(words, at[0] - cuts[0].start, at[1] - cuts[1].start, _HEIGHT)
    frame.matrix("A", weights, ("query", rows), ("key", columns), dead & ~np.isnan(weights), scale=WEIGHTS)
    frame.operator("×")
    frame.matrix("v", v, ("key", None))
    frame.operator("=")
    frame.matrix("o", context, ("query", None), result=True)
    return frame.frame()


def picture(masked_head: Masked, rows: list[str], columns: list[str], titles: tuple[str, str]) -> alt.HConcatChart:
    """Scores and weights as one figure for a file."""
    import altair as alt

    from viz.base import static_chart

    scores, allowed = masked_head.scores.numpy(), masked_head.allowed.numpy()
    high = float(np.abs(scores).max(initial=0.0)) or 1.0
    charts = [
        static_chart.heat_map(scores, rows, columns, -high, high, allowed, (*titles, "S + M")),
        static_chart.heat_map(masked_head.weights.numpy(), rows, columns, 0, 1, allowed, (*titles, "A")),
    ]
    return alt.hconcat(*charts).resolve_scale(color="independent")


def fill_table(fills: list[Fill], words: dict[str, str]) -> str:
    """A Markdown table: dtype × what stands in the place of −∞, and what a row without allowed keys becomes."""
    names = {"-inf": "−∞", "-1e9": "−10⁹", "min": words["fill_min"]}
    lines = [f"| dtype | {words['fill_name']} | {words['fill_leak']} | {words['fill_dead']} |", "|:--|:--|--:|:--|"]
    for fill in fills:
        least, most = fill.dead
        if np.isnan(most):
            dead = words["fill_nan"]
        elif np.isclose(least, most, rtol=1e-6):
            dead = words["fill_uniform"].format(weight=f"{most:.3g}")
        else:
            dead = words["fill_open"].format(most=f"{most:.3g}")
        lines.append(f"| {fill.dtype} | {names[fill.name]} | {numbers.short(fill.leak)} | {dead} |")
    return "\n".join(lines)
