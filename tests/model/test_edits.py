"""Edited runs of our own Transformer against the same run in NumPy float64, edited on its weights and not on its scores."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import torch

from model import open_model
from model.checkpoints.own import OwnModel
from model.edits.parse import KINDS, parse
from model.errors import HeadlightError
from model.errors.edits import BadEdit, NothingToEdit, OtherLength
from model.trace.record_own import ids_of
from tests import bounds
from tests.model import naive, tiny

pytestmark = pytest.mark.float32
OTHER = "the dogs see on the mat"
POSITIONS = ("sinusoidal", "learned", "relative", "rotary", "alibi")
Array = np.ndarray


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], OwnModel]:
    root, found = tmp_path_factory.mktemp("edits"), {}
    for positions in POSITIONS:
        for norm in ("post", "pre"):
            folder = tiny.write_checkpoint(root / f"{positions}-{norm}", positions=positions, norm=norm)
            found["both", positions, norm] = open_model(folder)
    for shape in ("decoder", "encoder"):
        found[shape, "rotary", "pre"] = open_model(
            tiny.write_checkpoint(root / shape, shape=shape, positions="rotary", norm="pre")
        )
    return found


class Edited(naive.Run):
    """weights, contexts: (site, head) -> what becomes of it; values: name of an activation -> what becomes of it."""

    def __init__(self, weights: dict, contexts: dict, values: dict, *given: object):
        self.weights, self.contexts, self.values = weights, contexts, values
        super().__init__(*given)

    def change_weights(self, at: str, head: int, weights: Array, allowed: Array) -> Array:
        change = self.weights.get((at, head))
        return weights if change is None else change(weights.copy(), allowed)

    def change_context(self, at: str, head: int, context: Array) -> Array:
        change = self.contexts.get((at, head))
        return context if change is None else change(context.copy())

    def change(self, name: str, x: Array) -> Array:
        change = self.values.get(name)
        return x if change is None else change(x.copy())


def brute(
    model: OwnModel, trace, weights: dict | None = None, contexts: dict | None = None, values: dict | None = None
):
    source, target = (None if ids is None else ids.tolist() for ids in ids_of(trace))
    given = model.module.state_dict(), model.config.to_dict(), source, target
    return Edited(weights or {}, contexts or {}, values or {}, *given).got


def renormalised(weights: Array) -> Array:
    total = weights.sum(1, keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def without(key: int, query: int | None = None, keep: bool = False):
    def change(weights: Array, _allowed: Array) -> Array:
        rows = slice(None) if query is None else slice(query, query + 1)
        weights[rows, key] = 0
        return weights if keep else renormalised(weights)

    return change


def even(weights: Array, allowed: Array) -> Array:
    return renormalised(allowed.astype(float))


def previous(weights: Array, allowed: Array) -> Array:
    found = np.zeros_like(weights)
    for i in range(len(found)):
        found[i, max(i - 1, 0)] = 1
    return renormalised(found * allowed)


def drawn(query: int, row: list[float], keep: bool):
    def change(weights: Array, allowed: Array) -> Array:
        put = np.array(row + [0.0] * (weights.shape[1] - len(row))) * allowed[query]
        if put.sum() > 0:
            weights[query] = put if keep else put / put.sum()
        return weights

    return change


# (edit, what it does to weights, to contexts): of the site encoder.0.self, head 1, where nothing else is said.
SITE, HEAD = "encoder.0.self", 1
CASES = {
    "off:encoder.0.self.1": ({}, {HEAD: lambda z: 0 * z}),
    "off:encoder.0.self.1:q2": ({}, {HEAD: lambda z: z * (np.arange(len(z)) != 2)[:, None]}),
    "scale:encoder.0.self.1:-0.5": ({}, {HEAD: lambda z: -0.5 * z}),
    "hide:encoder.0.self.1:k2": ({HEAD: without(2)}, {}),
    "hide:encoder.0.self.1:q4:k3": ({HEAD: without(3, 4)}, {}),
    "hide:encoder.0.self.1:q4:k3:keep": ({HEAD: without(3, 4, keep=True)}, {}),
    "hide:encoder.0.self:k0": ({head: without(0) for head in range(4)}, {}),
    "pattern:encoder.0.self.1:uniform": ({HEAD: even}, {}),
    "pattern:encoder.0.self.1:previous": ({HEAD: previous}, {}),
    "pattern:encoder.0.self.1:q3:row=0.25,0.5,1": ({HEAD: drawn(3, [0.25, 0.5, 1], keep=False)}, {}),
    "pattern:encoder.0.self.1:q3:row=0.25,0.5:keep": ({HEAD: drawn(3, [0.25, 0.5], keep=True)}, {}),
}  # fmt: skip


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("edit", CASES)
def test_an_edited_run_is_the_edited_run(models, edit: str, positions: str) -> None:
    model = models["both", positions, "post" if positions in ("sinusoidal", "alibi") else "pre"]
    trace = model.trace(tiny.TEXT, tiny.WRITTEN, edits=[edit])
    weights, contexts = ({(SITE, head): change for head, change in each.items()} for each in CASES[edit])
    known = brute(model, trace, weights, contexts)
    for name in (f"{SITE}.context", "encoder.1.self.context", "decoder.1.cross.context", "logits"):
        bounds.close(trace.store[name], known[name], 500, size=5 * bounds.size_of(known[name]), what=name)
    for site in ("encoder.0.self", "encoder.1.self", "decoder.1.cross"):
        for head in range(4):
            shown = trace.weights(site, head)
            np.testing.assert_allclose(shown, known[f"{site}.weights"][head], atol=2e-5, err_msg=f"{site} {head}")
    assert trace.facts["edits"] == [str(parse(edit))] and trace.fidelity().holds


def test_heads_that_no_edit_names_keep_their_bits(models) -> None:
    model = models["both", "rotary", "pre"]
    plain = model.trace(tiny.TEXT, tiny.WRITTEN)
    for edit in ("off:encoder.1.self.2", "hide:encoder.1.self.2:k3", "pattern:encoder.1.self.2:uniform"):
        trace = model.trace(tiny.TEXT, tiny.WRITTEN, edits=[edit])
        same = [name for name in plain.store.names() if torch.equal(plain.store[name], trace.store[name])]
        before = [
            name for name in plain.store.names() if name.startswith(("encoder.0.", "encoder.1.self.q", "parameters/"))
        ]
        assert set(before) <= set(same)
        heads = [
            head
            for head in range(4)
            if torch.equal(*(run.store["encoder.1.self.context"][head] for run in (plain, trace)))
        ]
        assert heads == [0, 1, 3]
        assert torch.equal(plain.logits, trace.logits) is False


@pytest.mark.parametrize(("shape", "edit"), [
    ("decoder", "hide:decoder.*.self:k1"), ("decoder", "pattern:decoder.0.self.2:first"), ("encoder", "off:encoder.*.self.3"),
])  # fmt: skip
def test_the_other_shapes(models, shape: str, edit: str) -> None:
    model = models[shape, "rotary", "pre"]
    trace = model.trace(tiny.GAP if shape == "encoder" else tiny.TEXT, edits=[edit])

    def first(weights: Array, allowed: Array) -> Array:
        return np.eye(weights.shape[1])[allowed.argmax(1)] * allowed

    weights = {
        "hide:decoder.*.self:k1": {(f"decoder.{i}.self", h): without(1) for i in range(2) for h in range(4)},
        "pattern:decoder.0.self.2:first": {("decoder.0.self", 2): first},
    }.get(edit, {})
    contexts = {(f"encoder.{i}.self", 3): lambda z: 0 * z for i in range(2)} if shape == "encoder" else {}
    known = brute(model, trace, weights, contexts)
    bounds.close(trace.logits, known["logits"], 500, size=5 * bounds.size_of(known["logits"]))
    assert trace.fidelity().holds


def test_means_patches_units_and_their_order(models) -> None:
    model = models["both", "sinusoidal", "post"]
    text = quote(OTHER, safe="")
    other = brute(model, model.trace(OTHER, tiny.WRITTEN))
    example = brute(model, model.trace(tiny.TEXT))  # the card's only example, which writes by itself
    mean = example["encoder.0.self.context"][1].mean(0)

    def placed(name: str, at: int):
        def change(x: Array) -> Array:
            x[at] = other[name][at]
            return x

        return change

    def unit(x: Array) -> Array:
        x[:, 5] = 0.7
        return x

    def patched(z: Array) -> Array:
        z[2] = other["encoder.0.self.context"][1][2]
        return z

    cases = {
        "off:encoder.0.self.1:mean": ({}, {("encoder.0.self", 1): lambda z: 0 * z + mean}, {}),
        f"patch:encoder.0.self.1:q2:text={text}": ({}, {("encoder.0.self", 1): patched}, {}),
        f"patch:encoder.1.stream:q2:text={text}": ({}, {}, {"encoder.0.ffn.norm": placed("encoder.0.ffn.norm", 2)}),
        f"patch:encoder.0.stream:q3:text={text}": ({}, {}, {"encoder.input": placed("encoder.input", 3)}),
        f"patch:encoder.1.ffn.output:text={text}": ({}, {}, {"encoder.1.ffn.output": lambda _: other["encoder.1.ffn.output"]}),
        "neuron:encoder.0.ffn:5:0.7": ({}, {}, {"encoder.0.ffn.post": unit}),
    }  # fmt: skip
    for edit, changes in cases.items():
        trace = model.trace(tiny.TEXT, tiny.WRITTEN, edits=[edit])
        known = brute(model, trace, *changes)
        bounds.close(trace.logits, known["logits"], 500, size=5 * bounds.size_of(known["logits"]), what=edit)
        assert trace.fidelity().holds, edit
    hide, put = "hide:encoder.0.self.1:k2", "pattern:encoder.0.self.1:uniform"
    hidden_last = model.trace(tiny.TEXT, tiny.WRITTEN, edits=[put, hide]).weights("encoder.0.self", 1)
    put_last = model.trace(tiny.TEXT, tiny.WRITTEN, edits=[hide, put]).weights("encoder.0.self", 1)
    assert hidden_last[:, 2].abs().max() == 0 and put_last[:, 2].min() > 0.1


def test_writing_is_edited_too(models) -> None:
    """What is written under an edit is what a search over the edited model's own logits writes."""
    model, edit = models["both", "sinusoidal", "post"], "off:decoder.*.cross"
    trace = model.trace(tiny.TEXT, edits=[edit], new_tokens=6)
    contexts = {(f"decoder.{i}.cross", h): lambda z: 0 * z for i in range(2) for h in range(4)}
    ids = [model.start_id("zh")]
    while len(ids) < 7:
        given = model.module.state_dict(), model.config.to_dict(), list(trace.side("encoder").ids), ids
        last = Edited({}, contexts, {}, *given).got["logits"][-1]
        last[0] = -np.inf
        if int(last.argmax()) == model.target.ids["</s>"]:
            break
        ids.append(int(last.argmax()))
    assert list(trace.side("decoder").ids) == ids
    assert ids != list(model.trace(tiny.TEXT, new_tokens=6).side("decoder").ids)


