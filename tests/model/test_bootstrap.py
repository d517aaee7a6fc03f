"""How often a paired bootstrap calls two equal models different, by simulation: what the least number of examples rests on."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from model import open_model
from model.__main__ import main
from model.evaluation import bootstrap
from model.evaluation.compare import no_intervals
from tests.model import tiny

FILES = 400


def called_different(examples: int, heavy: bool) -> float:
    """Share of files in which p < 0.05 for two models whose losses are drawn alike, hard examples being hard for both."""
    count = 0
    for seed in range(FILES):
        random = np.random.default_rng((seed, examples))
        tokens, hard = random.integers(3, 20, examples).astype(float), random.normal(0, 1, examples)
        noise = [random.standard_t(3, examples) if heavy else random.normal(0, 1, examples) for _ in range(2)]
        sums = [np.exp((hard + 0.3 * one) * 0.7) * tokens for one in noise]
        count += bootstrap.difference((sums[0], tokens), (sums[1], tokens), 200, seed).p < 0.05
    return count / FILES


@pytest.mark.parametrize("heavy", [False, True])
def test_the_least_number_of_examples_keeps_what_p_says_and_few_do_not(heavy: bool) -> None:
    # 5 % and three standard errors of a share of so many files.
    allowed = 0.06 + 3 * math.sqrt(0.06 * 0.94 / FILES)
    assert called_different(bootstrap.FEWEST, heavy) <= allowed < called_different(4, heavy)
    assert no_intervals(bootstrap.FEWEST) is None and "fewer than" in no_intervals(bootstrap.FEWEST - 1)


@pytest.mark.parametrize("several", [False, True])
def test_a_loss_that_is_not_finite_ends_in_numbers_and_no_traceback(
    several: bool, tmp_path: Path, capsys, recwarn
) -> None:
    folder = tiny.write_checkpoint(tmp_path / "broken")
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "weights.safetensors")
    name = next(name for name in weights if name.startswith("project"))
    save_file(weights | {name: torch.full_like(weights[name], math.nan)}, folder / "weights.safetensors")
    text, out = tmp_path / "p.tsv", tmp_path / "out.json"
    source = " ".join(open_model(tmp_path / "broken").source.vocabulary[2:4])
    target = " ".join(open_model(tmp_path / "broken").target.vocabulary[-2:])
    text.write_text("".join(f"{source}\t{target}\n" for _ in range(1)), "utf-8")
    models = ["--model", str(folder), *(["--model", str(tiny.write_checkpoint(tmp_path / "whole"))] if several else [])]
    assert main(["evaluate", *models, "--data", str(text), "--json", str(out)]) == 0
    told = json.loads(out.read_text("utf-8"))
    assert told["loss"] is None and told["perplexity"] is None and "loss not finite" in capsys.readouterr().out
    assert not [one for one in recwarn if issubclass(one.category, RuntimeWarning)]


def test_differences_of_what_is_not_finite_are_none() -> None:
    tokens = np.full(60, 3.0)
    for broken in (np.full(60, math.nan), np.full(60, math.inf)):
        told = bootstrap.difference((tokens, tokens), (broken, tokens), 50)
        assert math.isnan(told.p) and math.isnan(told.low) and math.isnan(told.value)


def test_a_refused_second_model_leaves_nothing_behind_and_finished_work_names_the_option(
    tmp_path: Path, capsys
) -> None:
    first, text, out = tiny.write_checkpoint(tmp_path / "first"), tmp_path / "p.tsv", tmp_path / "out.json"
    text.write_text(f"{tiny.TEXT}\t{tiny.WRITTEN}\n", "utf-8")
    given = ["evaluate", "--model", str(first), "--data", str(text), "--json", str(out)]
    assert main([*given, "--model", "small-bert"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "p.tsv"]
    parts = tmp_path / "out.json.parts"
    parts.mkdir()
    (parts / "made_of.json").write_text("{}", "utf-8")
    capsys.readouterr()
    assert main(given) == 2 and "choose another --json" in capsys.readouterr().err
