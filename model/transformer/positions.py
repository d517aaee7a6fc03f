"""Position encodings: sinusoidal, learned, relative, rotary and ALiBi.

| name       | acts on                | source                                                   |
|------------|------------------------|----------------------------------------------------------|
| sinusoidal | the embedding, added   | Vaswani et al. 2017, section 3.5                         |
| learned    | the embedding, added   | Gehring et al. 2017; Devlin et al. 2018                  |
| relative   | keys and values        | Shaw, Uszkoreit & Vaswani 2018, equations 3 and 4        |
| rotary     | q and k, rotated       | Su et al. 2021 (RoFormer), equation 34                   |
| alibi      | the scores, added      | Press, Smith & Lewis 2021, section 3                     |

The last three belong to self-attention: between two different sequences an offset means nothing, so cross-attention
has no positions in those models.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

SINUSOID_BASE = 10000.0


def sinusoidal(
    length: int, d: int, n: float = SINUSOID_BASE, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "k d"]:
    """PE(k, 2i) = sin(k / n^(2i/d)), PE(k, 2i+1) = cos(k / n^(2i/d)) for 0 <= k < length, 0 <= i < d/2."""
    k = torch.arange(length, dtype=torch.float64)[:, None]
    i = torch.arange(d // 2, dtype=torch.float64)[None, :]
    angle = k / n ** (2 * i / d)
    table = torch.empty(length, d, dtype=torch.float64)
    table[:, 0::2], table[:, 1::2] = angle.sin(), angle.cos()
    return table.to(dtype)


class Sinusoidal(nn.Module):
    """Adds the fixed table: [b, k, d] -> [b, k, d]."""

    def __init__(self, length: int, d: int):
        super().__init__()
        self.register_buffer("table", sinusoidal(length, d, dtype=torch.get_default_dtype()), persistent=False)

    def encoding(self, length: int) -> Tensor:
        """What is added at the first `length` positions: [k, d]."""
        # float64 models get the table computed in float64, not a widened float32 one.
        exact = self.table.dtype == torch.float64
        return (
            sinusoidal(length, self.table.shape[1], dtype=torch.float64).to(self.table)
            if exact
            else self.table[:length]
        )


class Learned(nn.Module):
    """Adds one trained vector a position: [b, k, d] -> [b, k, d]."""

    def __init__(self, length: int, d: int):
        super().__init__()
        self.table = nn.Parameter(torch.randn(length, d) * d**-0.5)

    def encoding(self, length: int) -> Tensor:
        return self.table[:length]


class Relative(nn.Module):
    """Shaw et al.: trained vectors a^K and a^V for each offset j − i, clipped to ±`distance`; shared by the heads.

    score(i, j) = scale · q_i · (k_j + a^K_{j−i}) and output_i = Σ_j weight(i, j) · (v_j + a^V_{j−i}).
    """

    def __init__(self, distance: int, d_k: int):
        super().__init__()
        self.distance = distance
        self.keys = nn.Parameter(torch.randn(2 * distance + 1, d_k) * d_k**-0.5)
        self.values = nn.Parameter(torch.randn(2 * distance + 1, d_k) * d_k**-0.5)


def offsets(
    queries: int, keys: int, distance: int, rows: slice | Tensor = slice(None), columns: slice = slice(None)
) -> Tensor:
    """Row of the relative table for each pair: clip(j − i, −distance, distance) + distance, int64 [rows, columns]."""
    i = torch.arange(queries)[rows, None]
    j = torch.arange(keys)[None, columns]
    return (j - i).clamp(-distance, distance) + distance


class Rotary(nn.Module):
    """Turns each pair (2i, 2i+1) of q and k by the angle position · base^(−2i/d_k); q·k then depends on the offset."""

    def __init__(self, d_k: int, base: float = 10000.0):
        super().__init__()
        self.d_k, self.base = d_k, base

    def angles(self, length: int) -> Float[Tensor, "k pair"]:
        position = torch.arange(length, dtype=torch.float64)[:, None]
        return position * self.base ** (-torch.arange(0, self.d_k, 2, dtype=torch.float64) / self.d_k)

    def forward(self, x: Tensor) -> Tensor:
        """[b, h, k, d_k] -> [b, h, k, d_k], the norm of every pair unchanged."""
        angle = self.angles(x.shape[-2])
        cos, sin = angle.cos().to(x), angle.sin().to(x)
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)


def alibi_slopes(heads: int) -> Float[Tensor, h]:  # noqa: F821 (a jaxtyping axis)
    """The geometric slopes 2^(−8/h), 2^(−16/h), …; for h not a power of two, the published interleaving rule."""
    whole = 2 ** (heads.bit_length() - 1)
    slopes = [2 ** (-8 * (i + 1) / whole) for i in range(whole)]
    if whole < heads:
        slopes += [2 ** (-4 * (2 * i + 1) / whole) for i in range(heads - whole)]
    return torch.tensor(slopes, dtype=torch.float64)


def alibi_bias(
    slopes: Tensor, queries: int, keys: int, rows: slice | Tensor = slice(None), columns: slice = slice(None)
) -> Tensor:
    """−slope_h · |i − j| added to the scores: [h, rows, columns], in the dtype of `slopes`."""
    i = torch.arange(queries)[rows, None]
    j = torch.arange(keys)[None, columns]
    return -slopes[:, None, None] * (i - j).abs().to(slopes)
