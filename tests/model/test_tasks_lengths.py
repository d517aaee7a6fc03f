"""How long and how short a text may be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

transformers = pytest.importorskip("transformers")

from model import open_model  # noqa: E402
from model.checkpoints.disk.families import FAMILIES, small_inputs, small_model  # noqa: E402
from model.checkpoints.disk.max_length import UNLIMITED, longest  # noqa: E402
from model.errors import TextTooLong  # noqa: E402
from tests import bounds  # noqa: E402
from tests.app.checkpoints import write  # noqa: E402
from tests.model.test_hugging_face import write as write_words  # noqa: E402
from tests.model.test_tasks import headed  # noqa: E402


def test_relative_positions_set_no_limit(tmp_path: Path):
    headed(tmp_path / "t5", "t5", "T5ForConditionalGeneration")
    config = tmp_path / "t5" / "config.json"
    config.write_text(
        json.dumps(json.loads(config.read_text(encoding="utf-8")) | {"n_positions": 32}), encoding="utf-8"
    )
    model = open_model(tmp_path / "t5")
    assert model.module.config.n_positions == 32 and model.max_length == UNLIMITED
    trace = model.trace("z" * 90, "the cat")
    assert len(trace.tokens("encoder")) == 91 and trace.fidelity().holds
    assert len(model.trace("z", "z" * 40).tokens("decoder")) == 41


@pytest.mark.parametrize(("name", "more", "limit"), [
    ("bert", {}, 64), ("roberta", {}, 62), ("mpnet", {}, 62), ("gpt2", {}, 64), ("bart", {}, 64), ("xlnet", {}, None),
    ("falcon", {"max_position_embeddings": 50}, 50), ("falcon", {"max_position_embeddings": 50, "alibi": True}, None),
    ("deberta-v2", {}, 64), ("deberta-v2", {"position_biased_input": False}, None), ("mt5", {"n_positions": 20}, None),
], ids=str)  # fmt: skip
def test_the_limit_is_where_the_module_ends(name: str, more: dict, limit: int | None):
    family = next(known for known in FAMILIES if known.model_type == name)
    config = getattr(transformers, family.config)(**family.small | more)
    assert longest(config) == (limit or UNLIMITED)
    if limit is not None and more:  # rotary positions run on: the limit is the length it was made for
        return
    module = getattr(transformers, family.model)(config).eval()
    given = small_inputs(family, config.is_encoder_decoder, n=(limit or 80))
    with torch.no_grad():
        assert torch.isfinite(module(**given).logits).all()
        if limit is not None:
            with pytest.raises((IndexError, RuntimeError)):
                module(**given | {"input_ids": torch.full((1, limit + 1), 5)})


def test_one_token_of_xlnet(tmp_path: Path):
    model = open_model(write_words(tmp_path / "xlnet", "xlnet"))
    trace = model.trace("cat")
    assert {str(site) for site in trace.sites} == {"encoder.0.self", "encoder.1.self"}
    for site in trace.sites:
        assert all(trace.weights(site, head).tolist() == [[1.0]] for head in range(4))
        record = trace.record(site)
        torch.testing.assert_close(record.context, record.v, atol=0, rtol=0)
        assert record.scores(1).shape == (1, 1) and torch.isfinite(record.scores(1)).all()
    fidelity = trace.fidelity()
    assert fidelity.holds and len(fidelity.sites) == 2 and fidelity.logits_error == 0.0


@pytest.mark.parametrize("heads", [1, 2])
def test_one_token_of_xlnet_with_few_heads(heads: int):
    from model.checkpoints.record import forward

    family = next(known for known in FAMILIES if known.model_type == "xlnet")
    torch.manual_seed(0)
    module = transformers.XLNetLMHeadModel(transformers.XLNetConfig(**family.small | {"n_head": heads})).eval()
    recorded = forward.record(forward.prepare(module), {"input_ids": torch.tensor([[7]])})
    assert [record.heads for record in recorded.attention.values()] == [heads] * 2
    for site, record in recorded.attention.items():
        implied = record.context.transpose(0, 1).reshape(1, -1) @ recorded.store[f"parameters/{site}.W_O"]
        bounds.close(implied, record.output, 64)


def test_a_learned_table_still_ends(tmp_path: Path):
    model = open_model(write(tmp_path / "bert", "bert"))
    with pytest.raises(TextTooLong, match="at most 64"):
        model.trace("z " * 70)
    assert small_model(FAMILIES[0]).config.max_position_embeddings == 64
