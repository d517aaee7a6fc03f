"""From the operators of one attention to its facts: q, k, v, scale, soft cap, mask, bias, log-sum-exp and context.

What lies between the product of q and k and the softmax is run again with zeros in place of the product: what comes out
is everything that is added, mask and bias alike, bit for bit. The facts are then held against the weights that the model
really used, and where an operator between the two is none of these (a gate, a rotation of scores), the rest of each score
is kept as its bias, so that the record never says anything but what was computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.instrumentation.operator_graph import PRODUCTS, VIEWS, Node, Raw
from model.trace.mask_and_bias import is_masked, split
from model.transformer.masks import DenseMask, IntervalMask, RuleMask


@dataclass(eq=False)
class Call:
    """One attention, batch axis gone: q [h, q, d_k], k [h_kv, k, d_k], v [h_kv, k, d_v], context [h, q, d_v], lse [h, q].

    bias: [h or 1, q, k] or None. projection W_O [h · d_v, d], projection_bias b_O [d] and output [q, d] where they were
    found. from_elsewhere: whether keys come from another tensor than queries, None where it cannot be told.
    """

    path: list[tuple[str, str]]
    q: Tensor
    k: Tensor
    v: Tensor
    context: Tensor
    scale: float
    mask: RuleMask | IntervalMask | DenseMask
    lse: Tensor
    bias: Tensor | None = None
    softcap: float | None = None
    from_elsewhere: bool | None = None
    projection: Tensor | None = None
    projection_bias: Tensor | None = None
    output: Tensor | None = None
    parts: list[Call] = field(default_factory=list)


class BatchSeen(Exception):
    """The attention ran over this many examples at once."""


def read_kernel(raw: Raw) -> Call:
    """The facts of a fused call. Raises BatchSeen."""
    given = raw.kernel
    q, k, v = (given[name] for name in ("query", "key", "value"))
    if q.shape[0] != 1:
        raise BatchSeen(q.shape[0])
    scale = given.get("scale")
    scale = q.shape[-1] ** -0.5 if scale is None else float(scale)
    added = given.get("attn_mask", given.get("attn_bias"))
    causal = bool(given.get("is_causal", False))
    mask, bias = (RuleMask(causal), None) if added is None else split(_per_head(added), causal)
    heads, rows = q.shape[1], q.shape[2]
    lse = raw.lse.reshape(raw.lse.shape[0], raw.lse.shape[1], -1)[0, :heads, :rows]
    context = raw.context.out[0]
    k, v = compact(k[0].clone(), v[0].clone())
    return Call(raw.path, q[0].clone(), k, v, context.clone(), scale, mask, _settled(lse, mask, q, k), bias)


def _per_head(added: Tensor) -> Tensor:
    """[1 or b, 1 or h, q, k], [h, q, k] or [q, k] -> [1 or h, q, k]."""
    return added[0] if added.dim() == 4 else added[None] if added.dim() == 2 else added


def read_products(raw: Raw) -> Call:
    """The facts of an attention of two matrix products. Raises BatchSeen."""
    lead = [size for size in raw.weights.out.shape[:-2] if size != 1]
    if raw.weights.out.dim() >= 4 and (len(lead) > 1 and raw.weights.out.shape[0] != 1):
        raise BatchSeen(raw.weights.out.shape[0])
    product = raw.chain[0]
    q, k, transposed = _factors(product, raw)
    v, weights, context = _values(raw)
    scale, softcap, tensor_scale = _scaling(product, raw.chain[1:])
    for factor in (0, 1):
        number = _prescaled(product, PRODUCTS[product.name] + factor)
        scale *= number
        if number not in (0.0, 1.0):
            q, k = (q / number, k) if (factor == 0) != transposed else (q, k / number)
    if tensor_scale is not None:
        q = q * tensor_scale
    scores = _laid(raw, raw.weights.parents[0][1].out)
    added = _laid(raw, _without_product(product, raw.chain[1:]))
    low = is_masked(added)
    even = low.all(-1, keepdim=True) & scores.amax(-1, keepdim=True).isfinite()
    # Every key of a row hidden by one number: the softmax does not see what all of them share.
    scores = torch.where(even, scores - scores.amax(-1, keepdim=True), scores)
    mask, bias = split(added, False)
    lse = torch.logsumexp(scores.to(torch.promote_types(scores.dtype, torch.float32)), -1)
    call = Call(raw.path, q.clone(), k.clone(), v.clone(), context.clone(), scale, mask, lse, bias, softcap)
    if bool(even.any()) or not _agrees(call, weights):
        call.softcap, call.scale = None, scale if softcap is None else 1.0
        product_now = (call.q @ call.k.transpose(-1, -2)) * call.scale
        call.mask, call.bias = split(torch.where(low & ~even, added, scores - product_now), False)
    call.lse = _settled(lse, call.mask, q[None], k)
    call.k, call.v = compact(call.k, call.v)
    return call


def _laid(raw: Raw, scores: Tensor) -> Tensor:
    """What has the layout of the softmax -> [h, q, k], by the very steps that its output took to the second product."""
    for position, node in raw.after:
        scores = node.again(position, scores)
    scores = scores[None] if scores.dim() == 2 else scores
    return scores.transpose(1, 2) if raw.swapped else scores


def _values(raw: Raw) -> tuple[Tensor, Tensor, Tensor]:
    """(v [h, k, d_v], weights [h, q, k], context [h, q, d_v])."""
    first = PRODUCTS[raw.context.name]
    left, right = (_cube(raw.context.args[first + i]) for i in (0, 1))
    out = _cube(raw.context.out)
    if raw.swapped:
        return left.transpose(1, 2), right.transpose(1, 2), out.transpose(1, 2)
    return right, left, out


def _cube(tensor: Tensor) -> Tensor:
    return tensor[None] if tensor.dim() == 2 else tensor


def _factors(product: Node, raw: Raw) -> tuple[Tensor, Tensor, bool]:
    """(q [h, q, d_k], k [h, k, d_k], whether they were multiplied as k · qᵀ), heads in the order of the weights."""
    first = PRODUCTS[product.name]
    left, right = (_cube(product.args[first + i]) for i in (0, 1))
    moved = any(node.name not in ("view", "_unsafe_view", "expand", "clone", "_to_copy", "alias", "detach")
                for node in [*raw.chain[1:], *(node for _, node in raw.after)] if node.name in VIEWS)  # fmt: skip
    if not (moved or raw.swapped):
        return left, right.transpose(1, 2), False
    # Where each cell of the product ends up: one number a cell, sent the same way through every view.
    index = torch.arange(product.out.numel(), device=product.out.device).view(product.out.shape)
    before = product
    for node in raw.chain[1:]:
        if node.name in VIEWS and node.name not in ("_to_copy", "clone"):
            index = node.again(_position(node, before), index)
        before = node
    index = _laid(raw, index)
    _, rows, columns = index.shape
    heads, transposed = index[:, 0, 0] // (rows * columns), bool(columns > 1 and index[0, 0, 1] - index[0, 0, 0] != 1)
    if rows == 1 or columns == 1:
        transposed = left.shape[1] != rows
    return (right.transpose(1, 2)[heads], left[heads], True) if transposed else (
        left[heads], right.transpose(1, 2)[heads], False
    )  # fmt: skip


def _position(node: Node, before: Node) -> int:
    return next(at for at, parent in node.parents if parent is before)


def _number(node: Node, position: int) -> float | None:
    """The other factor of a `mul` or `div`, where it is one number."""
    other = node.args[1 - position] if len(node.args) > 1 else None
    if isinstance(other, Tensor):
        return float(other) if other.numel() == 1 else None
    return float(other) if isinstance(other, int | float) else None


def _scaling(product: Node, steps: list[Node]) -> tuple[float, float | None, Tensor | None]:
    """(scale, soft cap or None, a factor a head [h, 1, 1] or None) of the steps after the product."""
    scale, softcap, capped, heads = float(product.kwargs.get("alpha", 1)), None, False, None
    before = product
    for node in steps:
        position = _position(node, before)
        before = node
        if node.name == "tanh":
            capped, softcap = True, 1.0
        if node.name not in ("mul", "div") or (node.name == "div" and position == 1):
            continue
        number = _number(node, position)
        if number is None:
            other = node.args[1 - position]
            if other.dim() >= 3 and other.shape[-2:] == (1, 1) and not capped:
                factor = other.reshape(-1, 1, 1)
                factor = factor if node.name == "mul" else 1 / factor
                heads = factor if heads is None else heads * factor
            continue
        number = number if node.name == "mul" else 1 / number
        if capped:
            softcap *= number
        else:
            scale *= number
    return (scale * softcap if softcap is not None else scale), softcap, heads


def _prescaled(product: Node, position: int) -> float:
    """What the factor of the product at `position` was multiplied by before, as one number (1 where by nothing)."""
    node = next((parent for at, parent in product.parents if at == position), None)
    while node is not None and node.name in VIEWS - {"_to_copy"}:
        node = node.parents[0][1]
    if node is None or node.name not in ("mul", "div") or isinstance(node.args[0], float | int):
        return 1.0
    number = _number(node, 0)
    if number is None or number == 0:
        return 1.0
    return number if node.name == "mul" else 1 / number


def _without_product(product: Node, steps: list[Node]) -> Tensor:
    """What the softmax would have read with q · kᵀ = 0: all that is added to it, mask and bias."""
    value = torch.zeros_like(product.out, memory_format=torch.contiguous_format)
    if product.name in ("baddbmm", "addmm"):
        value = value + product.args[0] * product.kwargs.get("beta", 1)
    before = product
    for node in steps:
        value = node.again(_position(node, before), value)
        before = node
    return value


def _settled(lse: Tensor, mask: RuleMask | IntervalMask | DenseMask, q: Tensor, k: Tensor) -> Tensor:
    """The log-sum-exp, 0 for a row with no key: its weights are then exp(−∞ − 0) = 0."""
    allowed = mask.allowed(q.shape[-2], k.shape[-2]).any(-1).to(lse.device)
    return torch.where(allowed & lse.isfinite(), lse, torch.zeros_like(lse))


def compact(k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values that several heads share, once: [h, k, ·] -> [h_kv, k, ·]."""
    heads = k.shape[0]
    if heads < 2 or not torch.equal(k[0], k[1]):
        return k, v
    for kept in range(1, heads):
        if heads % kept == 0 and all(
            torch.equal(t, t[:: heads // kept].repeat_interleave(heads // kept, 0)) for t in (k, v)
        ):
            return k[:: heads // kept].clone(), v[:: heads // kept].clone()
    return k, v


def _agrees(call: Call, weights: Tensor) -> bool:
    """Whether the facts give the weights that were used, on three rows of every head."""
    rows = sorted({0, weights.shape[1] // 2, weights.shape[1] - 1})
    scores = (call.q[:, rows].double() @ call.k.double().transpose(-1, -2)) * call.scale
    if call.softcap is not None:
        scores = call.softcap * torch.tanh(scores / call.softcap)
    if call.bias is not None:
        scores = scores + call.bias[:, rows].double()
    allowed = call.mask.allowed(weights.shape[1], weights.shape[2], torch.tensor(rows)).to(scores.device)
    found = scores.masked_fill(~allowed, -torch.inf).softmax(-1).nan_to_num(0.0)
    # A score is a sum of d_k products, rounded in the module's own precision: large ones leave the weights fewer digits.
    size = call.q[:, rows].double().norm(dim=-1).amax() * call.k.double().norm(dim=-1).amax() * abs(call.scale)
    bound = 16 * torch.finfo(weights.dtype).eps * (10 + size)
    return bool(((found - weights[:, rows].double().nan_to_num(0.0)).abs() <= bound).all())
