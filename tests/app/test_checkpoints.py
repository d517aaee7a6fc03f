"""Any checkpoint on this computer, opened in the app: every page, and figures that agree with its own run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model import Trace, open_model
from model.checkpoints.library import outputs
from model.checkpoints.media import pictures, sound
from tests import bounds
from tests.app.acting import pick, put
from tests.app.checkpoints import MADE
from tests.app.visit import PAGES, Visit
from viz.base import numbers
from viz.base.axes import WINDOW

TEXT = "The animal didn't cross the street."
LONG_TEXT = "The cat sat on the mat. I like cats and the lazy dog. " * 18


def own_run(models: Path, seen: Visit) -> Trace:
    """The run of a visit, made by an independent caller."""
    name, text = seen.view.model, seen.view.text
    if name == "trace":
        return Trace.open(models / "saved" / "trace.safetensors")
    model = open_model(models / name)
    if model.reads == "pictures":
        return pictures.trace_picture(model, pictures.sample_picture(), text or None)
    if model.reads == "sound":
        samples, rate = sound.speech_sample() or sound.sample_sound()
        return sound.trace_sound(model, samples, seen.view.target or None, rate=rate)
    more = {"pair": seen.view.pair or None, "chat": bool(seen.view.chat), "new_tokens": seen.view.new or None}
    return model.trace(text, seen.view.target or None, **more)


def same(seen: Visit, trace: Trace) -> None:
    """The matrix is the selected head of `trace`."""
    expected = trace.weights(seen.view.site, seen.view.head).numpy()
    np.testing.assert_allclose(seen.figure("matrix")[1]["values"], expected, atol=bounds.WEIGHT, rtol=0)


@pytest.mark.parametrize("name", [*MADE, "trace"])
def test_every_page_of_every_checkpoint(visit, models: Path, name: str) -> None:
    """In one language or the other by turns: the words of each are held elsewhere."""
    seen = visit(model=name).sound()
    if [*MADE, "trace"].index(name) % 2:
        seen.set("ui_language", "zh")
    for page in PAGES:
        seen.go(page).sound()
    assert seen.view.model == name
    assert "overview" in visit(**seen.link).sound().figures()


@pytest.mark.parametrize("name", [*MADE, "trace"])
def test_the_matrix_is_the_models_own(visit, models: Path, name: str) -> None:
    seen = visit("heads", model=name).sound()
    trace = own_run(models, seen)
    same(seen, trace)
    last, head = str(trace.sites[-1]), trace.record(trace.sites[-1]).heads - 1
    seen = visit("heads", **(seen.link | {"site": last, "head": head})).sound()
    assert (seen.view.site, seen.view.head) == (last, head)
    same(seen, trace)
    if "lines" in seen.figures():  # a picture's patches stand beside its matrix instead
        lines = seen.figure("lines")[1]["weights"]
        assert lines.shape[0] == head + 1


def words_by_hand(weights: np.ndarray, rows: list[int], columns: list[int]) -> np.ndarray:
    """Weights [q, k] with word numbers of each token: keys of a word summed, then its queries averaged."""
    summed = np.stack([weights[:, np.array(columns) == c].sum(1) for c in dict.fromkeys(columns)], 1)
    return np.stack([summed[np.array(rows) == r].mean(0) for r in dict.fromkeys(rows)])


def groups(words: tuple[int, ...]) -> list[int]:
    """The same number for tokens of one word; a token of none is a word of its own."""
    return [word if word >= 0 else -position - 1 for position, word in enumerate(words)]


@pytest.mark.parametrize("name", ["bert", "llama", "t5", "bart", "xlnet"])
def test_whole_words(visit, models: Path, name: str) -> None:
    seen = visit("heads", model=name, text=TEXT)
    trace = own_run(models, seen)
    put(seen, "toggle", "by_word", True).sound()
    for site in (trace.sites[0], trace.sites[-1]):
        if seen.view.site != str(site):
            seen.set("site", str(site)).sound()
        header, arrays = seen.figure("matrix")
        rows, columns = (groups(trace.side(side).words) for side in (site.query_side, site.key_side))
        expected = words_by_hand(trace.weights(site, seen.view.head).double().numpy(), rows, columns)
        np.testing.assert_allclose(arrays["values"], expected, atol=bounds.WEIGHT, rtol=0)
        np.testing.assert_allclose(arrays["values"].sum(-1), 1, atol=bounds.WEIGHT, rtol=0)
        assert len(header["rows"]) == len(set(rows)) and len(header["columns"]) == len(set(columns))
    assert seen.link["words"] == "1" and len(set(columns)) < len(columns)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_long_text_is_a_window_and_a_map(visit, models: Path, name: str) -> None:
    seen = visit("heads", model=name, text=LONG_TEXT).sound()
    trace = own_run(models, seen)
    n, weights = len(trace.tokens("decoder")), trace.weights(seen.view.site, seen.view.head).numpy()
    assert 500 < n <= 1024
    header, arrays = seen.figure("matrix")
    start = header["row_start"], header["column_start"]
    assert arrays["values"].shape == (WINDOW, WINDOW) == (len(header["rows"]), len(header["columns"]))
    tile = weights[start[0] : start[0] + WINDOW, start[1] : start[1] + WINDOW]
    np.testing.assert_allclose(arrays["values"], tile, atol=bounds.WEIGHT, rtol=0)
    blocks, size = seen.figure("map")[1]["values"], -(-n // 128)
    assert blocks.shape == (-(-n // size),) * 2
    told = seen.say("matrix.files", queries=f"{n:,}", keys=f"{n:,}", size=numbers.size(4 * n * n))
    assert any(told in caption.value for caption in seen.at.caption)
    np.testing.assert_allclose(blocks[0, 0], weights[:size, :size].max(), atol=bounds.WEIGHT)
    last = blocks.shape[0] - 1
    pick(seen, "map", {"row": last, "column": last - 1}).sound()
    block = weights[last * size :, (last - 1) * size : last * size]
    assert weights[seen.view.row, seen.view.column] == pytest.approx(block.max(), abs=bounds.WEIGHT)
    assert seen.view.row >= last * size and (last - 1) * size <= seen.view.column < last * size
    header = seen.figure("matrix")[0]
    assert header["row_start"] == n - WINDOW
    assert header["selection"] == {"row": seen.view.row - header["row_start"],
                                   "column": seen.view.column - header["column_start"]}  # fmt: skip
    for page in PAGES:
        seen.go(page).sound()


def test_a_click_in_the_matrix_selects_the_cell_of_the_window(visit, models: Path) -> None:
    seen = visit("heads", model="gpt2", text=LONG_TEXT, site="decoder.1.self", head=2, q=500, k=400)
    start = [seen.figure("matrix")[0][f"{axis}_start"] for axis in ("row", "column")]
    pick(seen, "matrix", {"row": 7, "column": 3}).sound()
    assert (seen.view.row, seen.view.column) == (start[0] + 7, start[1] + 3)


def test_a_chat_is_read_through_the_template(visit, models: Path) -> None:
    seen = visit("heads", model="llama", text="hello there")
    put(put(seen, "toggle", "chat", True), "text_area", "text", "hello\nI like cats\nhello").sound()
    trace = own_run(models, seen)
    assert "".join(trace.side("decoder").shown).startswith("<user> hello\n<assistant> I like cats\n<user> hello")
    assert [label["text"] for label in seen.figure("matrix")[0]["columns"]][-1] == ">"
    same(seen, trace)
    assert seen.link["chat"] == "1"


def test_a_chat_without_a_template_is_refused(visit, models: Path) -> None:
    seen = put(visit("heads", model="gpt2"), "toggle", "chat", True)
    assert seen.complaint() == seen.say("error.no_chat_template")
    assert seen.figures() == ["matrix", "lines"]


@pytest.mark.parametrize("name", ["bert", "gpt2", "t5", "xlnet", "classifier", "encoder"])
def test_a_second_text(visit, models: Path, name: str) -> None:
    seen = visit("heads", model=name, text="I like cats")
    seen.set("pair", "The dog").sound()
    trace = own_run(models, seen)
    same(seen, trace)
    segments = next(iter(trace.sides.values())).segments
    assert segments.count(1) >= 2 and list(segments) == sorted(segments)
    seen.go("output").sound()


def test_new_tokens_are_written_and_recorded(visit, models: Path) -> None:
    seen = put(visit("heads", model="gpt2", text="Once upon"), "slider", "new", 5).sound()
    trace = own_run(models, seen)
    alone = open_model(models / "gpt2").trace("Once upon")
    assert trace.tokens("decoder")[: len(alone.tokens("decoder"))] == alone.tokens("decoder")
    assert len(trace.tokens("decoder")) <= len(alone.tokens("decoder")) + 5
    same(seen, trace)
    written = "".join(trace.side("decoder").shown[len(alone.tokens("decoder")) :])
    assert any(written in markdown.value for markdown in seen.go("output").sound().at.markdown)


@pytest.mark.parametrize("name", ["t5", "bart", "whisper"])
def test_a_target_is_forced_on_an_encoder_decoder(visit, models: Path, name: str) -> None:
    seen = visit("heads", model=name).set("target", "the cat").sound()
    trace = own_run(models, seen)
    assert "the cat" in "".join(trace.side("decoder").shown) + trace.written()[-1]
    assert seen.say("note.forced") in [caption.value for caption in seen.at.caption]
    seen.set("site", str(trace.sites[-1])).sound()
    same(seen, trace)
    for page in ("overview", "output", "steps"):
        seen.go(page).sound()


@pytest.mark.parametrize("name", ["llama", "bert", "xlnet", "classifier", "encoder"])
def test_a_target_is_refused_by_what_has_no_other_text(visit, models: Path, name: str) -> None:
    seen = visit("heads", model=name, target="the cat")
    said = seen.complaint()
    assert said.startswith(seen.say("error.not_in_this_model", what="\0", does="\0").split("\0")[0])
    assert seen.figures() == ["matrix", "lines"]


def test_the_classes_and_the_gap_are_the_models(visit, models: Path) -> None:
    seen = visit("output", model="bert", text="The [MASK] sat").sound()
    trace = own_run(models, seen)
    at = trace.tokens("encoder").index("[MASK]")
    (picker,) = [box for box in seen.at.selectbox if box.key and box.key.startswith("output-at")]
    assert picker.value == at
    shown = seen.at.dataframe[0].value
    assert list(shown.iloc[:, 1]) == [i for _, i, _ in trace.next_tokens(at, 10)]
    probabilities = [p for _, _, p in trace.next_tokens(at, 10)]
    np.testing.assert_allclose(shown[seen.say("steps.probability")], probabilities, atol=1e-6)


def test_sentence_vectors_are_compared(visit, models: Path) -> None:
    seen = visit("output", model="encoder", text="I like cats").sound()
    (other,) = [box for box in seen.at.text_input if (box.key or "").startswith("other-")]
    other.set_value("The dog jumps")
    seen.at.run()
    model = open_model(models / "encoder")
    one, two = (outputs.sentence_vector(model.trace(text)) for text in ("I like cats", "The dog jumps"))
    assert float(seen.at.metric[0].value) == pytest.approx(float(one @ two), abs=5e-4)
    assert seen.link["other"] == "The dog jumps"
