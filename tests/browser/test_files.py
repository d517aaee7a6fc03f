"""The data under a figure: CSV and npz hold exactly the weights that the matrix shows."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import bounds
from viz.base import numbers

TEXT, SITE, HEAD = "the cat sat on the mat", "decoder.1.cross", 1


@pytest.fixture(scope="module")
def trace(translator):
    return translator.trace(TEXT, language="zh")


def download(screen, figure: str, kind: str) -> Path:
    """The file behind the figure's data button."""
    button = screen.find(f".st-key-{figure}-{kind} button")
    if not button.is_visible():
        screen.find(f".st-key-foot-{figure} [data-testid=stPopover] button").first.click()
    with screen.page.expect_download() as arriving:
        button.click()
    return Path(arriving.value.path()), arriving.value.suggested_filename


@pytest.fixture
def heads(screen):
    return screen.open("heads", text=TEXT, site=SITE, head=HEAD, to="zh", lang="en")


def exact(trace) -> np.ndarray:
    """The head's weights in float64, which the files hold to the last digit of a float32."""
    return trace.record(SITE).weights(HEAD, dtype=torch.float64).numpy()


def test_the_matrix_as_csv(heads, trace) -> None:
    path, name = download(heads, "matrix", "csv")
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    assert name == f"translate-{SITE}-head{HEAD}.csv"
    assert rows[0][2:] == [*(f"{j}:{token}" for j, token in enumerate(trace.tokens("encoder"))), "check"]
    assert {row.pop() for row in rows[1:]} == {
        "✓ " + numbers.short(trace.fidelity().sites[SITE]) + " off the module’s own output"
    }
    read_and_written = zip(trace.tokens("decoder"), trace.written(), strict=True)
    assert [row[1] for row in rows[1:]] == [f"{read} ▸ {written}" for read, written in read_and_written]
    np.testing.assert_allclose(np.array([row[2:] for row in rows[1:]], np.float32), exact(trace), rtol=2e-7, atol=0)


def test_the_figure_says_its_check_in_both_kinds_and_languages(screen, trace) -> None:
    for language, words in (("en", "off the module’s own output"), ("zh", "与模块自身输出相差")):
        screen.open("heads", text=TEXT, site=SITE, head=HEAD, to="zh", lang=language)
        screen.find(".st-key-foot-matrix [data-testid=stPopover] button").nth(1).click()
        screen.find(".st-key-matrix-svg button").wait_for()
        path, name = download(screen, "matrix", "svg")
        assert name == f"translate-{SITE}-head{HEAD}.svg" and words in path.read_text(encoding="utf-8")
        path, name = download(screen, "matrix", "png")
        assert name == f"translate-{SITE}-head{HEAD}.png" and path.read_bytes().startswith(b"\x89PNG")


def test_no_table_has_a_download_of_its_own_that_knows_of_no_check(screen) -> None:
    """Streamlit puts one above each; ours stands under the figure."""
    screen.open("measures", text=TEXT, to="zh", lang="en")
    table = screen.find("[data-testid=stDataFrame]").first
    table.hover()
    assert screen.page.get_by_label("Search").first.is_visible()
    assert not screen.page.get_by_label("Download as CSV").first.is_visible()


def test_the_matrix_as_npz(heads, trace) -> None:
    path, _ = download(heads, "matrix", "npz")
    with np.load(path, allow_pickle=False) as arrays:
        np.testing.assert_allclose(arrays["weights"], exact(trace), rtol=2e-7, atol=0)
        assert arrays["weights"].dtype == np.float32 and arrays["allowed"].all()
        np.testing.assert_array_equal(arrays["q"], trace.q(SITE)[HEAD].numpy())
        assert list(arrays["keys"]) == trace.tokens("encoder")


def test_every_head_as_npz(heads, trace) -> None:
    path, _ = download(heads, "lines", "npz")
    with np.load(path, allow_pickle=False) as arrays:
        for head in range(4):
            np.testing.assert_allclose(arrays["weights"][head], trace.weights(SITE, head).numpy(), atol=bounds.WEIGHT)


def test_the_whole_trace_as_npz(screen, trace) -> None:
    screen.open(text=TEXT, to="zh", lang="en")
    path, _ = download(screen, "overview", "npz")
    with np.load(path, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays[f"{SITE}.q"], trace.q(SITE).numpy())
        assert list(arrays["tokens/decoder"]) == trace.tokens("decoder")
