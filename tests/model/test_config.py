"""Sizes: the paper's, odd ones, refused ones."""

from __future__ import annotations

import pytest
import torch

from model.errors import TextTooLong
from model.transformer.config import CONFIGURATIONS, NORMS, PAPER_BASE, POSITIONS, BadConfig, TransformerConfig
from model.transformer.encoder_decoder import Transformer
from tests.model import tiny


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def closed_form(c: TransformerConfig) -> int:
    """What the architecture needs, from its sizes alone."""
    d, f = c.d_model, c.d_ff
    attention, norm, ffn = 4 * (d * d + d), 2 * d, d * f + f + f * d + d
    own = attention + (2 * (2 * c.relative_distance + 1) * (d // c.heads) if c.positions == "relative" else 0)
    encoder = c.encoder_layers * (own + ffn + 2 * norm)
    decoder = c.decoder_layers * (own + attention + ffn + 3 * norm)
    ends = 2 * norm if c.norm == "pre" else 0
    tables = 2 * c.max_length * d if c.positions == "learned" else 0
    words = (c.source_vocabulary + c.target_vocabulary) * d
    return encoder + decoder + ends + tables + words + d * c.target_vocabulary + c.target_vocabulary


def test_paper_base_is_table_3_of_the_paper():
    c = PAPER_BASE
    sizes = (c.d_model, c.heads, c.encoder_layers, c.decoder_layers, c.d_ff, c.dropout, c.d_k)
    assert sizes == (512, 8, 6, 6, 2048, 0.1, 64)
    assert (c.max_length, c.source_vocabulary, c.target_vocabulary) == (100, 5000, 5000)
    assert (c.positions, c.norm) == ("sinusoidal", "post")
    assert CONFIGURATIONS["paper-base"] is PAPER_BASE


def test_paper_base_builds_and_learns():
    module = Transformer(PAPER_BASE)
    # torch.nn.Transformer() has 44,140,544; two closing norms of them are not in the paper's post-LN.
    assert count(module) == closed_form(PAPER_BASE) == 44_140_544 - 4 * 512 + 2 * 5000 * 512 + 512 * 5000 + 5000
    source, target = torch.randint(1, 5000, (2, 9)), torch.randint(1, 5000, (2, 7))
    logits = module(source, target)
    assert logits.shape == (2, 7, 5000)
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("sizes", [{}, {"heads": 1, "encoder_layers": 1, "decoder_layers": 3, "d_ff": 5}])
def test_every_switch_builds_and_runs(positions: str, norm: str, sizes: dict):
    config = tiny.config(positions=positions, norm=norm, **sizes)
    module = Transformer(config)
    assert count(module) == closed_form(config)
    logits = module(torch.tensor([[1, 2, 3], [4, 0, 0]]), torch.tensor([[1], [2]]))
    assert logits.shape == (2, 1, config.target_vocabulary)
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"d_model": 10, "heads": 3}, ["d_model", "10", "divisible", "3"]),
        ({"heads": 0}, ["heads", "0", "at least 1"]),
        ({"d_ff": -2}, ["d_ff", "-2", "at least 0"]),
        ({"heads": True}, ["heads", "True", "whole number"]),
        ({"source_vocabulary": 0}, ["source_vocabulary", "0"]),
        ({"max_length": 0}, ["max_length", "0"]),
        ({"encoder_layers": 0, "decoder_layers": 0}, ["decoder_layers", "0", "encoder_layers", "at least 1"]),
        ({"decoder_layers": -1}, ["decoder_layers", "-1"]),
        ({"dropout": 1.0}, ["dropout", "1.0", "below 1"]),
        ({"dropout": -0.1}, ["dropout", "-0.1"]),
        ({"dropout": float("nan")}, ["dropout", "nan"]),
        ({"positions": "sine"}, ["positions", "sine", "sinusoidal", "rotary"]),
        ({"norm": "rms"}, ["norm", "rms", "post, pre"]),
        ({"relative_distance": 0}, ["relative_distance", "0"]),
        ({"d_model": 12, "heads": 4, "positions": "rotary"}, ["d_k", "3", "even"]),
        ({"d_model": 15, "heads": 3}, ["d_model", "15", "even"]),
        ({"pad_id": 15}, ["pad_id", "15", "vocabular"]),
        ({"pad_id": -1}, ["pad_id", "-1", "vocabular"]),
    ],
)
def test_bad_sizes_are_refused_in_one_sentence(changes: dict, said: list[str]):
    with pytest.raises(BadConfig) as refused:
        tiny.config(**changes)
    sentence = str(refused.value)
    assert all(word in sentence for word in said), sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert refused.value.values["got"] is not None


def test_odd_width_is_fine_where_nothing_comes_in_pairs():
    Transformer(tiny.config(d_model=15, heads=3, positions="learned"))(torch.tensor([[1]]), torch.tensor([[1]]))


def test_a_text_beyond_the_maximum_length_is_refused():
    module = Transformer(tiny.config(max_length=4))
    module(torch.ones(1, 4, dtype=torch.long), torch.ones(1, 4, dtype=torch.long))
    with pytest.raises(TextTooLong, match="5 tokens, and this model reads at most 4"):
        module(torch.ones(1, 5, dtype=torch.long), torch.ones(1, 1, dtype=torch.long))


def test_config_survives_its_file_form():
    config = tiny.config(positions="rotary")
    assert TransformerConfig(**config.to_dict()) == config
    assert config.with_changes(norm="pre").norm == "pre"
    assert config.norm == "post"


def test_building_a_checkpoint_leaves_the_random_numbers_alone(checkpoint):
    from model import open_model

    torch.manual_seed(5)
    want = torch.randn(3)
    torch.manual_seed(5)
    open_model(checkpoint)
    assert torch.equal(torch.randn(3), want)
