"""What a recorded run of a foreign module leaves: tokens, keys and files in the trace, and nothing on the module."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn

from model import Trace, instrument
from model.errors import HeadlightError
from tests.model import foreign


def test_tokens_are_given_or_asked_for():
    class Tokenizer:
        def encode(self, text: str) -> list[int]:
            return [int(c) for c in text]

        def decode(self, ids: list[int]) -> str:
            return "abcdefghijk"[ids[0]]

    m = instrument(foreign.EncoderDecoder().eval(), Tokenizer(), logits=True)
    trace = m.trace("3456", torch.tensor([[1, 2]]))
    assert trace.tokens("encoder") == list("defg") and trace.logits.shape == (2, 13)
    trace = m.trace("345", torch.tensor([[1, 2]]), tokens={"decoder": ["x", "y"]})
    assert trace.tokens("decoder") == ["x", "y"] and trace.tokens("encoder") == list("def")
    with pytest.raises(HeadlightError, match="3 tokens were given for the decoder, which has 2 positions"):
        m.trace("345", torch.tensor([[1, 2]]), tokens={"decoder": ["x", "y", "z"]})
    with pytest.raises(HeadlightError, match="“memory” is not known: choose one of encoder, decoder"):
        m.trace("345", torch.tensor([[1, 2]]), tokens={"memory": ["x"]})
    assert instrument(foreign.EncoderDecoder().eval()).trace(torch.tensor([[3, 4]]), torch.tensor([[1]])).tokens(
        "encoder"
    ) == ["0", "1"]


def test_a_trace_is_saved_and_opened(tmp_path):
    trace = instrument(foreign.EncoderDecoder().eval()).trace(torch.tensor([[3, 4, 0]]), torch.tensor([[1, 2]]))
    opened = Trace.open(trace.save(tmp_path / "run.safetensors"))
    assert opened.sites == trace.sites
    assert torch.equal(opened.weights("decoder.0.cross", 1), trace.weights("decoder.0.cross", 1))


def test_equal_runs_have_equal_keys():
    module = foreign.EncoderDecoder().eval()
    ids = torch.tensor([[3, 4]]), torch.tensor([[1, 2]])
    first = instrument(module).trace(*ids).key
    assert instrument(module).trace(*ids).key == first
    assert instrument(module).trace(ids[0], torch.tensor([[1, 3]])).key != first
    with torch.no_grad():
        module.generator.bias[0] += 1
    assert instrument(module).trace(*ids).key != first


def test_what_cannot_be_recorded_is_refused_in_one_sentence():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    x = torch.randn(1, 5, 8)
    with pytest.raises(HeadlightError, match=r"training mode.*call eval\(\)"):
        instrument(layer).trace(x)
    with pytest.raises(HeadlightError, match="training mode"):
        instrument(nn.MultiheadAttention(8, 2, dropout=0.1)).trace(x, x, x)
    for batch in (x.repeat(2, 1, 1), x.repeat(3, 1, 1)):
        with pytest.raises(HeadlightError, match=f"{len(batch)} examples"):
            instrument(layer.eval()).trace(batch)
        for need_weights in (True, False):
            with pytest.raises(HeadlightError, match=f"{len(batch)} examples"):
                mha = nn.MultiheadAttention(8, 2, batch_first=True).eval()
                instrument(mha).trace(batch, batch, batch, need_weights=need_weights)
    with pytest.raises(HeadlightError, match="2 examples"):
        instrument(foreign.HeadByHead().eval()).trace(torch.randn(2, 5, 12))
    with pytest.raises(HeadlightError, match="No attention was seen"):
        instrument(nn.Linear(8, 8)).trace(x)
    with pytest.raises(HeadlightError, match="compiled or scripted"):
        instrument(torch.compile(nn.Linear(8, 8), backend="eager"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_module_is_refused():
    with pytest.raises(HeadlightError, match="compiled or scripted"):
        instrument(nn.Sequential(torch.jit.script(nn.Linear(8, 8))))


def test_training_mode_without_dropout_is_recorded():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    assert len(instrument(layer).trace(torch.randn(1, 5, 8)).sites) == 1


def hooks(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


def test_everything_comes_off_also_after_an_error():
    class Fails(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = foreign.Einsum()

        def forward(self, x: Tensor) -> Tensor:
            self.inner(x)
            raise RuntimeError("on purpose")

    module = Fails().eval()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="on purpose"):
            instrument(module).trace(torch.randn(1, 5, 12))
        assert hooks(module) == 0 and torch.backends.mha.get_fastpath_enabled()
        assert torch.utils._python_dispatch._get_current_dispatch_mode() is None
    good = foreign.EncoderDecoder().eval()
    ids = torch.tensor([[3, 4, 5]]), torch.tensor([[1, 2]])
    with torch.no_grad():
        before = good(*ids)
    instrument(good).trace(*ids)
    assert hooks(good) == 0
    with torch.no_grad():
        assert torch.equal(good(*ids), before)


def test_two_threads_on_one_module():
    module = foreign.EncoderDecoder().eval()
    inputs = [(torch.tensor([[3 + i, 4, 5]]), torch.tensor([[1, 2 + i]])) for i in range(2)]
    alone = [instrument(module).trace(*given) for given in inputs]
    shared, wrong = instrument(module), []

    def work(i: int) -> None:
        for turn in range(6):
            trace = (shared if turn % 2 else instrument(module)).trace(*inputs[i])
            if trace.sites != alone[i].sites or any(
                not torch.equal(trace.record(site).context, alone[i].record(site).context) for site in trace.sites
            ):
                wrong.append((i, turn))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and hooks(module) == 0 and torch.backends.mha.get_fastpath_enabled()
