"""The temperature on the Output page: the table, the formula and the foot follow it, for a next word and for a gap."""

from __future__ import annotations

import numpy as np
import pytest

from model import open_model
from tests import bounds
from tests.app.visit import Visit
from viz.base import numbers

TEXT = "the cat sat on the mat"


def softmax(z: np.ndarray, t: float) -> np.ndarray:
    e = np.exp((z - z.max()) / t)
    return e / e.sum()


def candidates(seen: Visit):
    return next(table.value for table in seen.at.dataframe if seen.say("output.logit") in table.value)


def slide(seen: Visit, value: float) -> Visit:
    seen.at.slider(key="output-T").set_value(value)
    seen.at.run()
    return seen.sound()


def check(seen: Visit, z: np.ndarray, t: float) -> None:
    table, order = candidates(seen), np.argsort(-z)[:10]
    assert list(table[seen.say("card.id")]) == order.tolist()
    written = 5e-5  # four decimals on the page
    np.testing.assert_allclose(table[seen.say("output.logit")], z[order], atol=written + bounds.off(z, 1024))
    bounds.close(table[seen.say("steps.probability")], softmax(z, 1)[order], 1024)
    p, plain = softmax(z, t), softmax(z, 1)
    if t != 1:
        np.testing.assert_allclose(table[f"T = {t:g}"], p[order], atol=bounds.WEIGHT)
    if t != 1:
        rest = numbers.short(max(0.0, 1 - float(p[order].sum())))
        said = " ".join(caption.value for caption in seen.at.caption)
        assert seen.say("output.rest_at", p=rest, t=f"{t:g}") in said or 1 - p[order].sum() < 1e-9
    before, after = (numbers.short(float(-(q[q > 0] * np.log(q[q > 0])).sum()), 4) for q in (plain, p))
    said = " ".join(caption.value for caption in seen.at.caption)
    change = {} if t == 1 else {"after": after, "t": f"{t:g}"}
    assert seen.say("output.entropy" if change else "output.entropy_plain", before=before, **change) in said
    assert numbers.tex(float(p.max()), 4) in " ".join(latex.value for latex in seen.at.latex)


@pytest.mark.parametrize("t", [1.0, 0.3, 2.5])
def test_the_next_word(visit, t: float) -> None:
    trace = open_model("translate").trace(TEXT, language="zh")
    seen = slide(visit("output", text=TEXT, site="decoder.0.self", head=0, q=2, k=0), t)
    check(seen, trace.logits[2].double().numpy(), t)  # of the selected word


def test_a_masked_word(visit, models) -> None:
    text = "the cat [MASK] on the mat"
    trace = open_model(models / "bert").trace(text)
    (gap,) = trace.facts["gaps"]
    seen = visit("output", model="bert", text=text)
    for t in (1.0, 0.5):
        check(slide(seen, t), trace.logits[gap].double().numpy(), t)


def test_ranges_where_only_the_likeliest_were_kept(visit, models, monkeypatch) -> None:
    from model.trace import logits

    monkeypatch.setattr(logits, "WHOLE", 10)
    other = " ".join(reversed(TEXT.split()))  # a run of its own: one that is kept has its logits whole
    seen = slide(visit("output", model="gpt2", text=other), 2.0)
    said = " ".join(caption.value for caption in seen.at.caption)
    assert seen.say("output.range", n=logits.LIKELIEST) in said
    assert all("…" in text for text in candidates(seen)["T = 2"])
