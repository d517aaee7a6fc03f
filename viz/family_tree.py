"""The families of models as a drawing of who descends from whom, and as a table of what each is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from viz.base import svg
from viz.encoder_decoder import CROSS, DECODER, ENCODER

if TYPE_CHECKING:
    from model.families import FamilyCard

Words = Mapping[str, str]
COLOURS = {"encoder": ENCODER, "decoder": DECODER, "both": CROSS}
_LANES = {"encoder": 200.0, "both": 480.0, "decoder": 730.0}
_WIDTH, _BOX = 800.0, (116.0, 40.0)
# Where each stands: its lane, how far from the lane's middle, and its row.
_PLACES = {
    "transformer": ("both", 0.0, 0),
    "gpt": ("decoder", 0.0, 1),
    "bert": ("encoder", 66.0, 2),
    "mbert": ("encoder", -84.0, 2),
    "gpt2": ("decoder", 0.0, 3),
    "roberta": ("encoder", -66.0, 4),
    "xlnet": ("encoder", 66.0, 4),
    "bart": ("both", -62.0, 4),
    "t5": ("both", 66.0, 4),
    "gpt3": ("decoder", 0.0, 5),
}
_ROWS, _STEP, _TOP = 6, 78.0, 66.0


def _place(key: str) -> svg.Point:
    lane, aside, row = _PLACES[key]
    return _LANES[lane] + aside, _TOP + _STEP * row


def tree(cards: Sequence[FamilyCard], words: Words) -> str:
    """Every family under the year of its paper, in the lane of its stacks, with lines from what it descends from."""
    height = _TOP + _STEP * (_ROWS - 1) + 50
    parts = [svg.text((x, 18), words[lane], 13, colour=COLOURS[lane], weight=600) for lane, x in _LANES.items()]
    years = {card.year: _place(card.key)[1] for card in reversed(cards)}
    parts += [svg.text((0, y), str(year), 12, "start", opacity=0.6) for year, y in years.items()]
    for card in cards:
        parts += [_line(parent, card.key, COLOURS[card.stacks]) for parent in card.parents]
    for card in cards:
        (x, y), (wide, high) = _place(card.key), _BOX
        parts.append(svg.box((x - wide / 2, y - high / 2), _BOX, COLOURS[card.stacks], 0.16))
        parts.append(svg.text((x, y - 6), card.title, 14, weight=600))
        size = amount(card.counted)
        named = size if card.original[0].isdigit() else f"{card.original} · {size}"
        parts.append(svg.text((x, y + 11), named, 11, opacity=0.75))
    return svg.drawing(parts, _WIDTH, height, words["alt"])


def _line(parent: str, child: str, colour: str) -> str:
    """From the parent's edge to the child's: downwards, or sideways within a year."""
    (x0, y0), (x1, y1) = _place(parent), _place(child)
    half = _BOX[1] / 2
    if y0 == y1:
        side = _BOX[0] / 2 if x1 > x0 else -_BOX[0] / 2
        return svg.arrow([(x0 + side, y0), (x1 - side, y1)], colour, 1.3)
    return svg.arrow([(x0, y0 + half), (x1, y1 - half - 2)], colour, 1.3)


def amount(count: int) -> str:
    """109,482,240 -> 109 M; 174,604,259,328 -> 175 B."""
    if count >= 10**9:
        return f"{count / 1e9:.3g} B"
    return f"{count / 1e6:.3g} M"


def table(cards: Sequence[FamilyCard], words: Words) -> pd.DataFrame:
    """One line a family: kinds in words, sizes as numbers. `words` names the columns and each kind (`stacks_both`, …)."""
    return pd.DataFrame([
        {
            words["family"]: card.title,
            words["year"]: card.year,
            words["stacks"]: words[f"stacks_{card.stacks}"],
            words["positions"]: words[f"positions_{card.positions}"],
            words["norm"]: words[f"norm_{card.norm}"],
            words["activation"]: card.activation,
            words["mask"]: words[f"mask_{card.mask}"],
            words["objective"]: words[f"objective_{card.objective}"],
            words["original"]: card.original,
            words["layers"]: f"{card.layers} + {card.layers}" if card.stacks == "both" else str(card.layers),
            "d_model": card.d_model,
            "h": card.heads,
            "d_k": card.head_width,
            "d_ff": card.d_ff,
            words["vocabulary"]: card.vocabulary,
            words["parameters"]: card.counted,
            words["source"]: f"{card.paper}; {card.source}",
        }
        for card in cards
    ])  # fmt: skip
