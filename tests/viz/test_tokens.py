"""How tokens are shown."""

from __future__ import annotations

import dataclasses

import pytest

from model import Trace
from model.trace.site import Site
from model.trace.trace import Side
from viz.base import tokens


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("cat", "cat"), ("", "∅"), (" ", "·"), ("  ", "··"), (" the", "·the"), ("\n", "⏎"), ("\t", "⇥"), ("\r\n", "⏎⏎"),
        ("\u3000", "·"), ("\x00", "U+0000"), ("a\u200bb", "aU+200Bb"), ("\u202e", "U+202E"), ("喜欢", "喜欢"),
        ("🐈", "🐈"), ("</script>", "</script>"), ("<pad>", "<pad>"), ("é", "é"), ("القط", "القط"), ("\ud800", "U+D800"),
    ],
)  # fmt: skip
def test_nothing_is_invisible(token: str, shown: str):
    assert tokens.readable(token) == shown
    assert tokens.readable(token).isprintable()


def test_kinds():
    assert tokens.label("cat") == {"text": "cat", "kind": "word"}
    assert tokens.label("<pad>", special=True) == {"text": "<pad>", "kind": "special"}
    assert tokens.label("<pad>") == {"text": "<pad>", "kind": "word"}
    assert tokens.label(" ")["kind"] == tokens.label("\n")["kind"] == "space"


def test_labels_of_a_run(trace: Trace):
    encoder, decoder = (tokens.labels(trace, side) for side in ("encoder", "decoder"))
    assert [item["text"] for item in encoder] == ["the", "cat", "sat", "on", "the", "mat", "<pad>", "<pad>"]
    assert [item["kind"] for item in encoder] == ["word"] * 6 + ["special"] * 2
    assert [item["kind"] for item in decoder] == ["special", "word", "word", "word", "word"]
    assert [item["text"] for item in tokens.written_labels(trace)] == ["我", "喜欢", "猫", "。", "</s>"]
    assert tokens.written_labels(trace)[-1]["kind"] == "special"


def test_a_decoder_row_names_what_it_read_and_what_it_wrote(trace: Trace):
    rows = tokens.query_labels(trace, Site.parse("decoder.1.cross"))
    assert [row["text"] for row in rows] == ["<zh> ▸ 我", "我 ▸ 喜欢", "喜欢 ▸ 猫", "猫 ▸ 。", "。 ▸ </s>"]
    assert tokens.key_labels(trace, Site.parse("decoder.1.cross")) == tokens.labels(trace, "encoder")
    encoder = Site.parse("encoder.0.self")
    assert tokens.query_labels(trace, encoder) == tokens.key_labels(trace, encoder) == tokens.labels(trace, "encoder")


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        ("^QVQLVQSGAEVKKPGASVKVSCKASG$", {1: "Q1", 22: "C22", 26: "G26"}),
        ("^QVQLVQSGAEVKKPGASVKVS?KASG$", {1: "Q1", 22: "?", 23: "K23"}),  # a gap has its number
        ("QVQLVQSGAEVKKPGASVKVSCKASG", {0: "Q1", 21: "C22"}),
        ("^QVQLVQSGAEVKKPGASVKVsCKASG$", {1: "Q", 22: "C"}),  # a small letter: no such sequence
        ("^CATS$", {1: "C"}),
    ],
)
def test_residues_have_their_numbers(trace: Trace, texts: str, shown: dict[int, str]) -> None:
    special = tuple(text in "^$?" for text in texts)
    side = Side(tuple(texts), tuple(range(len(texts))), special)
    run = dataclasses.replace(trace, sides={"encoder": side, "decoder": side})
    site = Site.parse("encoder.0.self")
    for found in (tokens.query_labels(run, site), tokens.key_labels(run, site)):
        assert {i: found[i]["text"] for i in shown} == shown
        assert [item["kind"] for item in found] == [item["kind"] for item in tokens.labels(run, "encoder")]
    assert [item["text"] for item in tokens.labels(run, "encoder")] == list(texts)  # as a person typed it elsewhere
