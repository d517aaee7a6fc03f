"""`python -m model record …`, as a person runs it."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from model import Trace
from model.__main__ import main
from model.checkpoints.own import OwnModel
from model.trace.tensors import MemoryStore
from tests.model import tiny

ROOT = Path(__file__).parents[2]


def command(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "model", *arguments],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )


def refused(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    """The one line on stderr of a refused command."""
    assert main(list(arguments)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    return said.err


@pytest.mark.skipif(sys.getfilesystemencoding() == "ascii", reason="no command of this locale can be given Chinese")
def test_record_writes_a_trace_that_opens(checkpoint: Path, tmp_path: Path):
    out = tmp_path / "new" / "run.safetensors"
    done = command(
        "record", "--model", str(checkpoint), "--text", tiny.TEXT, "--target", tiny.WRITTEN, "--out", str(out)
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{out}: 6 attention sub-layers")
    assert done.stdout.count("\n") == 1
    trace = Trace.open(out)
    assert trace.key.source == tiny.TEXT
    assert trace.tokens("decoder") == ["<zh>", *tiny.WRITTEN.split()]
    assert trace.fidelity().holds


def test_a_terminal_of_few_characters_ends_no_command(tmp_path: Path):
    """As in a pipe on Windows, or under LC_ALL=C: what cannot be written is escaped."""
    done = subprocess.run(
        [sys.executable, "-m", "model", "record", "--text", "I like cats", "--out", str(tmp_path / "run.safetensors")],
        cwd=ROOT, capture_output=True, encoding="ascii", env=os.environ | {"PYTHONIOENCODING": "ascii"}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "") and "\\u" in done.stdout


def test_a_bad_checkpoint_is_one_line(checkpoint: Path, tmp_path: Path):
    sizes = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(sizes | {"d_model": 16.0}))
    done = command("record", "--model", str(checkpoint), "--text", "the", "--out", str(tmp_path / "x.safetensors"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "d_model is 16.0, but it must be a whole number" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_model_writes_where_no_target_is_forced(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    out = str(tmp_path / "run.safetensors")
    assert main(["record", "--model", str(checkpoint), "--text", "The cat", "--language", "fr", "--out", out]) == 0
    trace = Trace.open(out)
    assert trace.tokens("decoder")[0] == "<fr>"
    assert trace.facts["generated"] is True
    assert " ".join(trace.written()) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--text", "the xylophone"], "xylophone"),
        (["--text", ""], "empty"),
        (["--text", " \n"], "empty"),
        (["--text", "cat " * 10_000], "10000 tokens"),
        (["--text", "🐈\x1b"], "U+001B"),
        (["--text", "the cat", "--target", "猫 chat chien"], "chien"),
        (["--text", "the cat", "--language", "de"], "“de” is not known"),
        (["--text", "the cat", "--model", "nowhere"], "There is no model called “nowhere”"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list[str], said: str
):
    out = tmp_path / "x.safetensors"
    given = ["record", "--model", str(checkpoint), "--out", str(out), *arguments]
    assert said in refused(capsys, *given)
    assert not out.exists()


def test_a_place_that_cannot_be_written_is_one_line(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "file").write_text("")
    for out in (tmp_path, tmp_path / "file" / "run.safetensors"):
        said = refused(capsys, "record", "--model", str(checkpoint), "--text", "the", "--out", str(out))
        assert str(out) in said
    assert not list(tmp_path.parent.glob("*.partial"))


def test_damaged_checkpoints_are_one_line(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    whole = {path: path.read_bytes() for path in checkpoint.iterdir()}
    for path, content in whole.items():
        for damaged in (content[:-9], b"", b"[]", b"\xff\xfe\x00", None):
            if damaged is None:
                path.unlink()
            else:
                path.write_bytes(damaged)
            said = refused(capsys, "record", "--model", str(checkpoint), "--text", "cat", "--out", str(tmp_path / "x"))
            assert str(checkpoint) in said, (path.name, damaged)
            path.write_bytes(content)


def test_what_a_checkpoint_lacks_or_has_too_much_is_told(tmp_path: Path, capsys: pytest.CaptureFixture):
    pytest.importorskip("transformers")
    from safetensors.torch import load_file, save_file

    from tests.model.test_hugging_face import write

    folder = write(tmp_path / "llama", "llama")
    capsys.readouterr()
    out, texts = str(tmp_path / "run.safetensors"), tmp_path / "texts.txt"
    texts.write_text("the cat sat\n")
    commands = [
        ["record", "--model", str(folder), "--text", "the cat sat", "--out", out],
        ["heads", "--model", str(folder), "--text", "the cat sat"],
        ["profile", "--model", str(folder), "--texts", str(texts), "--out", str(tmp_path / "a.parquet")],
    ]
    for command in commands:
        assert main(command) == 0 and capsys.readouterr().err == ""
    file = folder / "model.safetensors"
    tensors = {name.replace("1.mlp.", "1.nlp."): tensor for name, tensor in load_file(file).items()}
    tensors["too.much"] = tensors["lm_head.weight"].clone()
    save_file(tensors, file, {"format": "pt"})
    commands[-1][-1] = str(tmp_path / "b.parquet")
    for command in commands:
        assert main(command) == 0
        told = capsys.readouterr().err.splitlines()
        assert [line.split(":")[0] for line in told] == [
            "3 of the model's parameters are not in its files, and random",
            "4 of the files' tensors are left out, with no place in the model",
        ]
        assert "model.layers.1.mlp.down_proj.weight" in told[0] and "model.layers.1.nlp.down_proj.weight" in told[1]
        assert "…" in told[1] and "…" not in told[0]


def test_what_a_gguf_file_lacks_is_told(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    from tests.model.test_gguf import llama

    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / "cache"))
    llama(tmp_path / "a.gguf")
    data = (tmp_path / "a.gguf").read_bytes()
    (tmp_path / "a.gguf").write_bytes(data.replace(b"blk.1.attn_q.weight", b"blk.9.attn_q.weight"))
    assert main(["heads", "--model", str(tmp_path / "a.gguf"), "--text", "abcd"]) == 0
    first, second = capsys.readouterr().err.splitlines()[-2:]  # before them the library draws a bar
    assert (
        first == "1 of the model's parameters is not in its files, and random: model.layers.1.self_attn.q_proj.weight."
    )
    assert second == "1 of the files' tensors is left out, with no place in the model: blk.9.attn_q."
    for old, new in ((b"blk.", b"zlk."), (b"token_embd.weight", b"token_zmbd.weight"), (b"output", b"outzut")):
        data = data.replace(old, new)
    (tmp_path / "a.gguf").write_bytes(data)  # nothing of it is the model's
    assert main(["heads", "--model", str(tmp_path / "a.gguf"), "--text", "abcd"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("None of the weights in")


@pytest.mark.parametrize("off", [False, True])
def test_what_a_command_prints_says_how_the_run_checks(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, off: bool
):
    """Values in another order of heads than the module's: `record` and `heads` say so, in a line that pandas skips."""
    real = OwnModel.trace

    def trace(*given, **options):
        sound = real(*given, **options)
        if not off:
            return sound
        names = {name: sound.store[name] for name in sound.store.names()}
        store = MemoryStore(names | {"encoder.0.self.v": sound.v("encoder.0.self").flip(0)})
        attention = {site: dataclasses.replace(record, store=store) for site, record in sound.attention.items()}
        return dataclasses.replace(sound, store=store, attention=attention, measured=None)

    monkeypatch.setattr(OwnModel, "trace", trace)
    run = str(tmp_path / "run.safetensors")
    given = ["--model", str(checkpoint), "--text", "the cat"]
    assert main(["record", *given, "--out", run]) == 0 and main(["heads", *given]) == 0
    recorded, table = capsys.readouterr().out.split("\n", 1)
    said = "does not check: encoder.0.self is " if off else "checks to "
    assert said in recorded and table.startswith(f"# {said}")
    assert ("checks to" in recorded) != off
    read = pd.read_csv(io.StringIO(table), sep=r"\s+", comment="#")
    assert list(read.columns[:2]) == ["site", "head"] and len(read) == 10
    assert main(["heads", "--trace", run]) == 0 and capsys.readouterr().out.startswith(f"# {said}")


def test_a_step_of_a_training_is_recorded(tmp_path: Path) -> None:
    from model import history, open_model

    first = history("induction")[0]
    given = ["record", "--model", "induction", "--text", "abcabc", "--out", str(tmp_path / "run.safetensors")]
    assert main([*given, "--step", str(first)]) == 0
    found = Trace.open(tmp_path / "run.safetensors").weights("decoder.0.self", 0)
    assert torch.equal(found, open_model("induction", step=first).trace("abcabc").weights("decoder.0.self", 0))
    assert not torch.allclose(found, open_model("induction").trace("abcabc").weights("decoder.0.self", 0), atol=0.01)
    assert main([*given, "--step", "7777"]) == 2
