"""Models of ours in every shape in the app: each page, what it shows of one stack alone, and what it says it lacks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from model import open_model
from tests import bounds
from tests.app.visit import PAGES
from tests.model import naive, tiny
from viz.ui.language import catalogue
from viz.ui.state import model_list

# Name of the folder -> (shape, kind, changes of the sizes).
MADE: dict[str, tuple[str, str, dict[str, object]]] = {
    "gpt": ("decoder", "words", {}), "bert": ("encoder", "words", {}),
    "letters": ("decoder", "characters", {"d_ff": 0, "positions": "learned", "norm": "pre"}),
    "gaps": ("encoder", "characters", {"d_ff": 0, "positions": "rotary"}),
    "bare": ("both", "words", {"d_ff": 0}), "pairs": ("decoder", "subwords", {"norm": "pre", "positions": "alibi"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shapes")
    for name, (shape, kind, changes) in MADE.items():
        tiny.write_checkpoint(root / name, shape=shape, kind=kind, **changes)
    return root


@pytest.fixture(autouse=True)
def listed(written: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HEADLIGHT_MODELS", str(written))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    model_list.found.clear()
    model_list.task.clear()
    yield
    model_list.found.clear()
    model_list.task.clear()


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", MADE)
def test_every_page_shows_every_shape(visit, name: str, page: str) -> None:
    seen = visit(page, model=name)
    seen.sound()
    title = "headline" if page == "overview" else page
    assert [t.value for t in seen.at.title] == [catalogue("en")[f"{title}.title"]]
    assert seen.view.model == name


@pytest.mark.parametrize("panel", ["stream", "norm", "units", "activations"])
@pytest.mark.parametrize("name", MADE)
def test_the_block_of_every_shape(visit, name: str, panel: str) -> None:
    seen = visit("block", model=name, tab=f"block.{panel}").sound()
    lacking = seen.say("block.units_lacking") in [note.value for note in seen.at.info]
    assert lacking == (panel == "units" and "d_ff" in MADE[name][2])


@pytest.mark.parametrize("kind", ["sinusoidal", "learned", "relative", "t5", "alibi", "rotary", "none"])
@pytest.mark.parametrize("name", ["gpt", "bert", "letters", "gaps"])
def test_the_positions_of_every_shape(visit, name: str, kind: str) -> None:
    seen = visit("positions", model=name, tab=f"positions.{kind}").sound()
    causal = seen.say("positions.without_causal") in [note.value for note in seen.at.info]
    assert causal == (kind == "none" and MADE[name][0] == "decoder")
    if kind == "none" and not causal:
        assert "positions-plain-without" in seen.figures()


@pytest.mark.parametrize("way", ["greedy", "beams", "sampling", "cache"])
@pytest.mark.parametrize("name", MADE)
def test_what_is_written_in_every_way(visit, name: str, way: str) -> None:
    seen = visit("generation", model=name, tab=f"generation.{way}").sound()
    none = seen.say("generation.none") in [note.value for note in seen.at.info]
    assert none == (MADE[name][0] == "encoder")
    if not none and way == "sampling":
        seen.click("generation-draw").sound()
        texts = seen.at.dataframe[-1].value[seen.say("generation.text")]
        assert len(texts) == 3
        assert any(" " in text for text in texts) == (MADE[name][1] == "words")  # a space that is drawn is shown as ·


def naive_row(opened, ids: list[int], row: int) -> dict[str, float]:
    """Token -> probability at one row, in NumPy."""
    alone = (ids, None) if opened.task == "masked" else (None, ids)
    logits = naive.Run(opened.module.state_dict(), opened.config.to_dict(), *alone).got["logits"][row]
    powers = np.exp(logits - logits.max())
    return dict(zip((opened.target or opened.source).vocabulary, powers / powers.sum(), strict=True))


def test_the_first_screen_of_a_decoder_alone(visit, written: Path) -> None:
    seen = visit(model="gpt", text="the cat sat", new=3).sound()
    assert [box.key for box in seen.at.sidebar.text_input] == ["text-en"]  # no target: nothing reads one
    opened = open_model(written / "gpt")
    ids = opened.trace("the cat sat", new_tokens=3).token_ids("decoder")
    header, _ = seen.figure("overview")
    assert [chip["text"] for chip in header["shifted"]] == [opened.target.vocabulary[i] for i in ids]
    assert header["source"] == [] and [stack["name"] for stack in header["stacks"]] == ["decoder"]
    found = header["next"]
    row = seen.view.row
    want = naive_row(opened, ids, row)
    assert len(found["bars"]) == 5
    for bar in found["bars"]:
        assert bar["probability"] == pytest.approx(want[bar["text"]], abs=bounds.WEIGHT)
    assert seen.at.sidebar.get("slider")[0].value == 3


def test_the_first_screen_of_an_encoder_alone(visit, written: Path) -> None:
    seen = visit(model="bert", text="the [MASK] sat on the mat").sound()
    assert [box.key for box in seen.at.sidebar.text_input] == ["text-en"]
    assert not seen.at.sidebar.get("slider")
    assert seen.say("headline.what_self") in [text.value for text in seen.at.markdown]
    opened = open_model(written / "bert")
    header, _ = seen.figure("overview")
    assert [chip["text"] for chip in header["source"]] == ["the", "<mask>", "sat", "on", "the", "mat"]
    assert header["next"]["title"] == seen.say("overview.gap") and header["next"]["after"] == "<mask>"
    want = naive_row(opened, opened.trace("the <mask> sat on the mat").token_ids("encoder"), 1)
    for bar in header["next"]["bars"]:
        assert bar["probability"] == pytest.approx(want[bar["text"]], abs=bounds.WEIGHT)
    seen.go("output").sound()
    assert seen.say("output.gap") in seen.at.markdown[1].value
    table = seen.at.dataframe[0].value
    assert table[seen.say("card.token")].tolist() == sorted(want, key=want.get, reverse=True)[:10]


def test_continuations_of_a_decoder_alone(visit) -> None:
    seen = visit("output", model="letters", text="the cat").sound()
    assert seen.say("output.continuations") in " ".join(text.value for text in seen.at.markdown)
    seen.click("sample-draw").sound()
    assert len([button for button in seen.at.button if (button.key or "").startswith("sample-look-")]) == 3
    seen.click("sample-look-1").sound()
    assert seen.view.text.startswith("the cat") and len(seen.view.text) > len("the cat")
    for name in ("gaps", "bare"):  # one writes nothing, the other answers
        other = visit("output", model=name).sound()
        assert not [button for button in other.at.button if button.key == "sample-draw"]


def test_what_a_link_asks_of_another_shape_is_not_asked(visit) -> None:
    for name in ("gpt", "bert"):
        asked = {"target": "我", "to": "fr", "pair": "the cat", "chat": 1, "new": 2}
        visit("output", model=name, text="the cat", **asked).sound()


def test_a_word_that_is_not_known_is_said(visit) -> None:
    said = visit(model="gpt", text="the catt sat").complaint()
    assert "catt" in said and "cat" in said


@pytest.mark.parametrize("name", ["gpt", "bert"])
def test_two_inputs_and_two_checkpoints(visit, name: str) -> None:
    other = "letters" if name == "gpt" else "gaps"
    visit("comparing", model=name, text="the cat sat", tab="comparing.inputs", against="text:the mat sat").sound()
    visit("comparing", model=name, text="the cat sat", tab="comparing.checkpoints", against=f"model:{other}").sound()
    seen = visit("comparing", model=name, text="the cat sat", tab="comparing.checkpoints", against="model:bare")
    seen.sound()


@pytest.mark.parametrize("page", ["overview", "heads", "output", "generation", "steps", "encoder_decoder", "measures"])
@pytest.mark.parametrize("name", ["gpt", "bert"])
def test_a_saved_run_of_one_stack(visit, written: Path, name: str, page: str) -> None:
    path = written / f"run-{name}.safetensors"
    if not path.exists():
        more = {"new_tokens": 3} if name == "gpt" else {}
        open_model(written / name).trace("the cat sat", **more).save(path)
        model_list.found.clear()
    seen = visit(page, model=f"run-{name}").sound()
    assert not seen.at.sidebar.text_input


def test_induction_is_measured_on_one_stack(visit) -> None:
    for name in ("gpt", "gaps"):
        visit("measures", model=name).click("measures-induction").sound()
    seen = visit("measures", model="bare").sound()
    assert seen.say("measures.induction_none") in [text.value for text in seen.at.caption]


@pytest.mark.parametrize("name", MADE)
def test_the_card_says_the_shape(visit, name: str) -> None:
    seen = visit("model_card", model=name).sound()
    table = seen.at.dataframe[0].value
    facts = dict(zip(table[seen.say("card.fact")], table[seen.say("card.value")], strict=True))
    task = {"decoder": "causal", "encoder": "masked", "both": "seq2seq"}[MADE[name][0]]
    assert facts[seen.say("card.task")] == seen.say(f"task.{task}")
    assert facts.get(seen.say("card.layers_short"), "2 + 2") == ("2" if task != "seq2seq" else "2 + 2")
    assert facts["d_ff"] == (seen.say("card.attention_only") if "d_ff" in MADE[name][2] else "24")
    assert len(seen.at.dataframe) == (3 if task == "seq2seq" else 2)


def test_the_families_offer_each_shape_where_it_belongs(visit) -> None:
    seen = visit("families").sound()
    offered = {button.key for button in seen.at.button if (button.key or "").startswith("families-have-")}
    assert {"families-have-gpt-gpt", "families-have-bert-bert", "families-have-transformer-bare"} <= offered
    assert not {"families-have-transformer-gpt", "families-have-transformer-bert", "families-have-bert-gpt"} & offered


@pytest.mark.parametrize("name", MADE)
def test_a_card_without_examples_begins_with_words_of_the_models_own(
    visit, written: Path, tmp_path: Path, name: str
) -> None:
    folder = Path(shutil.copytree(written / name, tmp_path / "untold"))
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    (folder / "card.json").write_text(json.dumps(card | {"examples": []}), encoding="utf-8")
    seen = visit(model=str(folder)).sound()
    assert seen.view.text and ("<mask>" in seen.view.text) == (MADE[name][0] == "encoder")
    assert seen.view.model == str(folder) and seen.figures() == ["overview"]
