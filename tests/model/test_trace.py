"""The record of a run: its laws, and every number of it against `naive`."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch

from model import Trace
from model.checkpoints.own import OwnModel
from model.errors import HeadlightError, OutOfRange, UnknownOption, UnknownSite
from model.trace.record_own import record_run
from model.transformer.config import NORMS, POSITIONS
from model.transformer.greedy import greedy, greedy_batch
from model.transformer.hook_points import HookPoint, run_with_hooks
from tests import bounds
from tests.model import naive, tiny

pytestmark = pytest.mark.float32

SITES = [
    "encoder.0.self", "encoder.1.self", "decoder.0.self", "decoder.0.cross", "decoder.1.self", "decoder.1.cross",
]  # fmt: skip
KINDS = [(positions, norm) for positions in POSITIONS for norm in NORMS]


def expected(model: OwnModel, trace: Trace) -> dict[str, np.ndarray]:
    ids = trace.token_ids("encoder"), trace.token_ids("decoder")
    return naive.Run(model.module.state_dict(), model.config.to_dict(), *ids).got


def test_sites_tokens_and_shapes(trace: Trace):
    assert [str(site) for site in trace.sites] == SITES
    assert trace.tokens("encoder") == ["the", "cat", "sat", "on", "the", "mat"]
    assert trace.tokens("decoder") == ["<zh>", "我", "喜欢", "猫", "。"]
    assert trace.token_ids("encoder") == [1, 2, 3, 4, 1, 5]
    assert trace.token_ids("decoder") == [1, 4, 5, 6, 14]
    assert trace.written() == ["我", "喜欢", "猫", "。", "</s>"]
    lengths = {"encoder": 6, "decoder": 5}
    for site in trace.sites:
        queries, keys = lengths[site.query_side], lengths[site.key_side]
        assert trace.q(site).shape == (4, queries, 4)
        assert trace.k(str(site)).shape == trace.v(site).shape == (4, keys, 4)
        assert trace.weights(site, 0).shape == (queries, keys)
        assert trace.weights(site, 0).dtype == torch.float32
    assert trace.logits.shape == (5, 15)


@pytest.mark.parametrize(("positions", "norm"), KINDS)
def test_every_recorded_number_is_the_papers(make_model, positions: str, norm: str):
    model = make_model(positions=positions, norm=norm)
    trace = model.trace(tiny.TEXT, tiny.WRITTEN, pad_to=9)
    want = expected(model, trace)
    compared = set()
    for name in trace.store.names():
        if name in want:
            bounds.close(trace.activation(name).numpy(), want[name], 1024, what=name)
            compared.add(name)
    assert set(want) - compared == {f"{s}.{part}" for s in SITES for part in ("weights", "scores")}
    for site in SITES:
        for head in range(4):
            weights = trace.weights(site, head).numpy()
            np.testing.assert_allclose(weights, want[f"{site}.weights"][head], atol=bounds.WEIGHT, rtol=0)


@pytest.mark.parametrize(("positions", "norm"), KINDS)
def test_float64_weights_are_exact(make_model, positions: str, norm: str):
    model = make_model(positions=positions, norm=norm)
    model = dataclasses.replace(model, module=copy.deepcopy(model.module).double())
    trace = model.trace(tiny.TEXT, tiny.WRITTEN, pad_to=8)
    want = expected(model, trace)
    for site in SITES:
        for head in range(4):
            got = trace.record(site).weights(head, dtype=torch.float64).numpy()
            np.testing.assert_allclose(got, want[f"{site}.weights"][head], atol=1e-12, rtol=0)
            tile = trace.record(site).weights(head, slice(1, 4), slice(0, 3), torch.float64).numpy()
            np.testing.assert_allclose(tile, want[f"{site}.weights"][head][1:4, :3], atol=1e-12, rtol=0)
    np.testing.assert_allclose(trace.logits.numpy(), want["logits"], atol=1e-12, rtol=0)
    assert trace.fidelity().max_error < 1e-12


@pytest.mark.parametrize(("positions", "norm"), KINDS)
def test_laws(make_model, positions: str, norm: str):
    trace = make_model(positions=positions, norm=norm).trace(tiny.TEXT, tiny.WRITTEN, pad_to=8)
    for site in trace.sites:
        for head in range(4):
            weights = trace.weights(site, head)
            assert (weights.sum(-1) - 1).abs().max() <= bounds.WEIGHT
            assert not weights[~trace.record(site).allowed()].any()
            if site.kind == "self" and site.stack == "decoder":
                assert not weights.triu(1).any()
            if site.key_side == "encoder":
                assert not weights[:, 6:].any()
                assert weights[:, :6].min() > 0
    names = [f"{stack}.{layer}.{part}" for stack, parts in (("encoder", ["self", "ffn"]),
             ("decoder", ["self", "cross", "ffn"])) for layer in (0, 1) for part in parts]  # fmt: skip
    stream = {"encoder": "encoder.input", "decoder": "decoder.input"}
    for name in names:
        side = name.split(".")[0]
        before, residual, normed = (trace.activation(n) for n in (stream[side], f"{name}.residual", f"{name}.norm"))
        bounds.close(residual, before + trace.activation(f"{name}.output"), 2)
        source = before if norm == "pre" else residual
        plain = (source - source.mean(-1, keepdim=True)) / (source.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        gamma, beta = (trace.parameter(name, part) for part in ("gamma", "beta"))
        if gamma is not None:
            bounds.close(normed, plain * gamma + beta, 64)
        stream[side] = f"{name}.norm" if norm == "post" else f"{name}.residual"


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_tile_is_a_slice_of_the_whole(make_model, positions: str):
    trace = make_model(positions=positions).trace(tiny.TEXT, tiny.WRITTEN, pad_to=8)
    spans = (None, slice(None), slice(0, 1), slice(2, 5), slice(1, None), slice(-2, None), slice(0, 5, 2), 3, -1)
    for site in trace.sites:
        whole = trace.weights(site, 2)
        for rows in spans:
            for columns in spans:
                r, c = (slice(None) if s is None else [s] if isinstance(s, int) else s for s in (rows, columns))
                tile = trace.weights(site, 2, rows, columns)
                torch.testing.assert_close(tile, whole[r][:, c], atol=bounds.WEIGHT, rtol=0)
        for i in range(whole.shape[0]):
            torch.testing.assert_close(trace.row(site, 2, i), whole[i], atol=bounds.WEIGHT, rtol=0)


@pytest.mark.parametrize(("positions", "norm"), KINDS)
def test_fidelity_is_small(make_model, positions: str, norm: str):
    trace = make_model(positions=positions, norm=norm).trace(tiny.TEXT, tiny.WRITTEN, pad_to=8)
    fidelity = trace.fidelity()
    assert list(fidelity.sites) == SITES
    for name, error in fidelity.sites.items():
        assert error <= bounds.off(trace.record(name).output, 64), name
    assert fidelity.logits_error == 0
    assert fidelity.holds


def test_memory_grows_with_the_length_not_its_square(make_model):
    model = make_model(d_ff=64)
    sizes = [model.trace(" ".join(["cat"] * n), " ".join(["猫"] * (n - 1))).nbytes() for n in (32, 64)]
    assert sizes[1] <= 2.1 * sizes[0]


def test_memory_is_what_the_tensors_take(trace: Trace):
    names = [name for name in trace.store.names() if not name.startswith("parameters/")]
    assert trace.nbytes() == sum(trace.activation(name).numel() * 4 for name in names)
    assert not any(trace.activation(name).shape[-2:] == (6, 6) for name in names)


def hooks(model: OwnModel) -> int:
    return sum(len(module._forward_hooks) for module in model.module.modules())


def test_hooks_come_off(tiny_model: OwnModel):
    tiny_model.trace(tiny.TEXT)
    assert hooks(tiny_model) == 0
    with pytest.raises(RuntimeError, match="halfway"), run_with_hooks(tiny_model.module):
        assert hooks(tiny_model) == sum(isinstance(m, HookPoint) for m in tiny_model.module.modules()) > 50
        raise RuntimeError("halfway")
    assert hooks(tiny_model) == 0
    with pytest.raises(IndexError):
        record_run(tiny_model.module, torch.tensor([1]), torch.tensor([99]))
    assert hooks(tiny_model) == 0


def test_recording_changes_nothing(tiny_model: OwnModel):
    source, target = torch.tensor([1, 2, 3, 4, 1, 5]), torch.tensor([1, 4, 5, 6])
    before = {name: value.clone() for name, value in tiny_model.module.state_dict().items()}
    with torch.no_grad():
        plain = tiny_model.module(source[None], target[None])[0]
        store, _ = record_run(tiny_model.module, source, target)
        again = tiny_model.module(source[None], target[None])[0]
    assert torch.equal(store["logits"], plain)
    assert torch.equal(again, plain)
    assert all(torch.equal(value, before[name]) for name, value in tiny_model.module.state_dict().items())


def test_training_mode_is_refused(tiny_model: OwnModel):
    module = copy.deepcopy(tiny_model.module).train()
    with pytest.raises(ValueError, match=r"training mode.*call eval"):
        record_run(module, torch.tensor([1]), torch.tensor([1]))


def test_wrong_questions_are_answered_in_one_sentence(trace: Trace, tiny_model: OwnModel):
    questions = [
        (lambda: trace.weights("encoder.7.self", 0), UnknownSite, "encoder.7.self.*decoder.1.cross"),
        (lambda: trace.weights("nonsense", 0), UnknownSite, "nonsense"),
        (lambda: trace.weights("encoder.0.self", 4), OutOfRange, "Head 4 is out of range: choose 0 to 3"),
        (lambda: trace.weights("encoder.0.self", -1), OutOfRange, "Head -1"),
        (lambda: trace.row("decoder.0.self", 0, 5), OutOfRange, "Query 5.*0 to 4"),
        (lambda: trace.tokens("middle"), UnknownOption, "middle.*encoder, decoder"),
        (lambda: trace.activation("encoder.0.x"), UnknownOption, "encoder.0.x"),
        (lambda: tiny_model.trace("the cat", language="de"), UnknownOption, "de.*zh, fr"),
        (lambda: tiny_model.trace("the cat", pad_to=1), HeadlightError, "pad_to is 1: choose 2 to 70"),
        (lambda: tiny_model.trace("the cat", pad_to=71), HeadlightError, "pad_to is 71"),
    ]
    for ask, error, said in questions:
        with pytest.raises(error, match=said) as refused:
            ask()
        assert "\n" not in str(refused.value)


def test_next_tokens_are_the_softmax_of_the_logits(trace: Trace):
    row = trace.logits[2].double().exp()
    want = row / row.sum()
    found = trace.next_tokens(2, top=3)
    assert [p for _, _, p in found] == pytest.approx(sorted(want.tolist(), reverse=True)[:3], abs=1e-12)
    assert all(tiny.TARGET[i] == token and want[i].item() == pytest.approx(p) for token, i, p in found)
    assert len(trace.next_tokens(0, top=99)) == 15


def test_greedy_writes_the_most_probable_word_each_time(tiny_model: OwnModel):
    for language in ("zh", "fr"):
        trace = tiny_model.trace(tiny.TEXT, language=language)
        logits = trace.logits.clone()
        logits[:, 0] = -torch.inf
        ids = [*trace.token_ids("decoder"), logits[-1].argmax().item()]
        assert ids[0] == {"zh": 1, "fr": 2}[language]
        assert logits.argmax(-1).tolist() == ids[1:]
        assert trace.written()[:-1] == [tiny.TARGET[i] for i in ids[1:-1]]
        assert trace.facts["finished"] == (trace.written()[-1] == "</s>")
        assert len(trace.tokens("decoder")) == 70 or trace.facts["finished"]


def test_padding_is_never_written(tiny_model: OwnModel):
    module = copy.deepcopy(tiny_model.module)
    with torch.no_grad():
        module.project.bias[0] = 1e6
    ids, finished = greedy(module, torch.tensor([1, 2, 3]), start=1, end=3, limit=9)
    assert 0 not in ids
    assert len(ids) == 9 or finished


def test_generating_in_a_padded_batch_is_generating_alone(tiny_model: OwnModel):
    sources = [[1, 2, 3, 4, 1, 5], [6, 7], [8]]
    padded = torch.tensor([ids + [0] * (6 - len(ids)) for ids in sources])
    rows, finished = greedy_batch(tiny_model.module, padded, [1, 2, 1], end=3, limit=12)
    alone = [greedy(tiny_model.module, torch.tensor(ids), s, 3, 12) for ids, s in zip(sources, [1, 2, 1], strict=True)]
    assert [(row, done) for row, done in zip(rows, finished, strict=True)] == alone


def test_an_empty_target_forces_nothing(tiny_model: OwnModel):
    written, blank = tiny_model.trace("the cat"), tiny_model.trace("the cat", "  ")
    assert blank.key == written.key
    assert blank.facts["generated"] is written.facts["generated"] is True
    assert tiny_model.trace("the cat", "猫").facts["generated"] is False


def test_keys_tell_runs_apart(tiny_model: OwnModel, make_model):
    keys = [
        tiny_model.trace("the cat", "猫").key,
        tiny_model.trace("the cat", "狗").key,
        tiny_model.trace("the cat", "猫", language="fr").key,
        tiny_model.trace("the cat", "猫", pad_to=4).key,
        make_model(seed=3).trace("the cat", "猫").key,
    ]
    assert len(set(keys)) == len(keys)
    assert tiny_model.trace("the cat", "猫").key == keys[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        keys[0].source = "dogs"
