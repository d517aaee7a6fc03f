"""The page Train in a browser: copy is trained, watched with a zoom that stays, found again after a reload, stopped, gone on
with, and opened."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.screen import Screen

SMALL = "~".join(
    f"train-{name}.{value}"
    for name, value in {
        "steps": 100_000, "d-model": 16, "heads": 2, "encoder-layers": 1, "decoder-layers": 1, "d-ff": 16, "batch": 8,
        "train-size": 300,
    }.items()
)  # fmt: skip
PATIENCE = 60_000
SHOWN = """() => {
  const chart = document.querySelector(".curves-box");
  return { zoom: chart._fullLayout.xaxis.range, y: chart._fullLayout.yaxis.range, last: Math.max(...chart.data[0].x) };
}"""


def wait_for(screen: Screen, button: str) -> None:
    expect(screen.find(f".st-key-train-{button} button")).to_be_enabled(timeout=PATIENCE)


def test_copy_is_trained_watched_reloaded_stopped_gone_on_with_and_opened(screen: Screen) -> None:
    screen.open("train", lang="en", set=SMALL)
    screen.find(".st-key-train-start button").click()
    curves = screen.find(".curves[data-drawn]")
    expect(curves).to_be_visible(timeout=PATIENCE)
    wait_for(screen, "pause")
    bar = screen.find("[data-testid=stProgress]")
    expect(bar).to_contain_text(screen.say("train.state_running"), timeout=PATIENCE)
    assert "train_run" in screen.link["tab"]

    # Zoomed into, the figure takes new points in and stays where it is.
    box = screen.find(".curves-box").bounding_box()
    screen.page.mouse.move(box["x"] + 150, box["y"] + 90)
    screen.page.mouse.down()
    screen.page.mouse.move(box["x"] + 400, box["y"] + 160, steps=6)
    screen.page.mouse.up()
    screen.page.wait_for_function("() => document.querySelector('.curves-box')._fullLayout.xaxis.autorange === false")
    before = screen.page.evaluate(SHOWN)
    screen.page.wait_for_function(f"() => ({SHOWN})().last > {before['last']}", timeout=PATIENCE)
    after = screen.page.evaluate(SHOWN)
    assert after["zoom"] == before["zoom"] and after["y"] == before["y"]
    screen.page.mouse.move(box["x"] + 300, box["y"] + 120)
    hover = screen.find(".curves-box .hoverlayer .legend")
    expect(hover).to_contain_text(screen.say("train.gradient_norm"), timeout=PATIENCE)
    expect(hover).to_contain_text(screen.say("train.validation_loss"))

    screen.page.reload()
    expect(curves).to_be_visible(timeout=PATIENCE)
    expect(bar).to_contain_text(screen.say("train.state_running"))
    screen.find(".st-key-train-stop button").click()
    wait_for(screen, "resume")
    expect(bar).to_contain_text(screen.say("train.state_stopped"))
    step = int(re.search(r"step ([\d,]+)", bar.inner_text())[1].replace(",", ""))
    screen.find(".st-key-train-resume button").click()
    wait_for(screen, "pause")
    screen.page.wait_for_function(f"() => ({SHOWN})().last > {step}", timeout=PATIENCE)
    screen.find(".st-key-train-stop button").click()
    wait_for(screen, "open")
    screen.find(".st-key-train-open button").click()
    screen.shows_title("headline.title")
    expect(screen.page).to_have_url(re.compile("[?&]model=[^&]*copy-1&"))
    screen.open("heads", **screen.link | {"site": "decoder.0.cross", "head": 1})
    expect(screen.matrix).to_be_visible()
    screen.click_cell(1, 2)


SIGNS = """() => new Promise((done) => {
  const app = document.querySelector("[data-testid=stApp]"), seen = { runs: 0, signs: 0 };
  const end = performance.now() + 4500;
  let before = "";
  const look = () => {
    const state = app.dataset.testScriptState;
    if (state !== before && state === "running") seen.runs += 1;
    before = state;
    if (state === "running" && getComputedStyle(app, "::after").animationName !== "none") seen.signs += 1;
    if (performance.now() < end) requestAnimationFrame(look); else done(seen);
  };
  look();
})"""


def test_looking_at_a_training_every_second_is_no_work_one_waits_for(new_screen) -> None:
    screen = new_screen()
    screen.open("train", lang="en", set=SMALL)
    screen.find(".st-key-train-start button").click()
    wait_for(screen, "pause")
    expect(screen.find(".curves[data-drawn]")).to_be_visible(timeout=PATIENCE)
    seen = screen.page.evaluate(SIGNS)
    assert seen["runs"] >= 2 and seen["signs"] == 0
    # What a person asks for has its sign: here the page is drawn anew.
    shown = screen.page.evaluate_handle(
        """() => { const told = { signs: 0 }; const app = document.querySelector("[data-testid=stApp]");
        const look = () => { if (app.dataset.testScriptState === "running"
          && getComputedStyle(app, "::after").animationName !== "none") told.signs += 1; requestAnimationFrame(look); };
        look(); return told; }"""
    )
    screen.find(".st-key-train-stop button").click()
    wait_for(screen, "resume")
    assert shown.evaluate("(told) => told.signs") > seen["signs"]