def test_text_forms_parse_back() -> None:
    for text in (*CASES, "off:decoder.1.cross:mean", "hide:encoder.*.*:k2", "hide:decoder.1.cross.1:q4:k3",
                 "pattern:encoder.0.self.1:head2", "pattern:encoder.0.self.1:q4:itself", "scale:decoder.*.*.0:0.5:q3",
                 "patch:decoder.1.cross.1:q4:text=le%20chat%3A%20100%25", "neuron:encoder.1.ffn:17:0"):  # fmt: skip
        edit = parse(text)
        assert str(edit) == text and parse(str(edit)) == edit and hash(edit) == hash(parse(text))
    assert {kind.kind for kind in KINDS.values()} == set(KINDS)


@pytest.mark.parametrize("text", [
    "", "off", "off:", "off:x", "off:encoder.0", "off:encoder.0.self.0.1", "off:encoder.0.both.1", "off:encoder.-1.self",
    "off:encoder.0.self:none", "hide:encoder.0.self.1", "hide:encoder.0.self.1:q4", "hide:encoder.0.self.1:k4:k5",
    "scale:encoder.0.self.1", "scale:encoder.0.self.1:x", "scale:encoder.0.self.1:nan", "scale:encoder.0.self.1:1e9",
    "pattern:encoder.0.self.1", "pattern:encoder.0.self.1:row=", "pattern:encoder.0.self.1:row=-1,2",
    "pattern:encoder.0.self.1:row=0,0", "pattern:encoder.0.self.1:q1:row=0.9,0.9:keep", "pattern:encoder.0.self.1:uniform:keep",
    "patch:encoder.0.self.1", "patch:encoder.0.self.1:text=", "neuron:encoder.0.self:1:0", "neuron:encoder.0.ffn:x:0",
    "nothing:encoder.0.self.1", "off:" + "x" * 5000, "hide:encoder.0.self.1:k" + "9" * 400,
])  # fmt: skip
def test_what_is_no_edit_is_said_in_one_sentence(text: str) -> None:
    with pytest.raises(BadEdit) as caught:
        parse(text)
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize(("edit", "error"), [
    ("off:encoder.7.self.1", NothingToEdit), ("off:encoder.0.self.4", NothingToEdit), ("off:picture.0.self", NothingToEdit),
    ("hide:encoder.0.self.1:k99", NothingToEdit), ("off:encoder.0.self.1:q99", NothingToEdit),
    ("pattern:decoder.0.cross.1:previous", NothingToEdit), ("pattern:encoder.0.self.1:head9", NothingToEdit),
    ("pattern:encoder.0.self.1:row=1,1,1,1,1,1,1,1", NothingToEdit), ("neuron:encoder.0.ffn:99:0", NothingToEdit),
    ("patch:encoder.9.stream:text=the%20cat", OtherLength), ("patch:encoder.9.stream:text=" + quote(OTHER), NothingToEdit),
    ("patch:encoder.0.stream:q50:text=" + quote(OTHER), NothingToEdit),
])  # fmt: skip
def test_what_finds_nothing_to_change_is_said(models, edit: str, error: type[HeadlightError]) -> None:
    with pytest.raises(error) as caught:
        models["both", "rotary", "pre"].trace(tiny.TEXT, tiny.WRITTEN, edits=[edit])
    assert len(str(caught.value)) <= 300


