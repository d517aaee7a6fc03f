"""What people have from 0.4 keeps working: its files, its links, its addresses, its commands and its public names."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest
import torch

import model
from model import Trace
from model.profile.read import Profile
from tests import bounds
from viz.ui import navigation
from viz.ui.state import address_bar
from viz.ui.state.view import View

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "fixtures" / "v0_4"  # written by 0.4 itself
CHAIN = 1024  # numbers added up on the way through the translator
TEXT = "the animal didn't cross the street because it was too tired"
ADDRESSES = {
    "overview", "heads", "atlas", "map", "reading", "output", "steps", "by_hand", "positions", "masks", "together", "block",
    "encoder_decoder", "generation", "variants", "measures", "comparing", "corpus", "models", "model_card", "families",
}  # fmt: skip
LINK = {
    "model", "text", "target", "to", "site", "head", "q", "k", "heads", "step", "hand", "pair", "chat", "new", "words",
    "media", "scale", "other", "tab", "picks", "area", "against", "profile",
}  # fmt: skip


@pytest.fixture(scope="module")
def saved() -> Trace:
    return Trace.open(FIXTURES / "translate.safetensors")


@pytest.mark.float32
def test_a_trace_of_0_4_opens_and_is_the_run_of_today(saved: Trace, translator):
    now = translator.trace(TEXT, language=saved.language)
    assert saved.tokens("encoder") == now.tokens("encoder") and saved.written() == now.written()
    assert [str(site) for site in saved.sites] == [str(site) for site in now.sites]
    for site in saved.sites:
        for head in range(saved.record(site).heads):
            ours, theirs = (run.record(site).weights(head, dtype=torch.float64) for run in (now, saved))
            # Another processor's forward: a weight may be off by what its score is, at the end of all layers' sums.
            scores = saved.record(site).scores(head, dtype=torch.float64)
            assert float((ours - theirs).abs().max()) <= bounds.weight(scores, CHAIN)
    assert saved.fidelity().holds and saved.fidelity().max_error < 1e-4


def test_a_profile_of_0_4_opens_with_its_columns():
    table = pd.read_parquet(FIXTURES / "profile.parquet")
    opened = Profile.open(FIXTURES / "profile.parquet")
    assert table["text"].nunique() == 3 and {"entropy", "largest", "induction"} <= set(table.columns)
    assert len(opened.sources) == 3 and {*opened.measures} <= set(table.columns)


def test_addresses_and_link_parameters_are_those_of_0_4():
    assert {stem for stems in navigation.SECTIONS.values() for stem in stems} >= ADDRESSES
    assert set(address_bar._IN_LINK.values()) >= LINK
    assert set(address_bar._IN_LINK) == {field.name for field in fields(View)}


def test_public_names_and_commands_are_those_of_0_4():
    assert all(hasattr(model, name) for name in ("open_model", "instrument", "Trace", "__version__"))
    done = subprocess.run(
        [sys.executable, "-m", "model", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert all(command in done.stdout for command in ("record", "heads", "profile", "families", "train"))
