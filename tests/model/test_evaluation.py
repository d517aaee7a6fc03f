"""Evaluation against independent float64 computations, the library's own loss and sacrebleu's command line."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn import functional as F

from model import evaluate, open_model
from model.__main__ import main
from model.checkpoints.own import OwnModel
from model.data_files.read import DataFile
from model.errors import (
    EvaluationFile,
    EvaluationNotWritten,
    NothingScored,
    NotInThisModel,
    NotTheSameFile,
    Stopped,
    UnknownOption,
)
from model.evaluation import bootstrap
from model.evaluation.by_model import scorer_of
from model.evaluation.compare import compared
from model.evaluation.evaluation import Evaluation
from model.evaluation.grammar_errors import broken
from model.evaluation.run import Memory
from model.evaluation.scored import SCHEMA
from model.jobs.part_files import PartFiles
from model.jobs.progress import ProgressListener, report_to
from model.scores.translation import paired, score
from model.text.tokenizer import Tokenizer
from model.transformer.config import TransformerConfig
from model.transformer.encoder_decoder import Transformer
from tests import bounds
from tests.model import tiny
from tests.model.test_hugging_face import write as write_library

pytest.importorskip("transformers")
pytestmark = pytest.mark.float32


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


TEXTS = ["the cat sat on the mat", "a dog ran to the house", "the dog sat", "zebra and cat", "cat"]
PAIRS = [
    ("the cat sat", "我 喜欢 猫 。"),
    ("I like black cats", "我 喜欢 猫"),
    ("I see a cat .", "狗 。"),
    ("dogs", "le chat"),
]


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> OwnModel:
    return open_model(tiny.write_checkpoint(tmp_path_factory.mktemp("own") / "tiny"))


@pytest.fixture(scope="module")
def own_result(own: OwnModel) -> Evaluation:
    return evaluate(own, PAIRS, batch=3, language="zh")


@pytest.fixture(scope="module", params=["gpt2", "llama", "bart", "t5", "bert", "xlnet"])
def library(request, tmp_path_factory) -> object:
    folder = write_library(tmp_path_factory.mktemp(request.param) / request.param, request.param)
    if request.param in ("bert", "xlnet"):
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.mask_token = "w96"
        tokenizer.save_pretrained(folder)
    return open_model(folder)


def test_our_own_loss_is_that_of_float64(own: OwnModel, own_result: Evaluation) -> None:
    module = Transformer(own.config).double().eval()
    module.load_state_dict({name: value.double() for name, value in own.module.state_dict().items()})
    total, tokens, hits, characters = 0.0, 0, 0, 0
    for source, target in PAIRS:
        ids = [own.target.ids["<zh>"], *(own.target.ids[word] for word in target.split()), own.target.ids["</s>"]]
        source_ids = [own.source.ids[word] for word in source.split()]
        logits = module(torch.tensor([source_ids]), torch.tensor([ids[:-1]]))[0]
        total += float(F.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum"))
        hits += int((logits.argmax(-1) == torch.tensor(ids[1:])).sum())
        tokens, characters = tokens + len(ids) - 1, characters + len(target)
    assert own_result.tokens == tokens
    assert own_result.loss == pytest.approx(total / tokens, abs=bounds.WEIGHT)
    assert own_result.accuracy == hits / tokens
    assert own_result.perplexity == pytest.approx(math.exp(total / tokens), rel=1e-4)
    assert own_result.bits_per_character == pytest.approx(total / math.log(2) / characters, rel=1e-4)
    assert own_result.guess == pytest.approx(math.log(len(tiny.TARGET)))


def test_what_our_own_writes_is_scored(own: OwnModel, own_result: Evaluation) -> None:
    written = own_result.rows["written"].to_pylist()
    for (source, _), text in zip(PAIRS, written, strict=True):  # cut where the model goes on for ever
        alone = own.target.text(own.trace(source, language="zh").tokens("decoder"))
        assert text == alone or (len(text.split()) == 2 * 5 + 16 and alone.startswith(text))
    assert own_result.translation == score(written, [target for _, target in PAIRS])
    assert list(own_result.table["loss"].argsort()[::-1]) == [one.line - 1 for one in own_result.worst()]
    worst = own_result.worst(1)[0]
    assert worst.tokens[-1] == "</s>" and worst.loss == pytest.approx(own_result.table["loss"].max())


@pytest.mark.parametrize("shape", ["decoder", "encoder"])
def test_one_stack_alone(shape: str) -> None:
    words = ("<pad>", "<s>", "</s>", "<mask>", *"abcdefgh")
    layers = {"encoder_layers": 2 * (shape == "encoder"), "decoder_layers": 2 * (shape == "decoder")}
    config = TransformerConfig(**(tiny.SIZES | layers | {"source_vocabulary": 12, "target_vocabulary": 12}))
    torch.manual_seed(0)
    module, tokenizer = tiny.shaken(Transformer(config)).eval(), Tokenizer(words, "words", 70)
    sides = (tokenizer, None) if shape == "encoder" else (None, tokenizer)
    starts = {} if shape == "encoder" else {"text": "<s>"}
    model = OwnModel("one", module, *sides, starts, {}, "0")
    texts = ["a b c d", "e f", "g h a b c"]
    total = tokens = 0
    double = Transformer(config).double().eval()
    double.load_state_dict({name: value.double() for name, value in module.state_dict().items()})
    for text in texts:
        ids = [tokenizer.ids[word] for word in text.split()]
        if shape == "decoder":
            ids = [1, *ids, 2]
            rows, wanted = double(None, torch.tensor([ids[:-1]]))[0], torch.tensor(ids[1:])
            total, tokens = total + float(F.cross_entropy(rows, wanted, reduction="sum")), tokens + len(wanted)
        else:
            for i, number in enumerate(ids):
                given = torch.tensor([[*ids[:i], 3, *ids[i + 1 :]]])
                total -= float(double(given, None)[0, i].log_softmax(-1)[number])
            tokens += len(ids)
    found = evaluate(model, texts)
    assert found.about["task"] == {"decoder": "causal", "encoder": "masked"}[shape] and found.tokens == tokens
    assert found.loss == pytest.approx(total / tokens, abs=bounds.WEIGHT) and found.translation is None
    assert found.about["language"] == ""


def library_loss(model, text: str, target: str | None) -> tuple[float, int]:
    """(Σ loss, tokens) by the library: its own `labels=`, or a masked copy a token."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

    kind = {"causal": AutoModelForCausalLM, "masked": AutoModelForMaskedLM, "seq2seq": AutoModelForSeq2SeqLM}[
        model.task
    ]
    module = (AutoModelForCausalLM if model.family == "xlnet" else kind).from_pretrained(
        model.module.config.name_or_path
    )
    if model.family != "xlnet":  # whose positions are always single
        module = module.double()
    module.eval()
    ids = model.tokenizer(text, return_tensors="pt").input_ids
    if model.task == "causal":
        return float(module(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1), ids.shape[1] - 1
    if model.task == "seq2seq":
        labels = model.tokenizer(text_target=target, return_tensors="pt").input_ids
        return float(module(input_ids=ids, labels=labels).loss) * labels.shape[1], labels.shape[1]
    total = 0.0
    for i in range(ids.shape[1]):
        if model.family == "xlnet":  # nobody sees token i, and its own query stream predicts it
            unseen, place = torch.zeros(1, ids.shape[1], ids.shape[1]), torch.zeros(1, 1, ids.shape[1])
            unseen[0, :, i], place[0, 0, i] = 1, 1
            logits = module(input_ids=ids, perm_mask=unseen, target_mapping=place).logits[0, 0]
        else:
            copy = ids.clone()
            copy[0, i] = model.tokenizer.mask_token_id
            logits = module(input_ids=copy).logits[0, i]
        total -= float(logits.double().log_softmax(-1)[ids[0, i]])
    return total, ids.shape[1]


def test_a_library_models_loss_is_the_librarys_own(library) -> None:
    texts = TEXTS if library.task == "masked" else TEXTS[:-1]
    given = [(text, TEXTS[-2 - i]) for i, text in enumerate(texts)] if library.task == "seq2seq" else texts
    wanted = [library_loss(library, *(one if isinstance(one, tuple) else (one, None))) for one in given]
    found = evaluate(library, given, write=False)
    assert found.about["task"] == library.task and not found.refused
    assert found.tokens == sum(tokens for _, tokens in wanted)
    assert [found.table["loss"].to_numpy() * found.table["tokens"].to_numpy()] == [
        pytest.approx([total for total, _ in wanted], abs=20 * bounds.WEIGHT)
    ]
    alone = evaluate(library, given, write=False, batch=1)
    assert found.loss == pytest.approx(alone.loss, abs=bounds.WEIGHT)  # padding changes nothing


def test_of_a_pair_a_decoder_is_scored_on_the_target_and_writes_after_the_source(tmp_path: Path) -> None:
    model = open_model(write_library(tmp_path / "gpt2", "gpt2"))
    found = evaluate(model, [("the cat", "sat on the mat"), ("a dog ran to", "the house")])
    assert found.rows["tokens"].to_pylist() == [["sat", "on", "the", "mat"], ["the", "house"]]
    ids = model.tokenizer("the cat sat on the mat", return_tensors="pt").input_ids
    labels = ids.clone()
    labels[0, :2] = -100
    own = float(model.untouched(input_ids=ids, labels=labels).loss)
    assert found.table["loss"][0] == pytest.approx(own, abs=bounds.WEIGHT)
    for row, prompt in enumerate(("the cat", "a dog ran to")):  # padded on the left, as if alone
        alone = model.generate(model.tokenizer(prompt, return_tensors="pt").input_ids, 24)[0]
        text = model.tokenizer.decode(alone[len(prompt.split()) :], skip_special_tokens=True)
        assert text.startswith(found.rows["written"][row].as_py()) and found.rows["written"][row].as_py()


def test_what_an_encoder_decoder_writes_is_what_it_writes_alone(tmp_path: Path) -> None:
    model = open_model(write_library(tmp_path / "bart", "bart"))
    found = evaluate(model, [("the cat sat on the mat", "a dog"), ("a dog", "the cat sat"), ("the house ran", "a")])
    for one, text in zip(found.worst(3), [None] * 3, strict=True):
        alone = model.generate(model.tokenizer(one.source, return_tensors="pt").input_ids, 22)[0, 1:]
        text = model.tokenizer.decode(alone, skip_special_tokens=True)
        assert one.written == text.strip()


def test_bleu_and_chrf_are_those_of_sacrebleus_command(tmp_path: Path) -> None:
    cases = {
        "zh": (["我 喜欢 猫 。", "他 有 一 只 狗", "书"], ["我喜欢猫。", "他有两只狗", "一本书"]),
        "13a": (["the cat sat on a mat", "it's a dog.", "no"], ["the cat sat on the mat", "it is a dog.", "no way"]),
    }
    for how, (written, references) in cases.items():
        (tmp_path / "w").write_text("\n".join(written) + "\n", "utf-8")
        (tmp_path / "r").write_text("\n".join(references) + "\n", "utf-8")
        command = [sys.executable, "-m", "sacrebleu", str(tmp_path / "r"), "-i", str(tmp_path / "w"), "-m", "bleu", "chrf",
                   "--tokenize", how, "-w", "6", "-f", "json"]  # fmt: skip
        told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
        found = score(written, references)
        assert found.bleu == pytest.approx(told[0]["score"], abs=1e-5)
        assert found.chrf == pytest.approx(told[1]["score"], abs=1e-5)
        assert (
            f"tok:{how}" in found.signature
            and told[0]["signature"].split("|")[-1].removeprefix("version:") in found.signature
        )
    assert score(["a  b", "c"], ["a b", "d"]).exact_match == 0.5


def test_a_stopped_evaluation_goes_on_and_ends_the_same(own: OwnModel, own_result: Evaluation) -> None:
    keep, calls = Memory(), []

    def stop() -> bool:
        return len(calls) == 2

    many = PAIRS * 30
    with pytest.raises(Stopped), report_to(ProgressListener(lambda what, done: calls.append(done), stop)):
        evaluate(own, many, keep=keep, batch=8, count=len(many), write=False)
    kept = sum(part.num_rows for part in keep.parts.values())
    assert 0 < kept < len(many)
    told = []
    found = evaluate(own, many, keep=keep, batch=8, write=False, progress=lambda done, count: told.append(done))
    assert told[0] == kept and told[-1] == len(many)
    whole = evaluate(own, many, batch=8, write=False)
    assert found.rows.drop(["losses"]) == whole.rows.drop(["losses"])
    assert found.loss == pytest.approx(whole.loss, abs=bounds.WEIGHT)
    assert found.loss == pytest.approx(own_result.loss, abs=bounds.WEIGHT)


def test_saved_and_opened_again(own_result: Evaluation, tmp_path: Path) -> None:
    path = own_result.save(tmp_path / "new" / "one.parquet")
    for found in (Evaluation.open(path), Evaluation.open(path.read_bytes())):
        assert found.rows == own_result.rows and found.summary() == own_result.summary()
        assert found.worst(2) == own_result.worst(2)
    for data in (b"", b"PAR1", path.read_bytes()[:-40]):
        with pytest.raises(EvaluationFile, match="damaged or no evaluation"):
            Evaluation.open(data)


def test_lines_that_a_model_does_not_read_are_told(own: OwnModel) -> None:
    found = evaluate(own, [PAIRS[0], ("the zebra", "我"), ("the cat " * 40, "我"), ("cats", "x"), ("cats", "")])
    assert {line: told["code"] for line, told in found.refused.items()} == {
        2: "unknown_words", 3: "text_too_long", 4: "unknown_words", 5: "empty_text",
    }  # fmt: skip
    assert found.examples == 1 and found.summary()["refused"]["reasons"]["unknown_words"] == 2
    with pytest.raises(NothingScored, match="give pairs in two columns"):
        evaluate(own, ["the cat"])
    with pytest.raises(UnknownOption):
        scorer_of(own, "de")


def test_models_that_predict_no_tokens_are_refused(tmp_path: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    folder = write_library(tmp_path / "bert", "bert")
    config = BertConfig.from_pretrained(folder)
    BertForSequenceClassification(config).save_pretrained(folder)
    with pytest.raises(NotInThisModel, match="Predicting the tokens"):
        evaluate(open_model(folder), ["the cat"])


def test_intervals_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    above, below = rng.random(40) * 5, rng.integers(1, 9, 40).astype(float)
    other = above + rng.normal(0.5, 1, 40)
    draws = np.random.default_rng(7).integers(0, 40, size=(200, 40))
    ratios = [sum(above[i] for i in row) / sum(below[i] for i in row) for row in draws]
    found = bootstrap.interval(above, below, 200, 7)
    assert found.value == pytest.approx(above.sum() / below.sum())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(ratios, (0.025, 0.975))))
    apart = [
        sum(other[i] for i in row) / sum(below[i] for i in row) - one for row, one in zip(draws, ratios, strict=True)
    ]
    real = (other.sum() - above.sum()) / below.sum()
    told = bootstrap.difference((above, below), (other, below), 200, 7)
    count = sum(abs(one - np.mean(apart)) >= abs(real) for one in apart)
    assert told.value == pytest.approx(real) and told.p == (count + 1) / 201
    assert bootstrap.difference((above, below), (above, below), 200, 7).p == 1


