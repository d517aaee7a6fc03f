"""Attribution methods against their definitions written out in float64, on our own model and on families of the library."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model import Trace, open_model
from model.attribution.attribution import attribute
from model.attribution.metric import metric_of
from model.attribution.registry import METHODS
from model.checkpoints.own import OwnModel
from model.errors import NotInThisModel, OutOfRange, TextTooLong, UnknownOption
from model.trace.record_own import ids_of
from model.transformer.hook_points import changed
from tests.model import tiny
from tests.model.test_edits import brute, without

pytestmark = pytest.mark.float32
OWN = [("both", "sinusoidal", "post"), ("both", "relative", "pre"), ("both", "alibi", "post"), ("decoder", "rotary", "pre"),
       ("encoder", "learned", "pre")]  # fmt: skip
EDGES = [name for name, method in METHODS.items() if name not in ("flow", "gradient_input", "integrated_gradients")]


@pytest.fixture(scope="module", params=OWN, ids="-".join)
def opened(request, tmp_path_factory: pytest.TempPathFactory) -> tuple[OwnModel, Trace]:
    shape, positions, norm = request.param
    model = open_model(
        tiny.write_checkpoint(tmp_path_factory.mktemp("own") / "tiny", shape=shape, positions=positions, norm=norm)
    )
    text = tiny.GAP if shape == "encoder" else tiny.TEXT
    return model, model.trace(text, tiny.WRITTEN if shape == "both" else None)


class Dense:
    """The same model in float64 with every softmax written out, so that PyTorch tells ∂L/∂A itself."""

    def __init__(self, model: OwnModel, trace: Trace, metric: Any):
        module, points, self.weights, self.values, self.contexts = copy.deepcopy(model.module).double(), {}, {}, {}, {}
        for parameter in module.parameters():
            parameter.requires_grad_(True)
        for site in trace.sites:
            attention = getattr(getattr(module, site.stack)[site.layer], f"{site.kind}_attention")
            parts: dict[str, torch.Tensor] = {}

            def keep(part: str, value: torch.Tensor, parts=parts) -> torch.Tensor:
                parts[part] = value
                return value

            def context(_given: torch.Tensor, site=site, attention=attention, parts=parts) -> torch.Tensor:
                q, k, v = (parts[part][0] for part in "qkv")
                record = trace.record(site)
                i, j = np.indices((q.shape[1], k.shape[1]))
                scores = q @ k.mT * attention.scale
                if attention.slopes is not None:
                    scores = scores - attention.slopes.double()[:, None, None] * torch.tensor(abs(i - j))
                added = None
                if attention.relative is not None:
                    table = torch.tensor(np.clip(j - i, -3, 3) + 3)
                    scores = scores + torch.einsum("hqd,qkd->hqk", q, attention.relative.keys[table]) * attention.scale
                    added = attention.relative.values[table]
                weights = scores.masked_fill(~record.allowed(), -torch.inf).softmax(-1)
                weights.retain_grad()
                self.weights[site], self.values[site] = weights, (v, added)
                found = weights @ v + (0 if added is None else torch.einsum("hqk,qkd->hqd", weights, added))
                found.retain_grad()
                self.contexts[site] = found
                return found[None]

            points |= {
                getattr(attention, part): (lambda value, part=part, keep=keep: keep(part, value)) for part in "qkv"
            }
            points[attention.context] = context
        self.embeddings = {}
        for side, part in (("encoder", module.source), ("decoder", module.target)):
            if part is not None:
                points[part.embedding] = lambda x, side=side: self._leaf(side, x)
        with torch.enable_grad(), changed(points):
            logits = module(*(None if ids is None else ids[None] for ids in ids_of(trace)))[0]
            self.number = metric.of(logits)
            self.number.backward()

    def _leaf(self, side: str, x: torch.Tensor) -> torch.Tensor:
        self.embeddings[side] = leaf = x.detach().requires_grad_()
        return leaf


def same(found: torch.Tensor, wanted: torch.Tensor, what: str = "") -> None:
    size = max(1e-3, float(wanted.abs().max()))
    assert float((found.double() - wanted.double()).abs().max()) <= 2e-4 * size, what


def test_gradients_are_those_of_the_written_out_softmax(opened) -> None:
    model, trace = opened
    metric = metric_of(trace)
    dense = Dense(model, trace, metric)
    once, knocked = (attribute(model, trace, name) for name in ("gradient_attention", "knockout"))
    assert float(dense.number.detach()) == pytest.approx(metric.value(trace), abs=1e-4)
    assert dense.weights.keys() == set(trace.sites)
    for site, A in dense.weights.items():
        dA = A.grad
        for head in range(4):
            wanted = A[head] * dA[head]
            same(once.weights(site, head), wanted.detach(), f"{site} {head}")
            z = (A[head] * dA[head]).sum(-1, keepdim=True)  # Σ_j A_ij dA_ij = g_i · z_i
            alone = (1 - A[head]) < 1e-9
            effect = torch.where(alone, -z, -A[head] / (1 - A[head]).clamp(min=1e-12) * (dA[head] - z)).detach()
            same(knocked.weights(site, head), effect.masked_fill(A[head] == 0, 0), f"{site} {head}")
    frame = once.heads().set_index(["site", "head"])["effect"]
    for site, z in dense.contexts.items():
        for head in range(4):
            wanted = float((z[head] * z.grad[head]).sum().detach())
            assert frame[str(site), head] == pytest.approx(wanted, abs=2e-4 * max(1, abs(frame).max()))
    given = attribute(model, trace, "gradient_input")
    for side, x in dense.embeddings.items():
        same(given.tokens(side), (x * x.grad)[0].sum(-1).detach(), side)


def test_value_norms_and_contributions_by_loops(opened) -> None:
    model, trace = opened
    norms, nearer = (attribute(model, trace, name) for name in ("value_norm", "contribution"))
    for site in trace.sites:
        record, W_O = trace.record(site), trace.parameter(site, "W_O").double().numpy().reshape(4, 4, 16)
        y = trace.store[f"{site}.residual"].double().numpy()
        v = record.v.double().numpy()
        for head in range(4):
            A = record.weights(head, dtype=torch.float64).numpy()
            for i in range(record.queries):
                for j in range(record.keys):
                    value = v[head, j].copy()
                    if record.distance is not None:
                        value += trace.store[f"{site}.relative_values"].double().numpy()[max(-3, min(3, j - i)) + 3]
                    T = A[i, j] * value @ W_O[head]
                    assert float(norms.weights(site, head, i, j)) == pytest.approx(np.linalg.norm(T), abs=1e-5)
                    wanted = max(0, np.linalg.norm(y[i]) - np.linalg.norm(y[i] - T))
                    assert float(nearer.weights(site, head, i, j)) == pytest.approx(wanted, abs=1e-5)


def test_value_zeroing_is_the_run_without_that_value(opened) -> None:
    model, trace = opened
    if model.config.norm != "post":
        pytest.skip("the stream after a layer has another name")
    site, head, key = trace.sites[0], 2, 1
    other = brute(model, trace, {(str(site), head): without(key, keep=True)})
    plain = brute(model, trace)
    name = f"{site.stack}.{site.layer}.ffn.norm"
    wanted = [1 - a @ b / math.sqrt(a @ a * (b @ b)) for a, b in zip(plain[name], other[name], strict=True)]
    found = attribute(model, trace, "value_zeroing").weights(site, head)
    np.testing.assert_allclose(found[:, key], np.where(trace.record(site).allowed()[:, key], wanted, 0), atol=1e-5)


def test_rollout_and_flow_by_hand(opened) -> None:
    model, trace = opened
    reached = {side: {side: np.eye(len(trace.tokens(side)))} for side in trace.sides}
    for site in trace.sites:
        mean = np.mean([trace.record(site).weights(head, dtype=torch.float64).numpy() for head in range(4)], axis=0)
        mine, below = reached[site.query_side], reached[site.key_side]
        reached[site.query_side] = {source: 0.5 * mine.get(source, 0) + 0.5 * (mean @ below[source] if source in below else 0)
                                    for source in mine.keys() | below.keys()}  # fmt: skip
    metric = metric_of(trace)
    found = attribute(model, trace, "rollout")
    last = reached[trace.predicting_side]
    for source, matrix in last.items():
        np.testing.assert_allclose(found.tokens(source), matrix[metric.position], atol=1e-9)
    assert sum(float(each.sum()) for each in found.parts.tokens.values()) == pytest.approx(1)
    if len(trace.sides) > 1:
        with pytest.raises(NotInThisModel):
            attribute(model, trace, "flow")
        return
    flows = attribute(model, trace, "flow").tokens()
    layers = [
        np.mean([trace.record(site).weights(h, dtype=torch.float64).numpy() for h in range(4)], axis=0)
        for site in trace.sites
    ]
    for token in range(len(flows)):
        assert float(flows[token]) == pytest.approx(most_that_passes(layers, token, metric.position), abs=1e-3)


def most_that_passes(layers: list[np.ndarray], source: int, row: int) -> float:
    """Ford and Fulkerson's maximum flow, by shortest paths with room left."""
    n = len(layers[0])
    room = {}
    for at, mean in enumerate(layers):
        for i in range(n):
            for j in range(n):
                room[(at * n + j, (at + 1) * n + i)] = 0.5 * (mean[i, j] + (i == j))
    start, end, total = source, len(layers) * n + row, 0.0
    while True:
        before, queue = {start: None}, [start]
        for node in queue:
            for (a, b), left in list(room.items()):
                if a == node and left > 1e-9 and b not in before:
                    before[b] = a
                    queue.append(b)
        if end not in before:
            return total
        path, node = [], end
        while before[node] is not None:
            path.append((before[node], node))
            node = before[node]
        least = min(room[edge] for edge in path)
        total += least
        for a, b in path:
            room[a, b] -= least
            room[b, a] = room.get((b, a), 0.0) + least


