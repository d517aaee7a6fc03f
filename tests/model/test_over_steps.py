"""Measures over the steps of a training: of each step's own weights, made apart in numpy, and of the same tokens at each."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from model import history, open_model
from model.errors import DamagedCheckpoint, NoHistory, Stopped
from model.forming.over_steps import attention_alone, over_steps, table, written_ids
from model.jobs.progress import ProgressListener, report_to
from model.training.options import options_of
from model.training.train import begin, go_on, train

SIZES = {"d_model": 8, "heads": 2, "train_size": 200, "evaluate_every": 100, "average": 0.0, "snapshots": 5}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    room = tmp_path_factory.mktemp("forming")
    train("induction", room / "induction", steps=20, peak=0.05, warmup=1, **SIZES)
    train("copy", room / "copy", steps=12, encoder_layers=1, decoder_layers=1, d_ff=8, **SIZES)
    return {path.name: path for path in room.iterdir()}


def softmax(q: np.ndarray, k: np.ndarray, causal: bool) -> np.ndarray:
    """One head's weights in float64."""
    scores = q.astype(np.float64) @ k.astype(np.float64).T / np.sqrt(q.shape[1])
    if causal:
        scores = np.where(np.tri(*scores.shape, dtype=bool), scores, -np.inf)
    part = np.exp(scores - scores.max(1, keepdims=True))
    return part / part.sum(1, keepdims=True)


def mass(weights: np.ndarray, cells: np.ndarray) -> float:
    """Σ over these cells of each query, mean over the queries that have one."""
    rows = cells.any(1)
    return float((weights * cells).sum(1)[rows].mean()) if rows.any() else np.nan


def by_hand(weights: np.ndarray, tokens: list[int]) -> dict[str, float]:
    n, ids = len(tokens), np.array(tokens)
    i, j = np.indices((n, n))
    before = np.concatenate([[-1], ids[:-1]])
    logs = np.log(np.where(weights > 0, weights, 1))
    return {
        "previous": mass(weights, j == i - 1),
        "induction": mass(weights, (before[None, :] == ids[:, None]) & (j <= i)),
        "entropy": float(-(weights * logs).sum(1).mean()),
    }


def test_every_steps_measures_are_those_of_its_own_weights(folders: dict[str, Path]) -> None:
    text = "qwertqwert"
    found = table(over_steps(folders["induction"], text))
    steps = history(folders["induction"])
    assert found["step"].unique().tolist() == steps and len(found) == len(steps) * 2 * 2
    for step in steps:
        trace = open_model(folders["induction"], step=step).trace(text)
        for site in trace.sites:
            q, k = (part.numpy() for part in (trace.q(site), trace.k(site)))
            for head in range(2):
                rows = found[(found["step"] == step) & (found["site"] == str(site)) & (found["head"] == head)]
                told = by_hand(softmax(q[head], k[head], True), trace.token_ids("decoder"))
                for name, value in told.items():
                    assert rows[name].item() == pytest.approx(value, abs=2e-6), (step, site, head, name)
    spread = found.groupby(["site", "head"])["entropy"].agg(np.ptp)
    assert spread.max() > 0.05  # of each step its own


def test_an_encoder_decoder_reads_the_same_tokens_at_every_step(folders: dict[str, Path]) -> None:
    runs = over_steps(folders["copy"], "abc")
    last = open_model(folders["copy"]).trace("abc")
    assert len({tuple(run.trace.tokens("decoder")) for run in runs}) == 1
    assert (
        runs[0].trace.tokens("decoder") == last.tokens("decoder") and written_ids(last) == last.side("decoder").ids[1:]
    )
    other = over_steps(folders["copy"], "abc", target="aj", steps=[0])
    assert other[0].trace.tokens("decoder") == ["<s>", "a", "j"]


