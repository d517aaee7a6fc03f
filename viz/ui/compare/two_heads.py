"""Two heads of two runs over the tokens that both have: both matrices, what changed, and each query's divergence."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from viz.base import export, numbers
from viz.base.check_note import CheckNote
from viz.ui import components, language
from viz.ui.compare import window
from viz.ui.compare.pair import HeadPair
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.shared.side_bar import site_name
from viz.ui.state import jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt

    from model.compare.aligned_runs import Pair
    from model.compare.heads import Aligned
    from model.trace.trace import Trace


def compared(two: HeadPair) -> Pair:
    """Difference, JS divergence and correlation of the two heads' weights, over every aligned token."""
    from model.compare import aligned_runs

    (a, b), cells = two.ends, (two.queries, two.keys)
    return jobs.cached(
        "comparing", two.name, two.key,
        lambda: aligned_runs.pair(a.trace.record(a.site), a.head, b.trace.record(b.site), b.head, *cells),
        say("comparing.wait_difference"),
    )  # fmt: skip


def tokens_line(trace: Trace, other: Trace, aligned: dict[str, Aligned], left: str = "comparing.changed") -> None:
    """Which tokens stand for each other, and which have no counterpart. left: how those that changed are said."""
    for side, each in aligned.items():
        first, second = (run.side(side).texts for run in (trace, other))
        changed = " · ".join(f"{page_text.code(first[i])} → {page_text.code(second[j])}" for i, j in each.changed[:12])
        alone = "; ".join(
            say(key, tokens=_named(texts, places))
            for key, texts, places in (
                ("comparing.alone_first", first, each.only_first), ("comparing.alone_second", second, each.only_second)
            )
            if places
        )  # fmt: skip
        said = [say("comparing.same", side=language.stack(side), n=len(each.pairs))]
        said += [say(left, pairs=changed)] if changed else []
        said += [say("comparing.alone", tokens=alone)] if alone else []
        st.caption(" ".join(said))


def _named(texts: Sequence[str], places: Sequence[int]) -> str:
    more = [f"+ {len(places) - 8:,}"] if len(places) > 8 else []
    return " ".join([*(page_text.code(texts[i]) for i in places[:8]), *more])


def matrices(two: HeadPair, found: Pair | None = None) -> None:
    """A, B and B − A, side by side where there is room; of a long text the window that is asked for.

    found: what is known of the two heads by their places in `two`, `compared` unless told.
    """
    from viz.compare import heads as pictures

    rows, columns = window.window(two, compared(two) if found is None else found)
    apart = two.change(rows, columns)
    end = float(np.abs(np.nan_to_num(apart)).max(initial=0.0)) or 1.0
    weights = {"kind": "sequential", "low": 0, "high": 1}
    opens = [two.allowed(which, rows, columns) for which in (0, 1)]
    figures = [
        (
            two.ends[0].title,
            two.weights(0, rows, columns),
            opens[0],
            weights,
            say("matrix.legend"),
        ),
        (
            two.ends[1].title,
            two.weights(1, rows, columns),
            opens[1],
            weights,
            say("matrix.legend"),
        ),
        (
            two.less,
            apart,
            two.shared(rows, columns) & (opens[0] | opens[1]),
            {"kind": "diverging", "low": -end, "high": end},
            say("comparing.legend"),
        ),
    ]
    words = language.group("matrix") | {
        "row": say("matrix.query"), "column": say("matrix.key"), "help": "", "masked": _hatched(two, opens, rows, columns)
    }  # fmt: skip
    labels = [two.labels(which, rows, columns) for which in (0, 1, None)]
    # All three have room for the longest label of any, so that their cells are of one size and their rows on one line.
    room = {"room": {"rows": labels[0][0] + labels[1][0], "columns": labels[0][1] + labels[1][1]}}
    with st.container(key=f"ways-{two.name}"):
        for place, (area, (title, values, present, scale, legend)) in enumerate(
            zip(st.columns(3), figures, strict=True)
        ):
            with area:
                st.markdown(f"**{title}**")
                told = words | {"legend": legend, "alt": title}
                shown = np.where(present, values, 0)
                sides = ("aligned-rows", "aligned-columns")
                components.matrix(
                    key=f"comparing-{two.name}-{place}",
                    data=pictures.plain_frame(shown, *labels[place], scale, told, sides, 360, room, present),
                )