def test_the_module_is_as_it_was_after_a_hundred_edits(models) -> None:
    model = models["both", "relative", "pre"]
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    plain = model.trace(tiny.TEXT, tiny.WRITTEN)
    generator = np.random.default_rng(0)
    for _ in range(100):
        edits = generator.choice(list(CASES), size=3, replace=False)
        model.trace(tiny.TEXT, tiny.WRITTEN, edits=list(edits))
    after = model.module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    hooks = [part for part in model.module.modules() if part._forward_hooks or part._forward_pre_hooks]
    assert not hooks and torch.equal(model.trace(tiny.TEXT, tiny.WRITTEN).logits, plain.logits)


def test_two_at_once_never_see_each_others_edits(models) -> None:
    model = models["both", "rotary", "pre"]
    asked = [(), ("off:encoder.0.self",), ("hide:encoder.*.*:k2",), ("off:decoder.1.cross.1:mean",)]
    known = [model.trace(tiny.TEXT, tiny.WRITTEN, edits=edits).logits for edits in asked]
    wrong: list[int] = []

    def work(which: int) -> None:
        for _ in range(10):
            if not torch.equal(model.trace(tiny.TEXT, tiny.WRITTEN, edits=asked[which]).logits, known[which]):
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_measures_and_pictures_are_of_the_edited_weights(models, tmp_path: Path) -> None:
    from model.attention.downsample import thumbnails
    from model.measures.head_statistics import trace_statistics
    from model.trace.site import Site

    model = models["both", "rotary", "pre"]
    edits = [
        "pattern:encoder.0.self.1:q3:row=0.25,0.5:keep",
        "hide:encoder.0.self.2:k0",
        "pattern:encoder.0.self.0:head3",
    ]
    trace = model.trace(tiny.TEXT, tiny.WRITTEN, edits=edits)
    record = trace.record(SITE)
    known = np.stack([trace.weights(SITE, head).numpy() for head in range(4)])
    assert known[1, 3].sum() == pytest.approx(0.75, abs=1e-6)
    np.testing.assert_allclose(known[0], known[3], atol=1e-6)
    np.testing.assert_allclose(thumbnails(record), known, atol=1e-6)
    np.testing.assert_allclose([trace.row(SITE, 1, 3).numpy()], known[1, 3:4], atol=1e-6)
    first = trace_statistics(trace)[Site.parse(SITE)].values["first"]
    np.testing.assert_allclose(first, known[:, :, 0].mean(1), atol=1e-5)
    one = record.select([1, 0])
    np.testing.assert_allclose(one.weights(0), known[1], atol=1e-6)
    np.testing.assert_allclose(one.weights(1), known[0], atol=1e-6)


