"""The heads that one looks at first, against every head's whole weights in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.measures import notable_heads as notable


def test_they_are_the_first_of_all_by_the_definition(translator) -> None:
    trace = translator.trace("the cat sat on the mat", language="zh")
    entropy, previous = {}, {}
    for site, record in trace.attention.items():
        for head in range(record.heads):
            a = record.weights(head, dtype=torch.float64).numpy()
            entropy[site, head] = -(a * np.log(np.where(a > 0, a, 1))).sum(1).mean()
            if site.kind == "self":
                previous[site, head] = np.diag(a, -1).mean()
    sharp, before = notable.notable_heads(trace)
    assert (sharp.measure, before.measure) == ("entropy", "previous")
    assert sharp.value == pytest.approx(min(entropy.values()), rel=1e-5) == entropy[sharp.site, sharp.head]
    assert before.value == pytest.approx(max(previous.values()), rel=1e-5) == previous[before.site, before.head]


def test_a_long_run_is_not_asked(translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notable, "MOST", 100)
    assert notable.notable_heads(translator.trace("the cat sat on the mat")) == ()
