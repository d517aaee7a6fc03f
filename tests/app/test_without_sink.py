"""The switch that leaves the first token out: one state for all pages and the link, its share told, weights as they are."""

from __future__ import annotations

import io
import re

import numpy as np
import pandas as pd
import pytest
import torch

from model import open_model
from tests import bounds
from tests.app.test_figure_footer import feet_of, says
from viz.atlas import atlas
from viz.ui.atlas import figure
from viz.ui.language import catalogue

TEXT = "the cat sat on the mat"
SITE, HEAD = "encoder.1.self", 2


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    """float64 [h, q, k] of the whole softmax."""
    record = open_model("translate").trace(TEXT, language="zh").record(SITE)
    scores = np.stack([record.scores(head, dtype=torch.float64).numpy() for head in range(record.heads)])
    exact = np.exp(scores - scores.max(-1, keepdims=True))
    return exact / exact.sum(-1, keepdims=True)


def left_out(tokens: list[dict]) -> list[int]:
    return [i for i, token in enumerate(tokens) if token.get("left_out")]


@pytest.mark.parametrize("mode", ["out", "scaled"])
def test_the_first_screen_marks_the_word_that_is_left_out(visit, mode: str) -> None:
    header, arrays = visit("overview", text=TEXT, to="fr", sink=mode).sound().figure("overview")
    assert left_out(header["hero"]["source"]) == left_out(header["source"]) == left_out(header["shifted"]) == [0]
    assert not left_out(header["target"])  # it asks as before
    assert not arrays["hero"][:, 0].any() and arrays["hero"][:, 1:].any()
    assert header["hatched"] == catalogue("en")["sink.hatched"]
    plain, _ = visit("overview", text=TEXT, to="fr").sound().figure("overview")
    assert not any(map(left_out, (plain["hero"]["source"], plain["source"], plain["shifted"])))
    assert plain["hatched"] == catalogue("en")["overview.hatched_masked"]


def test_a_word_of_which_one_token_is_left_out_keeps_its_others(visit) -> None:
    link = {"model": "small-gpt2", "text": "unbelievable umbrellas", "sink": "out"}
    seen = visit("overview", **link).sound()
    header, _ = seen.figure("overview")
    assert left_out(header["hero"]["source"]) == [0]
    merged, arrays = visit("overview", **link, words=1).sound().figure("overview")
    several = len(merged["hero"]["source"]) < len(header["hero"]["source"])
    assert several and arrays["hero"][:, 0].any() and not left_out(merged["hero"]["source"])


def captions(seen) -> str:
    return " ".join(caption.value for caption in seen.at.caption)


def told(seen) -> float:
    """The share that the page says of the selected head."""
    before, after = seen.say("sink.share", token="\0", share="\1").split("\0")[1].split("\1")
    (found,) = re.findall(re.escape(before) + "(.+?)" + re.escape(after), captions(seen))
    return float(found)


