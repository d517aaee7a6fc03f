"""The page Comparing, two checkpoints: the second model changes the numbers, never the first, and what fails is said."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from model import open_model
from model.compare import aligned_runs
from model.compare import checkpoints as compare_checkpoints
from tests import bounds
from tests.app.acting import stays_stopped, stop_during, wait_for_stop
from tests.model import tiny
from viz.ui.state import model_cache
from viz.ui.state.model_list import found as looked_for

LINK = {"model": "base", "text": tiny.TEXT, "target": tiny.WRITTEN, "to": "zh", "tab": "comparing.checkpoints",
        "site": "encoder.1.self", "head": 1}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pairs")
    for name, how in (("base", {}), ("other", {"seed": 5}), ("small", {"seed": 2, "heads": 2, "encoder_layers": 1})):
        tiny.write_checkpoint(root / name, **how)
    trace(root, "base").save(root / "same.safetensors")
    open_model(str(root / "base")).trace("I like cats", language="zh").save(root / "another.safetensors")
    return root


@pytest.fixture(autouse=True)
def models(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEADLIGHT_MODELS", str(folder))
    looked_for.clear()
    yield
    looked_for.clear()


def trace(folder: Path, name: str):
    return open_model(str(folder / name)).trace(tiny.TEXT, tiny.WRITTEN, language="zh")


def table(seen):
    return seen.at.dataframe[0].value


def test_the_second_model_is_chosen_and_changes_the_numbers(visit, folder: Path) -> None:
    seen = visit("comparing", **LINK).sound()
    assert seen.say("comparing.kinds_of_pairs") in [caption.value for caption in seen.at.caption]
    first = trace(folder, "base")
    told = []
    for name in ("other", "small"):
        seen.set("comparing_model", name).sound()
        assert seen.view.against == seen.link["against"] == f"model:{name}" and seen.view.model == "base"
        second = trace(folder, name)
        found = compare_checkpoints.counterparts(first, second)
        bounds.close(table(seen)["r"], [row.r for row in found.by_change], 64)
        bounds.close(table(seen)["divergence"], [row.divergence for row in found.by_change], 64, size=1.0)
        told.append(list(table(seen)["r"]))
        shown = [text.value for text in seen.at.caption]
        assert (seen.say("comparing.other_shape") in shown) == (name == "small")
    assert told[0] != told[1]


def test_the_selected_head_and_its_counterpart(visit, folder: Path) -> None:
    first, second = trace(folder, "base"), trace(folder, "other")
    found = compare_checkpoints.counterparts(first, second)
    row = next(row for row in found.heads if row.moved)
    none = next(row for row in found.heads if row.other is None)
    link = LINK | {"against": "model:other", "site": str(row.site), "head": row.head}
    seen = visit("comparing", **link).sound()
    A = first.weights(row.site, row.head).numpy()
    for how, (site, head) in (("match", row.other), ("place", (row.site, row.head))):
        seen.set("counterpart", how).sound()
        B = second.weights(site, head).numpy()
        for place, want in enumerate((A, B, B - A)):
            np.testing.assert_allclose(
                seen.figure(f"comparing-checkpoints-{place}")[1]["values"], want, atol=2 * bounds.WEIGHT
            )
    seen.set("counterpart", "match").set("site", str(none.site)).set("head", none.head).sound()
    said = " ".join(info.value for info in seen.at.info)
    assert said.startswith(seen.say(f"comparing.none_{none.why}", nearest="|", r="").split("|")[0])
    assert not [key for key in seen.figures() if key.startswith("comparing-checkpoints")]


def test_the_maps_say_divergence_when_asked(visit) -> None:
    seen = visit("comparing", **LINK, against="model:other").sound()
    seen.set("alike", "divergence").sound()
    told = " ".join(caption.value for caption in seen.at.caption)
    assert seen.say("comparing.counterparts_sentence_divergence") in told


def typed(seen, path: str) -> None:
    seen.at.text_input(key="comparing-path").set_value(path)
    seen.at.run()


def test_the_second_model_may_be_a_path_of_ones_own(visit, folder: Path, tmp_path: Path) -> None:
    elsewhere = tiny.write_checkpoint(tmp_path / "elsewhere", seed=9)
    seen = visit("comparing", **LINK).sound()
    typed(seen, "/no/such/folder")
    assert seen.complaint() == seen.say("comparing.path_nothing", path="/no/such/folder") and seen.view.against == ""
    typed(seen, str(elsewhere))
    assert seen.sound().view.against == f"model:{elsewhere}"
    found = compare_checkpoints.counterparts(trace(folder, "base"), trace(tmp_path, "elsewhere"))
    bounds.close(table(seen)["place_r"], sorted(row.place_r for row in found.heads), 64)
    typed(seen, str(elsewhere) + "x")  # what was compared is no longer what is asked for
    assert seen.complaint() == seen.say("comparing.path_nothing", path=f"{elsewhere}x")
    assert seen.view.against == "" and not seen.at.dataframe
    typed(seen, str(elsewhere))
    typed(seen, "")
    assert seen.sound().view.against == "" and seen.say("comparing.kinds_of_pairs") in [
        c.value for c in seen.at.caption
    ]


def test_the_same_weights_under_another_name_are_said(visit, tmp_path: Path) -> None:
    seen = visit("comparing", **LINK).sound()
    typed(seen, str(tiny.write_checkpoint(tmp_path / "twin")))
    assert seen.say("comparing.same_weights") in [info.value for info in seen.sound().at.info]
    seen.set("comparing_model", "other").sound()
    assert seen.say("comparing.same_weights") not in [info.value for info in seen.at.info]


@pytest.mark.parametrize("name", ["nothing", "/no/such/folder"])
def test_a_wrong_name_in_a_link_is_answered(visit, name: str) -> None:
    seen = visit("comparing", **LINK, against=f"model:{name}")
    assert name in seen.complaint() and seen.view.model == "base"


def test_a_saved_run_of_the_same_text_and_of_another(visit) -> None:
    seen = visit("comparing", **LINK).sound()
    saved = {name: entry for name, entry in looked_for().items() if entry.kind == "trace"}
    (same,), (another,) = ([n for n, e in saved.items() if e.path.stem == stem] for stem in ("same", "another"))
    seen.set("comparing_model", same).sound()
    np.testing.assert_allclose(table(seen)["r"], 1, atol=1e-9)
    seen.set("comparing_model", another).sound()
    assert seen.say("comparing.saved_other_text") in [info.value for info in seen.at.info]


def test_a_model_that_cannot_read_the_text_is_answered(visit) -> None:
    text = "the animal didn't cross the street"
    seen = visit("comparing", model="translate", text=text, to="fr", tab=LINK["tab"], against="model:dates")
    assert seen.complaint().startswith("**B** ") and seen.view.model == "translate"
    assert seen.say("comparing.kinds_of_pairs") in [caption.value for caption in seen.at.caption]


def test_the_second_model_can_be_stopped(visit, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = visit("comparing", **LINK).sound()
    waits, calls, quick = threading.Event(), [], model_cache.opened

    def slow(name: str):
        if name == "other":
            calls.append(name)
            wait_for_stop(waits)
        return quick(name)

    monkeypatch.setattr(model_cache, "opened", slow)
    stop_during(seen, waits, lambda: seen.set("comparing_model", "other"))
    stays_stopped(seen, (2, 3), calls, model="base")
    monkeypatch.setattr(model_cache, "opened", quick)
    seen.click("comparing-again").sound()
    found = compare_checkpoints.counterparts(trace(folder, "base"), trace(folder, "other"))
    bounds.close(table(seen)["r"], [row.r for row in found.by_change], 64)


def test_a_model_is_not_compared_with_itself(visit) -> None:
    seen = visit("comparing", **LINK, against="model:base").sound()
    assert [info.value for info in seen.at.info] == [seen.say("comparing.same_model")] and not seen.at.dataframe


def test_an_untrained_model_with_the_same_words_is_made_for_comparison(visit, tmp_path, monkeypatch) -> None:
    from model.checkpoints.random_models import make

    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    seen = visit("comparing", text="the cat sat on the mat", to="zh", tab="comparing.checkpoints").sound()
    seen.click("comparing-untrained").sound()
    assert seen.view.model == "translate" and seen.view.against == f"model:{make.folder('shaw')}"
    shown = [text.value for text in seen.at.markdown]
    assert any("Shaw et al. 2018" in text for text in shown) and not any("random-shaw" in text for text in shown)
    both_read_what_a_wrote(seen, "zh", str(make.folder("shaw")))


def both_read_what_a_wrote(seen, to: str, path: str) -> None:
    """Every token stands for one of the other, and the numbers are of B with A's output and language."""
    a = open_model("translate").trace("the cat sat on the mat", language=to)
    written = " ".join(a.side("decoder").texts[1:])
    b = open_model(path).trace("the cat sat on the mat", written, language=to)
    assert b.side("decoder").tokens == a.side("decoder").tokens
    captions = [caption.value for caption in seen.at.caption]
    assert seen.say("comparing.b_reads", text=written) in captions
    assert not any(seen.say("comparing.alone", tokens="|").split("|")[0] in caption for caption in captions)
    bounds.close(table(seen)["r"], [row.r for row in compare_checkpoints.counterparts(a, b).by_change], 64)


