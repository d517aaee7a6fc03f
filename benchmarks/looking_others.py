"""BertViz and CircuitsVis for benchmarks.looking: the same attention as an HTML file, made in a process of its own.

python -m benchmarks.looking_others tool model text-file page.html
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import looking_model


def _model_view(attention: Any, tokens: list[str]) -> str:
    from bertviz import model_view

    return model_view(attention, tokens, html_action="return").data


def _head_view(attention: Any, tokens: list[str]) -> str:
    from bertviz import head_view

    return head_view(attention, tokens, html_action="return").data


def _attention_heads(attention: Any, tokens: list[str]) -> str:
    """Its bundle is in its Python package, and goes into the page."""
    import torch
    from circuitsvis.attention import attention_heads

    heads = torch.cat(list(attention), 1)[0]
    return attention_heads(heads, tokens, mask_upper_tri=False).local_src


@dataclass(frozen=True)
class Tool:
    """ready: JavaScript that holds when every element of its page exists; number: bytes of a weight in it, about."""

    package: str
    draw: Callable[[Any, list[str]], str]
    ready: str
    number: float


# Drawing is one piece of work of BertViz's scripts, so that the first sign of it is all of it.
_SVG = "document.querySelector('#vis svg line')"
_CANVASES = f"document.querySelectorAll('canvas').length >= {looking_model.LAYERS * looking_model.HEADS}"
TOOLS = {
    # A comment in BertViz's scripts names the place where the weights go, and they go there too: all of them twice.
    "BertViz model_view": Tool("bertviz", _model_view, _SVG, 45.0),
    "BertViz head_view": Tool("bertviz", _head_view, _SVG, 45.0),
    "CircuitsVis attention_heads": Tool("circuitsvis", _attention_heads, _CANVASES, 22.5),
}


def installed(tool: str) -> bool:
    return importlib.util.find_spec(TOOLS[tool].package) is not None


def needs_scripts(tool: str) -> bool:
    """Whether its page fetches scripts from a content network."""
    return TOOLS[tool].package == "bertviz"


def expected(tool: str, n: int) -> int:
    """Bytes of the page, about; every weight is in it."""
    return round(looking_model.LAYERS * looking_model.HEADS * n * n * TOOLS[tool].number)


def main(tool: str, model: str, words: str, page: str) -> None:
    """Writes the page and prints how many seconds the tool took from the attention to it; the forward is not in them."""
    read = Path(words).read_text(encoding="utf-8")
    attention = looking_model.attention(Path(model), read)
    draw = TOOLS[tool].draw
    draw([layer[:, :, :4, :4] for layer in attention], read.split()[:4])  # imports are no part of it
    start = time.perf_counter()
    html = draw(attention, read.split())
    with Path(page).open("w", encoding="utf-8") as file:
        file.write("<!doctype html><meta charset='utf-8'><body>")
        file.write(html)
    print(json.dumps({"made": time.perf_counter() - start}))


if __name__ == "__main__":
    main(*sys.argv[1:])