def _hatched(two: HeadPair, opens: Sequence[np.ndarray], rows: slice, columns: slice) -> str:
    """What hatched cells are: those of tokens that one run lacks, masked ones, or both kinds."""
    present = [two.present(which, rows, columns) for which in (0, 1)]
    masked = any((there & ~open_).any() for there, open_ in zip(present, opens, strict=True))
    absent = say("comparing.cut_apart" if two.cut_apart else "comparing.absent")
    told = [say("matrix.masked")] if masked else []
    return " · ".join(told + ([absent] if not all(there.all() for there in present) or not masked else []))


def draw_footer(
    two: HeadPair, pair: Pair, sentence: str, slug: str, code: Sequence[object] = (), figure: object = None
) -> None:
    """The figure's footer: files of both heads, the code behind the numbers, the worse fidelity badge of both runs."""
    from model.compare import aligned_runs
    from model.compare import heads as compare_heads

    if window.long(two):
        sentence += " " + say("comparing.first_tokens", n=window.MOST)
    badge = badges(*(figure_footer.site_badge(end.trace, end.site) for end in two.ends))

    def csv() -> bytes:
        return export.rows_csv(two.rows(), *two.both())

    def npz() -> bytes:
        shape = (len(two.queries), len(two.keys))
        whole = {name: (shape, np.float32, two.rows(which)) for which, name in enumerate(("before", "after"))}
        return export.rows_npz(whole, js=pair.rows.numpy(), correlation=np.array(pair.correlation),
                               queries=two.queries, keys=two.keys)  # fmt: skip

    figure_footer.draw(f"comparing-{two.name}", sentence, badge, lambda: {f"{slug}.csv": csv, f"{slug}.npz": npz}, figure,
              (aligned_runs.pair, compare_heads.jensen_shannon, *code))  # fmt: skip


def badges(first: CheckNote, second: CheckNote) -> CheckNote:
    """How well each of the two runs checks; one note where it is the same."""
    if first == second:
        return first
    both = (("A", first), ("B", second))
    return CheckNote(tuple(replace(part, said=f"{name} {part.said}") for name, check in both for part in check.parts))


def divergence(texts: Sequence[str], rows: np.ndarray, at: int | None = None, mode: str = "") -> alt.LayerChart:
    """The chart of each query's divergence. at: the selected query. mode: the page's theme unless told."""
    from viz.compare import heads as pictures
    from viz.ui.theme import theme

    said = {name: say(f"comparing.{name}") for name in ("js", "place", "run", "mean_js")} | {
        "query": say("matrix.query"), "alt": say("comparing.rows_alt"), "query_runs": say("comparing.query_runs", n="{n}"),
    }  # fmt: skip
    return pictures.rows_chart(rows, texts, said, at, mode or theme())


def in_words(
    mean: float, r: float, largest: tuple[float, int, int], queries: Sequence[str], keys: Sequence[str]
) -> None:
    """Mean divergence, r, and the cell that differs most."""
    size, i, j = largest
    st.markdown(say("comparing.numbers", mean=f"{mean:.3f}", r="–" if np.isnan(r) else numbers.minus(f"{r:.3f}")))
    if size > 0:
        st.markdown(say("comparing.largest", size=numbers.short(size), query=page_text.code(queries[i]),
                        column=page_text.code(keys[j])))  # fmt: skip


def head_name(site: object, head: int) -> str:
    return f"{site_name(site)} · {say('comparing.head', head=head)}"