def test_integrated_gradients_add_up(opened) -> None:
    model, trace = opened
    found = attribute(model, trace, "integrated_gradients")
    total = sum(float(each.sum()) for each in found.parts.tokens.values())

    def value(share: float) -> float:
        module = copy.deepcopy(model.module).double()
        points = {part.embedding: (lambda x: share * x) for part in (module.source, module.target) if part is not None}
        with torch.no_grad(), changed(points):
            return float(found.metric.of(module(*(None if ids is None else ids[None] for ids in ids_of(trace)))[0]))

    assert total + found.residue == pytest.approx(value(1.0) - value(0.0), abs=1e-3)
    steps = [value_gradient(model, trace, found.metric, (step + 0.5) / 32) for step in range(32)]
    assert total == pytest.approx(sum(steps) / 32, abs=1e-3 * max(1, abs(total)))


def value_gradient(model: OwnModel, trace: Trace, metric: Any, share: float) -> float:
    """x · ∂L/∂x at share · x, by a central difference along x: d/ds L(s · x)."""
    module, small = copy.deepcopy(model.module).double(), 1e-5

    def value(at: float) -> float:
        points = {part.embedding: (lambda x: at * x) for part in (module.source, module.target) if part is not None}
        with torch.no_grad(), changed(points):
            return float(metric.of(module(*(None if ids is None else ids[None] for ids in ids_of(trace)))[0]))

    return (value(share + small) - value(share - small)) / (2 * small)


