"""The divergence of each query: a bar each, or runs of queries with their largest and mean; the selected one is marked."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from viz.base import static_chart
from viz.compare import heads as compare_charts

WORDS = {
    "js": "js",
    "place": "place",
    "query": "query",
    "query_runs": "each {n}",
    "run": "run",
    "mean_js": "mean",
    "alt": "rows",
}


def drawn(chart) -> list[list[dict]]:
    told = chart.to_dict()
    return [told["datasets"][layer["data"]["name"]] for layer in told["layer"]]


def test_few_queries_have_a_bar_each_and_the_selected_one_is_marked() -> None:
    js = np.array([0.1, 0.6, 0.0])
    bars, rule, point = drawn(compare_charts.rows_chart(js, ["a", "it's", "c"], WORDS, 1))
    assert [row["js"] for row in bars] == js.tolist() and [row["query"] for row in bars] == ["a", "it's", "c"]
    assert rule == point and (rule[0]["place"], rule[0]["js"]) == (1, 0.6)


@pytest.mark.parametrize("n", [65, 96, 97, 541, 4000])
def test_many_queries_are_runs_that_leave_none_out(n: int) -> None:
    js = np.random.default_rng(n).uniform(0, 0.69, size=n)
    texts = [f"t{i}" for i in range(n)]
    chart = compare_charts.rows_chart(js, texts, WORDS, n - 1, "dark")
    bars, means, _, point, named = drawn(chart)
    assert bars == means and len(bars) <= 96
    assert bars[0]["from"] == 0 and bars[-1]["to"] == n
    for one, after in pairwise(bars):
        assert one["to"] == after["from"]
    for row in bars:
        part = js[row["from"] : row["to"]]
        assert (
            row["js"] == part.max() and row["mean"] == pytest.approx(part.mean()) and row["query"] == f"t{row['place']}"
        )
    assert point[0]["js"] == js[-1]
    assert named[0]["name"] == f"#{js.argmax()} t{js.argmax()}"
    if n == 541:
        assert static_chart.svg(chart).startswith(b"<svg")