def test_one_switch_for_every_page_and_the_link(visit, weights, monkeypatch) -> None:
    monkeypatch.setattr(figure, "_sent", set)
    left = weights.copy()
    left[:, :, 0] = 0
    seen = visit("heads", text=TEXT, to="zh", site=SITE, head=HEAD, q=3, k=2, sink="out").sound()
    header, arrays = seen.figure("matrix")
    np.testing.assert_allclose(arrays["values"], left[HEAD], atol=bounds.WEIGHT, rtol=0)
    assert header["left_out"] == 0 and (arrays["state"][:, 0] == 1).all() and not arrays["state"][:, 1:].any()
    assert header["sums"]  # the arithmetic is of the weights as they are
    lines, stacked = seen.figure("lines")
    np.testing.assert_allclose(stacked["weights"], left, atol=bounds.WEIGHT, rtol=0)
    assert not stacked["asked"][:, :, 0].any()
    np.testing.assert_allclose(lines["mass"], left.sum((1, 2)), atol=1e-9, rtol=0)
    assert lines["words"]["drawn"] == catalogue("en")["lines.drawn_rest"]
    share = weights[HEAD, :, 0].mean()
    assert told(seen) == pytest.approx(share, rel=0.005) and seen.say("sink.rest_out") in captions(seen)

    seen.go("reading").sound()
    np.testing.assert_allclose(seen.figure("reading-row")[1]["values"], left[HEAD, 3], atol=bounds.WEIGHT, rtol=0)
    assert seen.figure("reading-row")[0]["masked"] == [[0, 1]] and told(seen) == pytest.approx(share, rel=0.005)

    seen.go("atlas").sound()
    header, arrays = seen.figure("atlas")
    (entry,) = [entry for entry in header["sites"] if entry["site"] == SITE]
    np.testing.assert_allclose(
        arrays[entry["pictures"]] / atlas.TOP, left, atol=0.5 / atlas.TOP + bounds.WEIGHT, rtol=0
    )
    assert arrays[entry["mask"]][:, 0].all() and header["words"]["masked"] == seen.say("sink.hatched")
    assert catalogue("en")["sink.shares"].split("{much}")[1].split("{mean}")[0] in captions(seen)

    seen.go("overview").sound()
    _, arrays = seen.figure("overview")
    for head in range(4):
        picture = arrays[f"{SITE}.{head}"] / 255
        np.testing.assert_allclose(picture, left[head], atol=0.5 / 255 + bounds.WEIGHT, rtol=0)
    assert seen.link["sink"] == "out" and told(seen) > 0
    seen.at.toggle(key="sink-en").set_value(False).run()
    seen.sound()
    assert "sink" not in seen.link and seen.figure("overview")[1][f"{SITE}.{HEAD}"][:, 0].any()


def test_rows_are_scaled_only_where_it_is_asked_for(visit, weights) -> None:
    seen = visit("heads", text=TEXT, to="zh", site=SITE, head=HEAD, q=3, k=0, sink="out").sound()
    seen.at.toggle(key="sink_scaled-en").set_value(True).run()
    left = weights[HEAD].copy()
    left[:, 0] = 0
    header, arrays = seen.sound().figure("matrix")
    scaled = left / left.sum(-1, keepdims=True)
    np.testing.assert_allclose(arrays["values"], scaled, atol=bounds.WEIGHT, rtol=0)
    assert seen.link["sink"] == "scaled" and not header["sums"] and seen.say("sink.rest_scaled") in captions(seen)
    line = " ".join(text.value for text in seen.at.markdown)
    assert f"**{weights[HEAD, 3, 0]:.3g}" in line  # the selected pair is told as the model has it


def test_a_link_with_another_value_leaves_it_in(visit) -> None:
    seen = visit("heads", text=TEXT, to="zh", site=SITE, head=HEAD, sink="nonsense").sound()
    assert seen.view.sink == "" and seen.figure("matrix")[0]["left_out"] is None


def drawn(weights: np.ndarray, mode: str) -> np.ndarray:
    """[h, q, k] as a picture without the first token shows it."""
    left = weights.copy()
    left[:, :, 0] = 0
    return left / left.sum(-1, keepdims=True) if mode == "scaled" else left


def arrays_of(files: dict[str, bytes], kind: str = "npz") -> tuple[str, object]:
    """The name of the only file of a kind and what is in it."""
    ((name, data),) = ((name, data) for name, data in files.items() if name.endswith(kind))
    if kind == "csv":
        return name, pd.read_csv(io.BytesIO(data), encoding="utf-8-sig", keep_default_na=False)
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        return name, dict(found)


