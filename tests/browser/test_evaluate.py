"""A file is handed in, scored, stopped and gone on with; an example leads to its attention."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from model.training.tasks.registry import held_out


def test_a_file_is_scored_stopped_and_gone_on_with(screen) -> None:
    pairs = [(" ".join(one.source), " ".join(one.target)) for one in held_out("translate", "fr", 1000)]
    content = "".join(f"{source}\t{target}\n" for source, target in pairs).encode()
    screen.open("evaluate", to="fr", tab="evaluate_from.upload", lang="en")
    screen.find("input[type=file]").set_input_files({"name": "pairs.tsv", "mimeType": "text/plain", "buffer": content})
    screen.settle()
    screen.find(".st-key-evaluate-go button").first.click()
    screen.find("[class*=st-key-stop-evaluate] button").click(timeout=20_000)
    kept = screen.find("[data-testid=stCaptionContainer]").filter(has_text="Stopped with")
    expect(kept).to_be_visible(timeout=20_000)
    screen.find(".st-key-evaluate-go button").first.click()
    expect(screen.find(".st-key-evaluate-example-0")).to_be_visible(timeout=60_000)
    expect(screen.find("[data-testid=stDataFrame]").first).to_be_visible()
    screen.find(".st-key-evaluate-open-0 button").click()
    screen.shows_title("heads.title")
    expect(screen.page).to_have_url(re.compile(r"[?&]text=[^&]*&(.*&)?target="))
    assert (screen.link["text"], screen.link["target"]) in pairs
