"""Tables of absolute positions among a model's parameters: which are added to its embeddings, which are trained."""

from __future__ import annotations

import re
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from model.checkpoints.disk.families import rules_of
from model.checkpoints.record import offload
from model.transformer.positions import Learned

_adding: WeakKeyDictionary[nn.Module, bool | None] = WeakKeyDictionary()  # asked in every run
_ENOUGH_ROWS = 8  # of a few rows, trained ones too could be of one length by chance


@dataclass(frozen=True, eq=False)
class PositionTable:
    """A table of a model's parameters, rows [k, d]: row `first` + i is added at position i. `name`: its dotted path."""

    name: str
    rows: Tensor
    first: int
    trained: bool = True
    stack: str = "encoder"


def position_tables(module: nn.Module) -> list[PositionTable]:
    """Every table of absolute positions that a model adds to its embeddings: ours, BERT's, GPT-2's, BART's, ViT's …

    One that its attention turns queries and keys by (RoFormer) is none of them.
    """
    rules = rules_of(str(getattr(getattr(module, "config", None), "model_type", "")))
    is_table, found = re.compile(rules.position_table).fullmatch, []
    for path, part in module.named_modules():
        last = path.rpartition(".")[2]
        stack = "decoder" if "decoder" in path or rules.architecture == "decoder" else "encoder"
        if isinstance(part, Learned):
            stack = "decoder" if path.startswith("target") else "encoder"
            found.append(PositionTable(f"{path}.table", part.table.detach(), 0, True, stack))
        elif isinstance(part, nn.Embedding) and is_table(last):
            pad = part.padding_idx
            first = int(getattr(part, "offset", 0)) or (0 if pad is None else pad + 1)
            fixed = "Sinusoid" in type(part).__name__ or sinusoidal_rows(part)
            if not turns(module.get_submodule(path.rpartition(".")[0])):
                found.append(PositionTable(f"{path}.weight", table_weight(part), first, not fixed, stack))
        for name, parameter in part.named_parameters(recurse=False):
            if is_table(name) and parameter.dim() == 3 and parameter.shape[0] == 1:
                full = f"{path}.{name}".lstrip(".")
                found.append(PositionTable(full, parameter.detach()[0], 0, True, stack))
    return found


def table_weight(part: nn.Module) -> Tensor:
    """The weight of an embedding, also where it is kept on disk."""
    return offload.parameter(part, "weight").detach()


def adds_positions(module: nn.Module) -> bool | None:
    """Whether positions are added to what a first layer reads, from a table or (in sound) by a convolution; None where that
    is not known, of a family outside the registry in which neither is found."""
    if module not in _adding:
        _adding[module] = _adds(module)
    return _adding[module]


def _adds(module: nn.Module) -> bool | None:
    parts = [(path.rpartition(".")[2], type(part).__name__) for path, part in module.named_modules()]
    turned = turns(module)
    # Some compute their rows as they run (M2M100), and are no table.
    made = any("pos_conv_embed" in name or ("position" in name and "Sinusoid" in kind) for name, kind in parts)
    if position_tables(module) or (made and not turned):
        return True
    known = rules_of(str(getattr(getattr(module, "config", None), "model_type", ""))).model_type != ""
    return False if known or turned or any("rotary" in name for name, _ in parts) else None


def turns(module: nn.Module) -> bool:
    """Whether an attention in it turns queries and keys by a table that it is handed (RoFormer's)."""
    return any(hasattr(part, "apply_rotary_position_embeddings") for part in module.modules())


def sinusoidal_rows(part: nn.Module) -> bool:
    """Whether an embedding's rows are sinusoids: all of one length then, as sin² + cos² of every pair of columns is 1.

    Told by the numbers: what the library fixes as it makes a model (Whisper) is no longer marked so in one that was loaded.
    """
    if not isinstance(part, nn.Embedding) or part.num_embeddings < _ENOUGH_ROWS:
        return False
    squares = table_weight(part).float().square().mean(-1)
    return 0 < squares.max().item() < 1.01 * squares.min().item()  # in bfloat16 they differ by some 1 in 250