def test_several_models_are_one_table(
    own: OwnModel, own_result: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "FEWEST", 1)
    other = evaluate(open_model(tiny.write_checkpoint(tmp_path / "other", seed=3)), PAIRS)
    table = compared([own_result, other, own_result], samples=100)
    assert list(table["model"]) == ["tiny", "other", "tiny"]
    assert table["loss"].tolist() == pytest.approx([own_result.loss, other.loss, own_result.loss])
    assert (table["loss_low"] <= table["loss"]).all() and (table["loss"] <= table["loss_high"]).all()
    assert math.isnan(table["loss_p"][0]) and table["loss_p"][2] == 1
    texts = [one.answers[0] for one in (own_result, other, own_result)]
    told = paired([("", one) for one in texts], own_result.answers[1], 100)["BLEU"]
    assert table["bleu"].tolist() == [row.score for row in told]
    with pytest.raises(NotTheSameFile):
        compared([own_result, evaluate(own, PAIRS[:2])])


def test_the_grammars_rule_holds_of_the_grammar_and_finds_what_breaks_it() -> None:
    from model.training.language.grammar import pairs

    for language in ("zh", "fr"):
        found = [broken(pair.target, language) for pair in pairs(language, 300, 3, "test")]
        assert sum(places for places, _ in found) > 100 and not [one for _, wrong in found for one in wrong]
    assert broken(["我", "有", "一", "本", "黑", "猫", "。"], "zh") == (1, ["一 本 黑 猫"])
    assert broken(["我", "有", "一", "只", "黑", "猫", "。"], "zh") == (1, [])
    assert broken(["我", "有", "两", "猫"], "zh") == (1, ["两 猫"])
    assert broken(["j'", "ai", "une", "chat", "noir"], "fr") == (1, ["une chat noir"])
    assert broken(["j'", "ai", "un", "chat", "noire"], "fr") == (1, ["un chat noire"])
    assert broken(["la", "pomme", "rouge", "est", "verte"], "fr") == (1, [])


