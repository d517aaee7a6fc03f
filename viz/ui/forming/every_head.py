"""Every head of the model at the step that is chosen, as small pictures; a press selects one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.measures.registry import ORDERABLE
from viz.atlas import atlas
from viz.base import export
from viz.ui import components, language
from viz.ui.atlas import canvas
from viz.ui.forming.matrix import at_step, badge
from viz.ui.language import say
from viz.ui.shared import figure_footer, measure_words, page_text
from viz.ui.state import view

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from model.forming.over_steps import StepRun
    from model.trace.site import Site
    from model.trace.trace import Trace

_FIGURE = "forming-heads"


def show(found: list[StepRun], step: int) -> None:
    """All pictures share the scale of 0–1, so those of two steps can be compared."""
    from model.attention import downsample
    from model.forming.over_steps import table

    run = at_step(found, step)
    sites = [site for site in atlas.in_order(run.trace.sites) if run.trace.fidelity().holds_at(str(site))]
    if not sites:
        return
    page_text.heading("forming.heads", step=f"{step:,}")
    size = atlas.size(run.trace)
    pooled, closed = _pooled(run.trace, sites, size)
    pictures = {site: atlas.picture(atlas.shares(values, "max", downsample.bin_lengths(run.trace.record(site).keys, size)))
                for site, values in pooled.items()}  # fmt: skip
    heads = [(site, head) for site in sites for head in range(run.trace.record(site).heads)]
    measures = {measure_words.on_card(name): {head: run.measures[head].get(name, float("nan")) for head in heads}
                for name in ORDERABLE}  # fmt: skip
    names, legend = canvas.names_of(sites), canvas.legend_of(run.trace, sites, size, "max")
    texts = language.group("atlas")
    words = {name: texts[name] for name in canvas.WORDS} | {
        "legend": legend, "alt": say("atlas.alt_text", shown=len(heads), heads=len(heads), sites=len(sites)),
    }  # fmt: skip
    site, head, _, _ = view.selected()
    frame = atlas.frame(
        run.trace, pictures, closed, heads, {}, measures, (site, head), canvas.picked(run.trace), words, names
    )
    components.atlas(key=_FIGURE, data=frame, on_select_change=lambda: canvas.select(_FIGURE),
                     on_picks_change=lambda: canvas.pick(_FIGURE))  # fmt: skip

    def static() -> object:
        from viz.atlas import static as static_atlas

        return static_atlas.chart(pictures, closed, heads, None, names, f"0 – 1 · {legend}")

    slug = f"{figure_footer.safe(run.trace.key.model)}-heads-step{step}"

    def csv() -> bytes:

        return export.table_csv(table([run]))

    files = {
        f"{slug}.csv": csv,
        f"{slug}.npz": lambda: export.npz(**{str(s): each.numpy() for s, each in pooled.items()}),
    }
    worst = max(sites, key=lambda site: badge(found, site).fails)
    code = (downsample.thumbnails, downsample._pool)
    figure_footer.draw(_FIGURE, say("forming.heads_sentence"), badge(found, worst), lambda: files, static, code)


def _pooled(trace: Trace, sites: list[Site], size: int) -> tuple[dict[Site, Tensor], dict[Site, np.ndarray]]:
    """By site: the largest weight of each bin, float32 [h, R, C], and which bins are masked, bool [R, C]."""
    from model.attention.downsample import allowed_bins
    from model.attention.downsample_heads import trace_thumbnails

    pooled = dict(trace_thumbnails(trace, size, "max", sites))
    return pooled, {site: ~allowed_bins(trace.record(site), size).numpy() for site in sites}
