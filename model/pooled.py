"""A long head in blocks, without its n × n weights: how much of the attention goes from where to where.

share[R, C] = mean over the queries i in block R of Σ_{j in block C} A_ij. With V := one column a block of keys, the fused
kernel's A · V is that sum for every query (the trick of a changed V costs one more attention call and O(n · d) memory).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from model.masks import Mask
from model.record import AttentionRecord

BLOCKS = 48
_ROWS = 256


def block_size(total: int, blocks: int = BLOCKS) -> int:
    """Tokens in each block; the last may have fewer."""
    return -(-total // blocks)


def block_shares(record: AttentionRecord, blocks: int = BLOCKS) -> Tensor:
    """float32 [h, R, C] with at most `blocks` blocks a side; a row sums to 1 (less what a sink takes)."""
    indicator = _indicator(record.keys, blocks)
    shares = _fused(record, indicator) if _plain(record) else _by_rows(record, indicator)
    return _mean_rows(shares, block_size(record.queries, blocks))


def _indicator(keys: int, blocks: int) -> Tensor:
    """[k, C], 1 where key j lies in block C."""
    of = torch.arange(keys) // block_size(keys, blocks)
    return functional.one_hot(of).float()


def _plain(record: AttentionRecord) -> bool:
    """Whether the fused kernel can say it: nothing is added to the scores but a mask."""
    added = any(f"{record.site}.{part}" in record.store for part in ("bias", "bias_offsets", "sinks"))
    return not added and record.softcap is None and record.slopes is None and record.distance is None


def _fused(record: AttentionRecord, indicator: Tensor) -> Tensor:
    """[h, q, C] by one attention call; queries and keys are padded with zeros, which changes no product."""
    q, k = record.q.float(), record.k.float().repeat_interleave(record.groups, 0)
    width = max(q.shape[-1], indicator.shape[-1])
    q, k, v = (functional.pad(x, (0, width - x.shape[-1])) for x in (q, k, indicator.expand(q.shape[0], -1, -1)))
    rule = isinstance(record.mask, Mask) and record.mask.keys is None
    causal = rule and record.mask.causal
    tile = None if rule else record.allowed()[None, None]
    mixed = functional.scaled_dot_product_attention(
        q[None], k[None], v[None], attn_mask=tile, is_causal=causal, scale=record.scale
    )
    return mixed[0, :, :, : indicator.shape[-1]].nan_to_num()  # a row without a key attends nothing


def _by_rows(record: AttentionRecord, indicator: Tensor) -> Tensor:
    """[h, q, C] in blocks of rows, for biased, capped or sunk scores."""
    heads = []
    for head in range(record.heads):
        spans = (slice(a, min(a + _ROWS, record.queries)) for a in range(0, record.queries, _ROWS))
        heads.append(torch.cat([record.weights(head, span) @ indicator for span in spans]))
    return torch.stack(heads)


def _mean_rows(shares: Tensor, size: int) -> Tensor:
    """[h, q, C] -> [h, R, C], the mean over the queries of each block."""
    h, q, _ = shares.shape
    whole = q // size * size
    means = shares[:, :whole].reshape(h, -1, size, shares.shape[-1]).mean(2)
    return means if whole == q else torch.cat([means, shares[:, whole:].mean(1, keepdim=True)], dim=1)