@pytest.mark.parametrize("mode", ["out", "scaled"])
def test_files_hold_what_is_drawn_and_say_so(visit, weights, monkeypatch, mode: str) -> None:
    left = drawn(weights, mode) if mode else weights
    ends, words = (
        {"": "", "out": "-without-first-token", "scaled": "-without-first-token-scaled"}[mode],
        catalogue("en"),
    )

    def hold(check, files: dict[str, bytes]) -> None:
        assert words[f"sink.files_{mode}"] in check.text
        for name, data in files.items():
            if not name.endswith((".png", ".safetensors")):
                assert {"".join(s.split()) for s in says(name, data)} == {"".join(check.text.split())}
            assert name.rsplit(".", 1)[0].endswith(ends)

    def close(found: object, wanted: np.ndarray) -> None:
        np.testing.assert_allclose(np.asarray(found, float), wanted, atol=bounds.WEIGHT, rtol=0)

    kinds = ("csv", "npz", "svg")
    feet = feet_of(visit, monkeypatch, "heads", "lines.least0", kinds=kinds, to="zh", sink=mode, q=3)
    for name in ("matrix", "lines", "joint"):
        hold(*feet[name])
    _, table = arrays_of(feet["matrix"][1], "csv")
    _, arrays = arrays_of(feet["matrix"][1])
    close(table.iloc[:, 2:-1], left[HEAD])
    close(arrays["weights"], left[HEAD])
    assert arrays["allowed"].all()  # left out is not masked
    _, table = arrays_of(feet["lines"][1], "csv")
    close(table["weight"], left.ravel())
    close(arrays_of(feet["lines"][1])[1]["weights"], left)
    close(arrays_of(feet["joint"][1])[1]["encoder"], left[HEAD])
    assert arrays_of(feet["joint"][1])[1]["encoder_allowed"].all()
    title = words["sink.legend"].format(what=words["matrix.legend"]).encode()
    for name in ("matrix", "joint"):
        (picture,) = (data for file, data in feet[name][1].items() if file.endswith("svg"))
        assert (title in picture) == (mode == "scaled")

    feet = feet_of(visit, monkeypatch, "reading", "", kinds=kinds, to="zh", sink=mode, q=3)
    hold(*feet["reading"])
    _, table = arrays_of(feet["reading"][1], "csv")
    _, arrays = arrays_of(feet["reading"][1])
    close(table["weight"], left[HEAD, 3])
    close(arrays["weights"], left[HEAD, 3])
    assert not table["masked"].any() and arrays["allowed"].all()
    wanted = [True] + [False] * (weights.shape[-1] - 1)
    assert table["left_out"].tolist() == arrays["left_out"].tolist() == wanted


def test_files_of_a_whole_run_say_which_of_them_are_without_it(visit, weights, monkeypatch) -> None:
    feet = feet_of(visit, monkeypatch, "overview", "", kinds=("csv", "npz"), to="zh", sink="scaled")
    check, files = feet["overview"]
    assert catalogue("en")["sink.besides_overview"] in check.text
    name, table = arrays_of(files, "csv")
    found = table[table["site"] == SITE]["weight"].to_numpy()
    np.testing.assert_allclose(found, drawn(weights, "scaled").ravel(), atol=bounds.WEIGHT, rtol=0)
    assert name.endswith("-scaled.csv")
    seen = visit("overview", text=TEXT, to="zh", sink="scaled").sound()
    said = seen.say("sink.legend", what=catalogue("en")["overview.legend"])
    assert seen.figure("overview")[0]["words"]["legend"] == said

    feet = feet_of(visit, monkeypatch, "atlas", "", kinds=("npz", "svg"), to="zh", sink="scaled")
    check, files = feet["atlas"]
    assert catalogue("en")["sink.besides_atlas"] in check.text
    pictures = arrays_of(files)[1][SITE]
    np.testing.assert_allclose(pictures, drawn(weights, "scaled"), atol=bounds.WEIGHT, rtol=0)


def test_a_file_is_in_the_words_of_the_page_that_offered_it(visit, monkeypatch) -> None:
    """It is made when the page has run, by a thread of the server that is in no session."""
    feet = feet_of(visit, monkeypatch, "heads", "", kinds=("svg",), sink="scaled", lang="zh")
    (picture,) = (data for file, data in feet["matrix"][1].items() if file.endswith("svg"))
    words = catalogue("zh")
    assert words["sink.legend"].format(what=words["matrix.legend"]) in picture.decode()
