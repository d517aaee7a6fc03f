"""Saved runs of modules with more than one sequence: every page shows them, rows and columns under their own names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from model import instrument
from model.trace.trace import Trace
from tests.app.visit import PAGES, Visit
from tests.model import test_instrument_sequences as modules

WORDS = modules.WORDS


def _towers() -> Trace:
    return instrument(modules.Towers(True).eval(), WORDS).trace(torch.arange(6)[None], torch.arange(10, 19)[None])


def _loop() -> Trace:
    module = modules.Transformer(modules.Attention).eval()

    def write(ids: Tensor) -> Tensor:
        for _ in range(3):
            ids = torch.cat([ids, module(ids)[:, -1:].argmax(-1)], 1)
        return ids

    return instrument(module, WORDS, forward=write).trace(torch.tensor([[1, 2, 3, 4]]))


MADE = {
    "memory": lambda: instrument(modules.Transformer(modules.Memory).eval(), WORDS).trace(torch.tensor([[3, 4, 5, 6]])),
    "towers": _towers,
    "pyramid": lambda: instrument(modules.Pyramid().eval()).trace(
        torch.randn(1, 6, modules.D), tokens={"encoder": list("abcdef")}
    ),
    "loop": _loop,
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sequences")
    torch.manual_seed(0)
    return {name: make().save(folder / f"{name}.safetensors") for name, make in MADE.items()}


@pytest.mark.parametrize("name", MADE)
def test_every_page_shows_it(saved: dict[str, Path], name: str):
    visit = Visit(model=str(saved[name])).sound()
    for site in (str(site) for site in Trace.open(saved[name]).sites[-2:]):
        for page in PAGES:
            Visit(page, model=str(saved[name]), site=site).sound()
    assert visit


@pytest.mark.parametrize(
    ("name", "site", "columns"),
    [("memory", "decoder.1.self", ["mem[0]", "mem[1]", "w3", "w4", "w5", "w6"]), ("towers", "text_encoder.2.cross", WORDS[10:19]),
     ("pyramid", "encoder.1.self", ["0", "1", "2"]), ("loop", "decoder_step_2.1.self", None)],
)  # fmt: skip
def test_the_matrix_names_its_columns(saved: dict[str, Path], name: str, site: str, columns: list[str] | None):
    visit = Visit("heads", model=str(saved[name]), site=site).sound()
    header, _ = visit.figure("matrix")
    trace = Trace.open(saved[name])
    columns = columns or trace.tokens("decoder_step_2")
    assert [label["text"] for label in header["columns"]] == columns
