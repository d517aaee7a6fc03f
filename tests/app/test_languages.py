"""A checkpoint that writes many languages: the choice stands in the side bar and reaches the run and the link."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

transformers = pytest.importorskip("transformers")

from model.checkpoints.disk.families import FAMILIES  # noqa: E402
from tests.model.test_tasks_languages import tokenizer_of  # noqa: E402


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random mBART with its 25 languages."""
    folder = tmp_path_factory.mktemp("languages")
    tokenizer = tokenizer_of("mbart", folder)
    family = next(known for known in FAMILIES if known.model_type == "mbart")
    torch.manual_seed(0)
    config = getattr(transformers, family.config)(**family.small | {"vocab_size": len(tokenizer)})
    getattr(transformers, family.model)(config).eval().save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder / "model"


def test_the_language_that_is_written_can_be_chosen(visit, many: Path) -> None:
    seen = visit("output", model=many, text="the cat").sound()
    (box,) = [box for box in seen.at.sidebar.selectbox if (box.key or "").startswith("to-")]
    assert len(box.options) == 25 and box.value is None
    box.set_value("fr_XX")
    seen.at.run()
    seen.sound()
    assert seen.view.to == "fr_XX" and seen.link["to"] == "fr_XX"
    again = visit("overview", **seen.link).sound()
    assert again.view.to == "fr_XX"
    written = [token["text"] for token in again.figure("overview")[0]["target"]]
    plain = [token["text"] for token in visit(model=many, text="the cat").figure("overview")[0]["target"]]
    assert written[0] == "fr_XX" and plain[:1] != ["fr_XX"]


def test_a_language_it_does_not_know_is_one_sentence(visit, many: Path) -> None:
    assert "xx_YY" in visit("heads", model=many, text="the cat", to="xx_YY").complaint()