def test_a_saved_edited_run_opens_as_it_was(models, tmp_path: Path) -> None:
    from model import Trace

    model, text = models["both", "rotary", "pre"], quote(OTHER, safe="")
    edits = ["pattern:encoder.0.self.1:q3:row=0.25,0.5:keep", "hide:encoder.*.*.2:k0", "off:decoder.1.cross.3:mean"]
    edits += [f"patch:encoder.1.self.0:q2:text={text}", f"patch:encoder.1.stream:q2:text={text}"]
    edits += ["neuron:encoder.0.ffn:5:0.7"]
    trace = model.trace(tiny.TEXT, tiny.WRITTEN, edits=edits)
    opened = Trace.open(trace.save(tmp_path / "run.safetensors"))
    assert opened.facts["edits"] == trace.facts["edits"] and opened.key == trace.key and opened.fidelity().holds
    for site in trace.sites:
        for head in range(4):
            assert torch.equal(opened.weights(site, head), trace.weights(site, head))
    assert opened.fidelity().sites.keys() == trace.fidelity().sites.keys()


def test_a_saved_run_with_edits_that_are_none_is_refused(models, tmp_path: Path) -> None:
    from dataclasses import replace

    from model import Trace
    from model.errors import TraceFileError

    trace = models["both", "rotary", "pre"].trace(tiny.TEXT, tiny.WRITTEN)
    for edits in (["nothing"], ["hide:encoder.0.self:k99"], [3], "off:encoder.0.self", ["off:encoder.0.self"] * 201):
        wrong = replace(trace, facts={**trace.facts, "edits": edits})
        with pytest.raises(TraceFileError):
            Trace.open(wrong.save(tmp_path / "run.safetensors"))


def test_the_command_records_an_edited_run(tmp_path: Path) -> None:
    from model import Trace
    from model.__main__ import main

    folder = tiny.write_checkpoint(tmp_path / "tiny")
    given = ["record", "--model", str(folder), "--text", tiny.TEXT, "--out", str(tmp_path / "run.safetensors")]
    assert main([*given, "--edit", "off:encoder.0.self.1", "--edit", "hide:decoder.*.cross:k2"]) == 0
    assert Trace.open(tmp_path / "run.safetensors").facts["edits"] == [
        "off:encoder.0.self.1",
        "hide:decoder.*.cross:k2",
    ]
    assert main([*given, "--edit", "off:encoder"]) == 2
