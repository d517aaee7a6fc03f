"""The language of a file's references is told by the model, and may be said; lines that stand there already count once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from model import evaluate, open_model
from model.__main__ import main
from model.evaluation.by_model import told_language
from model.evaluation.run import lines
from model.fine_tune.fine_tune import fine_tune
from model.training.tasks.registry import held_out
from model.transformer.encoder_decoder import Transformer
from tests import bounds
from tests.model import tiny


def pairs(language: str, count: int = 40) -> list[tuple[str, str]]:
    return [(" ".join(one.source), " ".join(one.target)) for one in held_out("translate", language, count)]


@pytest.mark.parametrize("language", ["zh", "fr"])
def test_the_translator_is_asked_for_the_language_of_the_references(language: str) -> None:
    model = open_model("translate")
    found = evaluate(model, pairs(language), write=False)
    assert found.about["language"] == language
    assert found.loss == evaluate(model, pairs(language), write=False, language=language).loss
    assert fine_tune(model, pairs(language, 2), steps=1).before.about["language"] == language
    other = "fr" if language == "zh" else "zh"
    assert evaluate(model, pairs(language), write=False, language=other).loss > found.loss + 1
    assert told_language(open_model("induction"), list(lines(["1 2 3"]))) == (None, {})


def test_the_losses_that_tell_it_are_those_of_float64(tmp_path: Path) -> None:
    model = open_model(tiny.write_checkpoint(tmp_path / "tiny"))
    given = [("the cat sat", "我 喜欢 猫 。"), ("dogs", "le chat")]
    chosen, tried = told_language(model, list(lines(given)))
    module = Transformer(model.config).double().eval()
    module.load_state_dict({name: value.double() for name, value in model.module.state_dict().items()})
    losses = {}
    for code, start in model.starts.items():
        total = tokens = 0.0
        for source, target in given:
            wanted = [*(model.target.ids[word] for word in target.split()), model.target.ids["</s>"]]
            ids = torch.tensor([[model.target.ids[start], *wanted[:-1]]])
            with torch.no_grad():
                logits = module(torch.tensor([[model.source.ids[word] for word in source.split()]]), ids)[0]
            total += float(F.cross_entropy(logits, torch.tensor(wanted), reduction="sum"))
            tokens += len(wanted)
        losses[code] = total / tokens
    assert tried == pytest.approx(losses, abs=bounds.WEIGHT) and len(tried) == 2
    assert chosen == min(losses, key=losses.__getitem__)


def test_the_command_says_the_language_and_what_it_leaves_out(tmp_path: Path, capsys) -> None:
    data, out = tmp_path / "pairs.tsv", tmp_path / "out.json"
    rows = "".join(f"{source}\t{target}\n" for source, target in pairs("fr", 10))
    data.write_text(rows + rows.splitlines()[0] + "\n\n", "utf-8")
    given = ["evaluate", "--model", "translate", "--data", str(data), "--json", str(out), "--no-writing"]
    assert main(given) == 0
    told, said = json.loads(out.read_text("utf-8")), capsys.readouterr().out
    assert told["language"] == "fr" and set(told["languages"]) == {"zh", "fr"} and "translate → fr (told" in said
    assert told["examples"] == 10 and told["data"]["left_out"] == {"empty": 1, "duplicate": 1}
    assert "left out of its lines: 1 empty, or empty on one side, 1 there already" in said
    assert main([*given, "--language", "zh", "--keep", "duplicate"]) == 0
    told, said = json.loads(out.read_text("utf-8")), capsys.readouterr().out
    assert told["language"] == "zh" and "languages" not in told and "translate → zh: 11 examples" in said
    assert told["examples"] == 11 and told["data"]["left_out"] == {"empty": 1}