def test_the_command_writes_the_numbers_and_goes_on(tmp_path: Path, capsys) -> None:
    folder, out = tiny.write_checkpoint(tmp_path / "tiny"), tmp_path / "out.json"
    (tmp_path / "pairs.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in [*PAIRS, ("", "x")]), "utf-8")
    given = ["evaluate", "--model", str(folder), "--data", str(tmp_path / "pairs.tsv"), "--json", str(out)]
    assert main([*given, "--examples", str(tmp_path / "e.parquet")]) == 0
    told = json.loads(out.read_text("utf-8"))
    file = DataFile.open(tmp_path / "pairs.tsv")
    found = evaluate(open_model(folder), file)
    for name in ("loss", "perplexity", "bits_per_character", "tokens", "bleu", "chrf", "exact_match", "signature"):
        assert told[name] == found.summary()[name], name
    assert told["data"]["odd_lines"] == told["data"]["left_out"] == {"empty": 1} and told["refused"]["count"] == 0
    assert Evaluation.open(tmp_path / "e.parquet").loss == found.loss
    assert not Path(f"{out}.parts").exists() and "1 is perfect, 15 a uniform guess" in capsys.readouterr().out
    assert main([*given, "--model", str(folder)]) == 0
    told = json.loads(out.read_text("utf-8"))
    assert len(told["models"]) == 2 and f"fewer than {bootstrap.FEWEST}" in told["no_intervals"]
    (row,) = told["paired"][1:]
    assert (
        row["loss"] == pytest.approx(told["loss"])
        and row["loss_p"] is row["loss_low"] is row["bleu_p"] is row["bleu_high"] is None
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.parquet", "out.json", "pairs.tsv", "tiny"]
    (tmp_path / "pairs.tsv").write_bytes(b"a\0b")
    assert main(given) == 2 and "bytes of zero" in capsys.readouterr().err


# Parts of few examples, saved at once, so that a run that takes seconds is killed in its middle.
QUICK = (
    "import sys, model.jobs.part_files as parts; parts.CHUNK = 8; import model.evaluation.run as run;"
    "run._SAVED = 0.0; from model.__main__ import main; sys.exit(main(sys.argv[1:]))"
)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_command_goes_on_to_the_same_numbers(tmp_path: Path, end: signal.Signals) -> None:
    folder, data = tiny.write_checkpoint(tmp_path / "tiny"), tmp_path / "pairs.tsv"
    data.write_text("".join(f"{s}\t{t}\n" for s, t in PAIRS * 12), "utf-8")
    given = [sys.executable, "-c", QUICK, "evaluate", "--model", str(folder), "--data", str(data), "--keep", "duplicate",
             "--json"]  # fmt: skip

    def started(out: Path) -> subprocess.Popen:
        command = [*given, str(out), "--examples", str(out.with_suffix(".parquet"))]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    out, work = tmp_path / "out.json", tmp_path / "out.json.parts"
    run = started(out)
    while run.poll() is None and not (work / "000001.parquet").is_file():
        time.sleep(0.01)
    run.send_signal(end)
    said = run.communicate(timeout=60)[1]
    assert not out.exists(), said
    kept = sum(pq.read_table(path).num_rows for path in work.glob("*.parquet"))
    assert 8 < kept < 48
    if end == signal.SIGTERM:
        assert run.returncode == 130
        assert f"Stopped after {kept} of 48 examples: the same command goes on from there." in said
    first = (work / "000000.parquet").stat().st_mtime_ns
    again = started(out)
    while again.poll() is None:
        if (work / "000000.parquet").is_file():
            assert (work / "000000.parquet").stat().st_mtime_ns == first  # finished work is not done again
        time.sleep(0.01)
    assert again.returncode == 0, again.communicate()[1]
    again.communicate()
    whole = started(tmp_path / "whole.json")
    assert whole.communicate(timeout=60)[0] and not work.exists()
    one, other = (Evaluation.open(tmp_path / f"{name}.parquet") for name in ("out", "whole"))
    assert one.rows.drop(["losses"]) == other.rows.drop(["losses"])
    assert one.loss == pytest.approx(other.loss, abs=bounds.WEIGHT)


def test_work_of_another_model_or_file_is_refused(tmp_path: Path, capsys) -> None:
    folder, data, out = tiny.write_checkpoint(tmp_path / "a"), tmp_path / "pairs.tsv", tmp_path / "out.json"
    data.write_text("the cat\t我\n", "utf-8")
    parts = PartFiles(out, {"file": "other"}, SCHEMA, EvaluationNotWritten)
    given = ["evaluate", "--model", str(folder), "--data", str(data), "--json", str(out)]
    assert main(given) == 2
    assert "another file" in capsys.readouterr().err and not out.exists()
    parts.remove()
    assert main(given) == 0
    data.write_text("zebra\t我\n", "utf-8")
    out.unlink()
    assert main(given) == 2 and "None of the 1 examples was scored" in capsys.readouterr().err
    assert main([*given, "--language", "de"]) == 2 and not Path(f"{out}.parts").exists()


def test_without_ray_it_is_said(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    data = tmp_path / "pairs.tsv"
    data.write_text("the cat runs\tle chat court\n", "utf-8")
    out = tmp_path / "o.json"
    assert main(["evaluate", "--model", "translate", "--data", str(data), "--json", str(out), "--ray", "local"]) == 2
    assert 'pip install "ray[data]"' in capsys.readouterr().err and not out.exists()


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason='needs pip install "ray[data]"')
def test_two_workers_of_ray_give_the_same_numbers(tmp_path: Path) -> None:
    """Several parts, and a line that is refused; the numbers are those of one process, to what other batches round."""
    data = tmp_path / "pairs.tsv"
    lines = [f"{who} {what}\tj'aime les chats" for who in ("I like", "you like", "we like", "they like")
             for what in ("cats", "dogs", "birds", "apples")]  # fmt: skip
    data.write_text("\n".join([*lines, "the zyxgh runs\tle chat court"]) + "\n", "utf-8")
    given = ["evaluate", "--model", "translate", "--data", str(data), "--language", "fr"]
    assert main([*given, "--json", str(tmp_path / "one.json")]) == 0
    code = (
        "import sys, ray, model.jobs.part_files as parts; parts.CHUNK = 5; ray.init(num_cpus=2, include_dashboard=False);"
        "from model.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *given, "--ray", "auto", "--json", str(tmp_path / "two.json")], cwd=ROOT,
        capture_output=True, text=True, timeout=150, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (json.loads((tmp_path / f"{name}.json").read_text("utf-8")) for name in ("one", "two"))
    assert one["examples"] == two["examples"] == 16 and one["refused"] == two["refused"]
    for name in ("loss", "perplexity", "bits_per_character", "accuracy", "bleu", "chrf", "exact_match"):
        assert two[name] == pytest.approx(one[name], rel=1e-5), name