def test_what_is_kept_of_a_run_gives_the_same_weights_and_check_and_no_parameters(folders: dict[str, Path]) -> None:
    whole = open_model(folders["copy"]).trace("abc", "cab")
    error = whole.fidelity().max_error
    kept = attention_alone(whole)
    for site in whole.sites:
        assert np.array_equal(kept.weights(site, 1), whole.weights(site, 1))
    assert kept.fidelity().max_error == error and kept.fidelity().holds
    assert kept.held_bytes() < whole.held_bytes() and not [n for n in kept.store.names() if "parameters" in n]


def test_it_can_be_stopped_and_needs_a_history(folders: dict[str, Path]) -> None:
    told: list[float] = []

    def stop() -> bool:
        return bool(told) and told[-1] >= 0.5

    def listen(what: str, fraction: float | None) -> None:
        if what == "steps":
            told.append(fraction)

    with report_to(ProgressListener(listen, stop)), pytest.raises(Stopped):
        over_steps(folders["induction"], "abab")
    assert 0 < len(told) < len(history(folders["induction"]))
    with pytest.raises(NoHistory):
        over_steps("dates", "1 May 2020")


def test_a_folder_of_the_librarys_checkpoints_is_a_history_and_opens_as_its_last(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from model.checkpoints.random_models import make

    first = make.write("gpt2")
    for step in (5, 10):
        shutil.copytree(first, tmp_path / f"checkpoint-{step}")
    runs = over_steps(tmp_path, "a cat and a cat")
    assert [run.step for run in runs] == [5, 10] and len({run.trace.key.model for run in runs}) == 2
    assert np.array_equal(
        runs[0].trace.weights(runs[0].trace.sites[0], 0), runs[1].trace.weights(runs[1].trace.sites[0], 0)
    )
    assert open_model(tmp_path).trace("a cat").fidelity().holds


def test_what_a_step_writes_is_its_own_and_not_that_of_the_last(folders: dict[str, Path]) -> None:
    """The likeliest token after each position, from the step's own logits; the text that is forced upon it says another."""
    differs = False
    for name, text in (("induction", "qwertqwert"), ("copy", "abc")):
        for run in over_steps(folders[name], text):
            model = open_model(folders[name], step=run.step)
            target = run.trace.between.join(run.trace.side("decoder").texts[1:]) if name == "copy" else None
            trace = model.trace(text, target)
            wanted = np.asarray(trace.logits, np.float64).argmax(-1)
            assert run.trace.written() == [trace.vocabulary[i] for i in wanted]
            differs |= run.trace.written() != trace.written()
    assert differs


@pytest.mark.parametrize("seed", range(4))
def test_what_an_early_training_wrote_is_forced_whatever_it_reads_as(seed: int, tmp_path: Path) -> None:
    sizes = {
        "d_model": 16,
        "heads": 2,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "d_ff": 16,
        "batch": 4,
        "positions": "learned",
    }
    folder = begin(options_of("copy", steps=5, seed=seed, snapshots=3, train_size=60, **sizes), tmp_path / "run")
    go_on(folder)
    wrote = open_model(folder).trace("abcd").side("decoder").ids
    runs = over_steps(folder, "abcd")
    assert len(runs) == 3 and {run.trace.side("decoder").ids for run in runs} == {wrote}


def test_a_damaged_snapshot_is_named_and_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    sizes = {"d_model": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "d_ff": 16, "batch": 4}
    folder = begin(options_of("copy", steps=5, snapshots=4, train_size=60, **sizes), tmp_path / "run")
    go_on(folder)
    file = folder / "snapshots" / "step-00000001.safetensors"
    for content in (
        file.read_bytes()[:50],
        b"",
        (folder / "snapshots" / "step-00000005.safetensors").read_bytes()[:-8],
    ):
        file.write_bytes(content)
        with pytest.raises(DamagedCheckpoint, match=file.name):
            over_steps(folder, "abcd")
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(DamagedCheckpoint, match=f"{file.name} is a pipe"):
        open_model(folder, step=1)
