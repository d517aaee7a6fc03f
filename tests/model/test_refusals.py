"""What a foreign module does that cannot be recorded as it is: the very thing is named, and no picture has wrong names."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
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


class Grouped(nn.Module):
    """An axis for the groups, merged into the rows by einsum."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(D, width) for width in (D, D // 2, D // 2, D))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.q(x).view(1, N, 2, 2, 4), self.k(x).view(1, N, 2, 4), self.v(x).view(1, N, 2, 4)
        weights = torch.einsum("bqgrd,bkgd->bgrqk", q, k).div(2.0).softmax(-1)
        return self.out(torch.einsum("bgrqk,bkgd->bqgrd", weights, v).reshape(x.shape))


class TwoEncoders(nn.Module):
    def __init__(self):
        super().__init__()
        self.text, self.image = (nn.MultiheadAttention(D, H, batch_first=True) for _ in range(2))

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return self.text(a, a, a, need_weights=False)[0], self.image(b, b, b, need_weights=False)[0]


class Shrinking(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.MultiheadAttention(D, H, batch_first=True) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x, x, x, need_weights=False)[0]
            x = F.avg_pool1d(x.transpose(1, 2), 2, ceil_mode=True).transpose(1, 2)
        return x


class Writer(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(20, D), nn.Linear(D, 20)
        self.layers = nn.ModuleList(nn.MultiheadAttention(D, H, batch_first=True) for _ in range(2))

    def forward(self, ids: Tensor) -> Tensor:
        for _ in range(3):
            x, later = self.table(ids), torch.ones(ids.shape[1], ids.shape[1]).triu(1).bool()
            for layer in self.layers:
                x = x + layer(x, x, x, attn_mask=later, need_weights=False)[0]
            ids = torch.cat([ids, self.head(x)[:, -1:].argmax(-1)], 1)
        return ids


class BiasKey(nn.Module):
    def __init__(self, **options: bool):
        super().__init__()
        self.attention = nn.MultiheadAttention(D, H, batch_first=True, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


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
        (Grouped, (X,), errors.AttentionLost, "Grouped cannot be followed"),
        (
            TwoEncoders,
            (X, torch.randn(1, 9, D)),
            errors.SeveralLengths,
            "image attends over 9 positions, and text over 6",
        ),
        (Shrinking, (X,), errors.SeveralLengths, "layers.1 attends over 3 positions, and layers.0 over 6"),
        (Writer, (torch.tensor([[1, 2, 3, 4]]),), errors.DecodingLoop, "layers.0 ran 3 times"),
        (lambda: BiasKey(add_bias_kv=True), (X,), errors.ExtraKeys, "6 queries meet 7 keys"),
        (lambda: BiasKey(add_zero_attn=True), (X,), errors.ExtraKeys, "6 queries meet 7 keys"),
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