@pytest.mark.parametrize("name", EDGES)
def test_every_method_of_edges_keeps_the_contract(opened, name: str) -> None:
    model, trace = opened
    found = attribute(model, trace, name)
    for site in trace.sites[:2]:
        record = trace.record(site)
        whole = found.weights(site, 1)
        assert (
            whole.dtype == torch.float32
            and tuple(whole.shape) == (record.queries, record.keys)
            and bool(whole.isfinite().all())
        )
        if name != "rollout":
            assert bool((whole[~record.allowed()] == 0).all())
        assert METHODS[name].signed or bool((whole >= 0).all())
        torch.testing.assert_close(found.weights(site, 1, slice(1, 3), slice(0, 2)), whole[1:3, 0:2])
    if name != "value_zeroing":
        frame = found.heads()
        assert list(frame.columns) == ["site", "head", "effect"] and len(frame) == 4 * len(trace.sites)
    method = METHODS[name]
    assert method.formula and method.source and method.name == name


def test_nothing_of_the_model_is_changed(opened) -> None:
    model, trace = opened
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    needed = [parameter.requires_grad for parameter in model.module.parameters()]
    for name in METHODS:
        if name != "flow":
            found = attribute(model, trace, name)
            _ = found.tokens() if found.parts.tokens else found.weights(trace.sites[0], 0)
    assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())
    assert needed == [parameter.requires_grad for parameter in model.module.parameters()]
    assert all(parameter.grad is None for parameter in model.module.parameters())
    assert not [part for part in model.module.modules() if part._forward_hooks]


