"""What a foreign module does that cannot be recorded as it is: the very thing is named, and no picture has wrong names."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.bias import causal_lower_right
from torch.nn.attention.flex_attention import flex_attention

from model import errors, instrument

D, H, N = 16, 4, 6
X = torch.randn(1, N, D, generator=torch.Generator().manual_seed(0))


class Attention(nn.Module):
    """q kᵀ, the softmax and A v, with room for a change of the weights between them."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out, self.mix = nn.Linear(D, 3 * D), nn.Linear(D, D), nn.Linear(H, H, bias=False)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return tuple(self.qkv(x).view(1, -1, 3, H, D // H).permute(2, 0, 3, 1, 4))

    def change(self, weights: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return weights

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.parts(x)
        weights = self.change((q @ k.transpose(-1, -2) / math.sqrt(D // H)).softmax(-1), q, k)
        return self.out((weights @ v).transpose(1, 2).reshape(x.shape))


class TalkingHeads(Attention):
    def change(self, weights: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return self.mix(weights.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class MaskedLate(Attention):
    def change(self, weights: Tensor, q: Tensor, k: Tensor) -> Tensor:
        weights = weights * torch.ones(N, N).tril()
        return weights / weights.sum(-1, keepdim=True)


class Differential(Attention):
    def change(self, weights: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return weights - 0.3 * (q.flip(-1) @ k.transpose(-1, -2)).softmax(-1)


class Dropped(Attention):
    def change(self, weights: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return F.dropout(weights, 0.1)


class FusedDropped(Attention):
    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.parts(x)
        return self.out(F.scaled_dot_product_attention(q, k, v, dropout_p=0.1).transpose(1, 2).reshape(x.shape))


class Flex(Attention):
    def forward(self, x: Tensor) -> Tensor:
        return self.out(flex_attention(*self.parts(x)).transpose(1, 2).reshape(x.shape))


class LowerRight(Attention):
    """A mask that is a kind of tensor of its own, which no dispatch mode of PyTorch lets come into being."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.parts(x)
        mask = causal_lower_right(q.shape[2], k.shape[2])
        return self.out(F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).reshape(x.shape))


class Windows(Attention):
    """Windows of three positions on the batch axis, as Swin has them."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.reshape(-1, 3, D)).reshape(x.shape)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return tuple(self.qkv(x).view(x.shape[0], 3, 3, H, D // H).permute(2, 0, 3, 1, 4))


class OneHeadedWindows(Windows):
    """The windows lie where heads would."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x.reshape(-1, 3, D)).chunk(3, -1)
        return self.out(((q @ k.transpose(1, 2) / 4).softmax(-1) @ v).reshape(x.shape))


class WrongAxis(nn.Module):
    """The batch and the sequence taken for each other."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(D, H)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class KeysInBlocks(Attention):
    """Each block of keys has a softmax of its own."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.parts(x)
        scores = (q @ k.transpose(-1, -2)).unflatten(-1, (2, 3))
        return self.out((scores.softmax(-1).flatten(-2) @ v).transpose(1, 2).reshape(x.shape))


@pytest.mark.filterwarnings("ignore:flex_attention called without:UserWarning")
@pytest.mark.parametrize(
    ("module", "inputs", "kind", "says"),
    [
        (TalkingHeads, (X,), errors.WeightsChanged, "between the softmax and the values"),
        (MaskedLate, (X,), errors.WeightsChanged, "by mul"),
        (Differential, (X,), errors.WeightsChanged, "by"),
        (Dropped, (X,), errors.DropoutOn, "training=self.training"),
        (FusedDropped, (X,), errors.DropoutOn, "dropout_p=0.0"),
        (Flex, (X,), errors.HiddenOperator, "flex_attention"),
        (LowerRight, (X,), errors.HiddenOperator, "CausalBias"),
        (KeysInBlocks, (X,), errors.AttentionLost, "KeysInBlocks cannot be followed"),
        (Windows, (X,), errors.GroupsOnBatch, "Windows attention runs over 2 groups"),
        (OneHeadedWindows, (X,), errors.GroupsOnBatch, "OneHeadedWindows attention runs over 2 groups"),
        (WrongAxis, (X,), errors.GroupsOnBatch, "attention attention runs over 6 groups"),
        (Windows, (X.repeat(2, 1, 1),), errors.OneExample, "2 examples"),
    ],
)
def test_the_very_thing_is_named(module, inputs: tuple[Tensor, ...], kind: type[errors.HeadlightError], says: str):
    torch.manual_seed(0)
    with pytest.raises(kind) as refused:
        instrument(module().eval()).trace(*inputs)
    assert says in str(refused.value) and str(refused.value).count(". ") <= 1


def test_attention_between_two_sequences_may_have_more_keys():
    trace = instrument(nn.MultiheadAttention(D, H, batch_first=True).eval()).trace(
        X, torch.randn(1, 9, D), torch.randn(1, 9, D)
    )
    assert [str(site) for site in trace.sites] == ["decoder.0.cross"] and trace.fidelity().holds


def test_a_fault_of_the_recorder_is_one_sentence_that_says_whose_it_is(monkeypatch):
    from model.instrumentation.operators import tracker

    def broken(self, operation):
        raise KeyError("scores")

    monkeypatch.setattr(tracker.ScoreTracker, "_product", broken)
    monkeypatch.setitem(tracker._HANDLERS, "addmm", broken)
    tracker._handler.cache_clear()
    try:
        with pytest.raises(errors.RecorderFailed, match=r"stopped at addmm in .*\(KeyError: .*fault of Headlight"):
            instrument(nn.MultiheadAttention(8, 2, batch_first=True).eval(), forward=None).trace(
                *[torch.randn(1, 3, 8)] * 3
            )
    finally:
        tracker._handler.cache_clear()
