"""Position encodings: tables added to embeddings, pairs that rotate, and a model whose positions are switched off.

Every number is made by the code that the model itself runs (`model.transformer.positions`), or is read from a recorded run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from model.checkpoints.record.position_tables import PositionTable
from model.trace.difference import max_difference
from model.trace.record_own import record_run
from model.trace.rounding import allowed, allowed_norm, allowed_weights
from model.trace.site import Site
from model.trace.trace import Trace
from model.transformer.encoder_decoder import Transformer
from model.transformer.layer_norm import layer_norm
from model.transformer.positions import SINUSOID_BASE, sinusoidal


def products(table: Tensor) -> Tensor:
    """Dot products between the rows of a table of positions [k, d] -> float64 [k, k]."""
    table = table.double()
    return table @ table.T


def wavelengths(d: int, n: float = SINUSOID_BASE) -> Tensor:
    """After how many positions each dimension of the sinusoidal table repeats, float64 [d]: λ_2i = λ_2i+1 = 2π · n^(2i / d)."""
    return 2 * torch.pi * n ** (2 * (torch.arange(d, dtype=torch.float64) // 2) / d)


def rotation(pair: int, shift: int, d: int, n: float = SINUSOID_BASE) -> Tensor:
    """R with R · PE(k)_pair = PE(k + shift)_pair for every k, float64 [2, 2] (Vaswani et al. 2017, section 3.5).

    The pair is (sin(k ω), cos(k ω)) with ω = n^(−2 · pair / d); R depends on the shift and not on k.
    """
    angle = torch.tensor(shift * n ** (-2 * pair / d), dtype=torch.float64)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, sin]), torch.stack([-sin, cos])])


@dataclass(frozen=True, eq=False)
class PairRotation:
    """A pair of dimensions of one position, rotated by `shift`: matrix [2, 2]; before, rotated, looked_up (in the table) [2]."""

    matrix: Tensor
    before: Tensor
    rotated: Tensor
    looked_up: Tensor

    @property
    def error(self) -> float:
        return max_difference(self.rotated, self.looked_up)


def rotated(d: int, position: int, shift: int, pair: int, n: float = SINUSOID_BASE) -> PairRotation:
    """PE(position) rotated by `rotation`, and PE(position + shift) as the table has it."""
    rows = sinusoidal(position + shift + 1, d, n, torch.float64)[:, 2 * pair : 2 * pair + 2]
    matrix = rotation(pair, shift, d, n)
    return PairRotation(matrix, rows[position], matrix @ rows[position], rows[position + shift])


def rotation_error(length: int, d: int, shift: int, n: float = SINUSOID_BASE) -> float:
    """max |R · PE(k) − PE(k + shift)| over every pair and every k for which both are in the table of `length` rows."""
    table = sinusoidal(length + shift, d, n, torch.float64).unflatten(1, (d // 2, 2))
    rotations = torch.stack([rotation(pair, shift, d, n) for pair in range(d // 2)])
    return max_difference(torch.einsum("pab,kpb->kpa", rotations, table[:length]), table[shift:])


def rotation_limit(length: int, shift: int) -> float:
    """How large `rotation_error` may be: an angle of up to `length` + `shift` radians, rounded to float64 on either way."""
    return allowed(float(length + shift), 2, torch.float64)


@dataclass(frozen=True, eq=False)
class Sum:
    """X = E + PE (+ T, of the segments) at one stack's bottom, each [n, d], and how far it is from what was recorded.

    normed: the record holds LayerNorm(X), and `error` is that of the norm; limit: how large it may be. factor: E is the
    token's row × this;
    `factor_error` compares that product with E, None where the token table is not at hand.
    """

    embedding: Tensor
    positions: Tensor
    total: Tensor
    error: float
    segments: Tensor | None = None
    normed: bool = False
    factor: float | None = None
    factor_error: float | None = None
    limit: float = 0.0


def recorded_sum(trace: Trace, stack: str, module: nn.Module | None = None) -> Sum | None:
    """E + PE = X of our own models, all three recorded; with the opened `module`, E against √d · token table."""
    names = [f"{stack}.{part}" for part in ("embedding", "positions", "input")]
    if not all(name in trace.store for name in names):
        return None
    embedding, positions, total = (trace.activation(name) for name in names)
    factor = error = None
    if isinstance(module, Transformer):
        part = module.source if stack == "encoder" else module.target
        rows = part.tokens.weight.detach()[torch.tensor(trace.token_ids(stack))]
        factor, error = float(part.factor), max_difference(rows * part.factor, embedding)
    limit = allowed(total, dtype=total.dtype)
    return Sum(
        embedding, positions, total, max_difference(embedding + positions, total), None, False, factor, error, limit
    )


def _word_table(module: nn.Module) -> nn.Embedding | None:
    """The table of token embeddings; None where the input is a picture or a sound, or the library does not say."""
    try:
        found = module.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    return found if isinstance(found, nn.Embedding) else None


def library_sum(trace: Trace, table: PositionTable, module: nn.Module) -> Sum | None:
    """E + PE (+ T) of a library model, made from its tables; None unless it is what the record says entered layer 0."""
    name, stack = f"{table.stack}.0.stream", table.stack
    words = _word_table(module)
    if stack not in trace.sides or name not in trace.store or words is None:
        return None
    ids, recorded = torch.tensor(trace.token_ids(stack)), trace.activation(name)
    parent = module.get_submodule(table.name.removesuffix(".weight").rpartition(".")[0])
    with torch.no_grad():
        embedding = words(ids)
        rows = table.rows[table.first : table.first + len(ids)]
        if embedding.shape != recorded.shape or rows.shape != recorded.shape:
            return None
        segments = None
        if (types := getattr(parent, "token_type_embeddings", None)) is not None:
            segments = types(torch.tensor(trace.side(stack).segments or (0,) * len(ids)))
        total = embedding + rows + (0 if segments is None else segments)
        ways = [(max_difference(total, recorded), False, allowed(total, 2, recorded.dtype))]
        norms = [norm for norm in parent.children() if isinstance(norm, nn.LayerNorm)]
        ways += [(max_difference(norm(total), recorded), True, _norm_limit(norm, total)) for norm in norms]
    error, normed, limit = min(ways)
    return Sum(embedding, rows, total, error, segments, normed, limit=limit) if error <= limit else None


def _norm_limit(norm: nn.LayerNorm, x: Tensor) -> float:
    """How far two LayerNorms of a sum x, added up in another order, may lie apart."""
    wide = x.double()
    found = layer_norm(wide, epsilon=norm.eps)
    gain = torch.ones(x.shape[-1]) if norm.weight is None else norm.weight.detach().double()
    shift = 0.0 if norm.bias is None else allowed(norm.bias.detach(), dtype=x.dtype)
    return allowed_norm(wide, found.mean, found.sigma, gain, x.dtype, allowed(x, 2, x.dtype)) + shift


def without_positions(module: Transformer) -> Transformer:
    """The same weights with the positions switched off (`TransformerConfig.positions` = "none"); tensors are shared."""
    with torch.random.fork_rng(devices=[]):  # building the module may not disturb the caller's random numbers
        twin = Transformer(module.config.with_changes(positions="none"))
    weights = module.state_dict()
    twin.load_state_dict({name: weights[name] for name in twin.state_dict()}, assign=True)
    return twin.eval()


@dataclass(frozen=True, eq=False)
class Shuffled:
    """One head's weights [n, n] on the words as they stand and on the words in `order`.

    back: the second, its rows and columns put back where their words stood. error: max |back − plain|; largest: the same
    over every head of every encoder layer; limit: what two runs that add up in another order allow.
    """

    order: tuple[int, ...]
    plain: Tensor
    shuffled: Tensor
    back: Tensor
    error: float
    largest: float
    limit: float


def shuffle(
    module: Transformer,
    source: Sequence[int],
    target: Sequence[int] | None,
    order: Sequence[int],
    layer: int,
    head: int,
) -> Shuffled:
    """Run the encoder's self-attention on `source` ids and on the same ids in `order`: word order[r] stands at r.

    target: what the decoder reads, None of an encoder alone.
    """
    ids, goes = torch.tensor(source), torch.tensor(order)
    written = None if target is None else torch.tensor(target)
    _, first = record_run(module, ids, written)
    _, second = record_run(module, ids[goes], written)
    home = goes.argsort()
    largest, limit, chosen = 0.0, 0.0, None
    for site, record in first.items():
        for h in range(record.heads if str(site).startswith("encoder") else 0):
            plain, moved = record.weights(h), second[site].weights(h)
            back = moved[home][:, home]
            largest = max(largest, max_difference(back, plain))
            # The stream has been summed over d numbers in each layer below.
            limit = max(limit, allowed_weights(record.scores(h), (site.layer + 1) * module.config.d_model))
            if (site, h) == (Site("encoder", layer, "self"), head):
                chosen = Shuffled(tuple(order), plain, moved, back, max_difference(back, plain), 0.0, 0.0)
    return replace(chosen, largest=largest, limit=limit)