def test_the_number_that_is_explained(opened) -> None:
    model, trace = opened
    metric = metric_of(trace)
    row = trace.logits[metric.position].double()
    best = row.argsort(descending=True).tolist()
    assert (metric.token, metric.against) == (best[0], best[1])
    assert metric.value(trace) == pytest.approx(float(row[best[0]] - row[best[1]]), abs=1e-5)
    alone = metric_of(trace, position=1, token=5, against=-1)
    assert alone.value(trace) == pytest.approx(float(trace.logits[1, 5]), abs=1e-5) and alone.against is None
    assert metric_of(trace, token=trace.vocabulary[6]).token == 6
    with pytest.raises(UnknownOption):
        metric_of(trace, token="nowhere")
    with pytest.raises(OutOfRange):
        metric_of(trace, position=99)
    with pytest.raises(UnknownOption):
        attribute(model, trace, "magic")


def test_the_number_of_a_run_whose_logits_were_too_many_to_keep(opened) -> None:
    from dataclasses import replace

    from model.trace.tensors import MemoryStore

    _, trace = opened
    metric, (count, size) = metric_of(trace), trace.logits.shape
    best = trace.logits.topk(4)
    kept = {name: trace.store[name] for name in trace.store.names() if name != "logits"}
    kept |= {
        "likeliest.logits": best.values,
        "likeliest.ids": best.indices,
        "likeliest.lse": trace.logits.logsumexp(-1),
    }
    thin = replace(trace, store=MemoryStore(kept | {"likeliest.size": torch.tensor([size])}))
    assert metric_of(thin) == metric and metric.value(thin) == pytest.approx(metric.value(trace), abs=1e-6)
    worst = int(trace.logits[count - 1].argmin())
    with pytest.raises(NotInThisModel, match="keep"):
        metric_of(thin, position=count - 1, token=worst).value(thin)


def test_what_cannot_be_done_is_said(opened, tmp_path: Path) -> None:
    model, trace = opened
    saved = Trace.open(trace.save(tmp_path / "run.safetensors"))
    assert (
        attribute(None, saved, "value_norm").weights(trace.sites[0], 0).shape[0] == trace.record(trace.sites[0]).queries
    )
    with pytest.raises(NotInThisModel, match="weights"):
        attribute(None, saved, "knockout").weights(trace.sites[0], 0)
    edited = model.again(trace, [f"off:{trace.sites[0]}.1"])
    with pytest.raises(NotInThisModel, match="edit"):
        attribute(model, edited, "knockout").weights(trace.sites[0], 0)
    with pytest.raises(NotInThisModel):
        attribute(model, trace, "gradient_input").weights(trace.sites[0], 0)


def test_a_long_text_is_refused_where_a_method_is_not_made_for_it(tmp_path: Path) -> None:
    model = open_model(tiny.write_checkpoint(tmp_path / "tiny", shape="decoder"))
    trace = model.trace(" ".join(["the cat"] * 30))
    with pytest.raises(TextTooLong):
        attribute(model, trace, "flow")


def test_the_run_once_more_is_the_run(opened) -> None:
    model, trace = opened
    again = model.again(trace, [])
    assert torch.equal(again.logits, trace.logits)
    edit = f"hide:{trace.sites[0]}.1:k1"
    asked = {"target": tiny.WRITTEN} if model.decodes else {}
    assert torch.equal(model.again(trace, [edit]).logits, model.trace(trace.key.source, edits=[edit], **asked).logits)