def test_the_second_model_writes_in_the_language_of_the_first(visit, tmp_path, monkeypatch) -> None:
    from model.checkpoints.random_models import make

    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    path = str(make.write("shaw"))
    seen = visit(
        "comparing", text="the cat sat on the mat", to="fr", tab="comparing.checkpoints", against=f"model:{path}"
    )
    both_read_what_a_wrote(seen.sound(), "fr", path)


def test_an_output_that_the_other_vocabulary_lacks_is_not_forced(folder: Path, models) -> None:
    from model.compare.same_output import written_for

    first = open_model("translate").trace("the cat sat on the mat", language="fr")
    assert written_for(first, open_model(str(folder / "base"))) is None
    assert written_for(trace(folder, "base"), open_model(str(folder / "other"))) == tiny.WRITTEN


@pytest.fixture
def two_tokenizers(models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same weights twice, "whole" and "pieces": the second's tokenizer lacks the merges that make longer tokens."""
    from tests.app import checkpoints

    pytest.importorskip("transformers")
    for name in ("whole", "pieces"):
        checkpoints.write(tmp_path / name, "gpt2")
    path = tmp_path / "pieces" / "tokenizer.json"
    told = json.loads(path.read_text("utf-8"))
    merges = told["model"]["merges"]
    told["model"]["merges"] = merges[: len(merges) // 2]
    path.write_text(json.dumps(told), "utf-8")
    monkeypatch.setenv("HEADLIGHT_MODELS", str(tmp_path))
    looked_for.clear()
    return tmp_path


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_tokens_that_two_tokenizers_cut_apart_are_drawn_each_in_its_own_matrix(
    visit, two_tokenizers: Path, lang: str
) -> None:
    text = "the cat sat on the mat"
    first, second = (open_model(str(two_tokenizers / name)).trace(text) for name in ("whole", "pieces"))
    one, other = first.side("decoder").texts, second.side("decoder").texts
    assert one != other and "".join(one) == "".join(other)
    shared = aligned_runs.aligned_sides(first, second)["decoder"]
    assert shared.pairs and shared.only_first + shared.only_second
    slots = aligned_runs.merged(aligned_runs.cut_apart(shared))
    assert sorted(i for i, _ in slots if i is not None) == list(range(len(one)))
    assert sorted(j for _, j in slots if j is not None) == list(range(len(other)))
    seen = visit("comparing", model="whole", text=text, tab="comparing.checkpoints,counterpart.place", lang=lang,
                 against="model:pieces", site="decoder.0.self", head=0).sound()  # fmt: skip
    frames = [seen.figure(f"comparing-checkpoints-{place}") for place in range(3)]
    (_, b), weights = frames[1], second.weights("decoder.0.self", 0).numpy()
    for at, (i, j) in enumerate(slots):
        kinds = [header["rows"][at]["kind"] for header, _ in frames]
        assert kinds == ["absent" if missing else "word" for missing in (i is None, j is None, None in (i, j))]
        columns = [k for k, slot in enumerate(slots) if slot[1] is not None]
        if j is not None:
            np.testing.assert_allclose(b["values"][at][columns], weights[j], atol=2 * bounds.WEIGHT)
    header, apart = frames[2]
    both = [None not in slot for slot in slots]
    assert header["words"]["masked"] == f"{seen.say('matrix.masked')} · {seen.say('comparing.cut_apart')}"
    assert not apart["values"][~np.outer(both, both)].any() and apart["values"].any()
    assert seen.say("comparing.cut_apart_what") in [caption.value for caption in seen.at.caption]
