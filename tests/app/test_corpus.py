"""The page Corpus: what it draws is what the profile holds, and a press on a text opens that text."""

from __future__ import annotations

import base64
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.__main__ import main
from model.checkpoints.disk.shipped import SHIPPED
from model.profile.read import Profile
from model.profile.rows import highest, lowest, quantiles, typical
from tests import bounds
from tests.app.visit import Visit
from tests.model import tiny
from tests.viz.test_numbers import read
from viz import corpus
from viz.base import numbers
from viz.ui.corpus import profiles
from viz.ui.state import model_list

SHIPS = SHIPPED / "translate" / "profile.parquet"
KINDS = {"lowest": lowest, "typical": typical, "highest": highest}


@pytest.fixture(scope="module")
def profile() -> Profile:
    return Profile.open(SHIPS)


@pytest.fixture(autouse=True)
def looked_for_anew() -> None:
    profiles.found.clear()
    model_list.found.clear()


AT = {"site": "encoder.0.self", "head": 0, "to": "zh"}


def rows(seen: Visit, place: int) -> list[dict]:
    """The largest data set of the page's chart number `place`."""
    sets = [pa.ipc.open_stream(s.data.data).read_pandas() for s in seen.at.get("vega_lite_chart")[place].proto.datasets]
    return max(sets, key=len).to_dict("records")


def texts(seen: Visit, kind: str) -> list[str]:
    return [button.label for button in seen.at.button if (button.key or "").startswith(f"corpus-{kind}-")]


def check(seen: Visit, profile: Profile, measure: str, head: tuple[str, int]) -> Visit:
    """Every figure and list shows this measure and this head."""
    seen.sound()
    values = profile.values(measure)
    found, ends = quantiles(values), corpus.scale(measure, quantiles(values))
    cells = rows(seen, 1)
    assert [(cell["site"], cell["head"]) for cell in cells] == list(profile.heads)
    for cell, column in zip(cells, found.T, strict=True):
        assert cell["median"] == numbers.short(float(column[2]))
        inside = (cell["c"] - cell["head"] - corpus._EDGE) / (1 - 2 * corpus._EDGE)
        np.testing.assert_allclose(inside, (column[2] - ends[0]) / (ends[1] - ends[0]), atol=1e-9)
    one = values[:, profile.heads.index(head)]
    if not np.isfinite(one).any():
        assert len(seen.at.get("vega_lite_chart")) == 2 and not texts(seen, "lowest")
        return seen
    assert sum(bar["count"] for bar in rows(seen, 2)) == np.isfinite(one).sum()
    for kind, pick in KINDS.items():
        told = [label.split(" ", 1) for label in texts(seen, kind)]
        assert [text for _, text in told] == [profile.sources[row] for row in pick(one, 6)]
        assert [np.float32(read(value.strip("`"))) for value, _ in told] == pytest.approx(
            [one[row] for row in pick(one, 6)], rel=1e-6
        )
    return seen


def test_it_opens_on_the_profile_that_ships(visit, profile: Profile) -> None:
    seen = check(visit("corpus", **AT), profile, "entropy", ("encoder.0.self", 0))
    said = " ".join(markdown.value for markdown in seen.at.markdown)
    assert seen.say("corpus.texts", n="500", file=r"held\_out.txt") in said
    assert seen.say("corpus.heads", n=24, sites=6) in said
    assert profile.about["command"] in [code.value for code in seen.at.code]


@pytest.mark.parametrize("measure", ["mean_distance", "first", "induction"])
def test_another_measure(visit, profile: Profile, measure: str) -> None:
    seen = visit("corpus", to="zh", site="decoder.1.self", head=2).set("corpus-by", measure)
    check(seen, profile, measure, ("decoder.1.self", 2))
    assert seen.link["tab"] == f"corpus_by.{measure}"


def test_another_head_by_the_pickers_and_by_a_click(visit, profile: Profile) -> None:
    seen = visit("corpus", to="zh").set("corpus-site", "decoder.1.cross")
    seen = check(seen.set("corpus-head", 3), profile, "entropy", ("decoder.1.cross", 3))
    assert (seen.link["site"], seen.link["head"]) == ("decoder.1.cross", "3")
    (element,) = [e for e in seen.at.get("vega_lite_chart") if e.proto.id]
    states = seen.at._tree.get_widget_states()
    clicked = {"selection": {"cell": [{"site": "decoder.0.self", "head": 1}]}}
    states.widgets.add(id=element.proto.id, string_value=json.dumps(clicked))
    seen.at._run(states)
    seen = check(seen, profile, "entropy", ("decoder.0.self", 1))
    assert (seen.link["site"], seen.link["head"]) == ("decoder.0.self", "1")


@pytest.mark.parametrize("straight", [True, False])
def test_a_link_opens_the_head_that_it_names(visit, profile: Profile, straight: bool) -> None:
    """Also where another model is looked at than the one that was measured, and what is chosen then is in the link."""
    link = {"profile": "translate/profile", "site": "decoder.1.cross", "head": 2}
    check(visit("corpus", straight=straight, **link), profile, "entropy", ("decoder.1.cross", 2))
    other = {"model": "dates"} | link
    seen = check(visit("corpus", straight=straight, **other), profile, "entropy", ("decoder.1.cross", 2))
    seen = check(
        seen.set("corpus-site", "decoder.0.self").set("corpus-head", 3), profile, "entropy", ("decoder.0.self", 3)
    )
    assert (seen.link["site"], seen.link["head"]) == ("decoder.1.cross", "2")  # of the model that is looked at
    check(visit("corpus", straight=straight, **seen.link), profile, "entropy", ("decoder.0.self", 3))


def test_without_a_link_it_opens_the_head_that_the_card_names(visit, profile: Profile) -> None:
    check(visit("corpus", straight=True, to="zh"), profile, "entropy", ("decoder.1.cross", 3))
    check(
        visit("corpus", straight=True, model="dates", profile="translate/profile"),
        profile,
        "entropy",
        ("decoder.1.cross", 3),
    )


def test_a_measure_that_says_nothing_of_a_head(visit, profile: Profile) -> None:
    seen = visit("corpus", to="zh", site="decoder.0.cross", head=1, tab="corpus_by.previous")
    check(seen, profile, "previous", ("decoder.0.cross", 1))
    assert [info.value for info in seen.at.info] == [
        seen.say("corpus.no_value", measure=seen.say("corpus.by_previous"))
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_press_on_a_text_opens_it_with_this_head(visit, profile: Profile, kind: str) -> None:
    head = ("decoder.1.cross", 2)
    values = profile.values("entropy")[:, profile.heads.index(head)]
    row = KINDS[kind](values, 6)[1]
    seen = (
        visit("corpus", profile="translate/profile", site=head[0], head=head[1], to="fr", target="le chat")
        .click(f"corpus-{kind}-{row}")
        .sound()
    )
    assert [title.value for title in seen.at.title] == [seen.say("heads.title")]
    view = seen.view
    assert (view.model, view.text, view.to, view.target) == ("translate", profile.sources[row], "zh", "")
    assert (view.site, view.head) == head
    a = seen.figure("matrix")[1]["values"].astype(float)
    entropy = -(a * np.log(np.where(a > 0, a, 1))).sum(1).mean()
    assert entropy == bounds.near(values[row], 64, size=[1.0, values[row]])


@pytest.fixture
def made(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile of `ours`, among the folders of models, with a refused text."""
    out = models / "ours" / "few.parquet"
    if not out.is_file():
        listed = tmp_path_factory.mktemp("texts") / "few.txt"
        listed.write_text("the cat\n\nthe _dog_\nI see the cat\n", encoding="utf-8")
        given = ["--model", str(models / "ours"), "--texts", str(listed), "--out", str(out), "--language", "fr"]
        assert main(["profile", *given]) == 0
    profiles.found.clear()
    return out


def test_profiles_in_the_folders_of_models_are_offered(visit, made: Path) -> None:
    seen = visit("corpus", to="zh")
    assert seen.at.selectbox(key="profile-en").options == ["translate/profile", "translate/profile-fr", "ours/few"]
    seen = check(seen.set("profile", "ours/few"), Profile.open(made), "entropy", ("encoder.0.self", 0))
    assert seen.link["profile"] == "ours/few" and seen.view.model == "translate"
    (table,) = [t.value for t in seen.at.dataframe]
    assert table[seen.say("corpus.line")].tolist() == [2, 3]
    assert table[seen.say("corpus.why")].tolist()[0] == seen.say("error.empty_text")
    assert "_dog_" in table[seen.say("corpus.text")].tolist()[1]
    assert (
        seen.say("corpus.refused", n="2") in [p.proto.popover.label for p in seen.at.get("popover")]
        or table is not None
    )
    # Another model's head is not the one that is looked at.
    seen = seen.set("corpus-site", "decoder.1.self")
    assert seen.view.site != "decoder.1.self"
    check(seen, Profile.open(made), "entropy", ("decoder.1.self", 0))
    seen.click("corpus-typical-0").sound()
    assert (seen.view.model, seen.view.text, seen.view.to) == ("ours", "the cat", "fr")
    assert (seen.view.site, seen.view.head) == ("decoder.1.self", 0)


def test_it_follows_the_language_that_is_chosen(visit) -> None:
    french = Profile.open(SHIPPED / "translate" / "profile-fr.parquet")
    seen = check(visit("corpus", **AT | {"to": "fr"}), french, "entropy", ("encoder.0.self", 0))
    assert seen.say("corpus.into", language="français") in " ".join(markdown.value for markdown in seen.at.markdown)
    captions = [caption.value for caption in seen.at.caption]
    told = seen.say("corpus.other_language", there="中文", here="français")
    assert told not in captions and "profile" not in seen.link
    seen = seen.set("profile", "translate/profile").sound()  # by hand, which stays
    assert told in [caption.value for caption in seen.at.caption]


def test_its_own_model_first(visit, made: Path) -> None:
    seen = visit("corpus", model="ours", lang="zh").sound()
    assert seen.at.selectbox(key="profile-zh").value == "ours/few"
    (table,) = [t.value for t in seen.at.dataframe]
    assert table[seen.say("corpus.why")].tolist()[0] == seen.say("error.empty_text")


def test_other_weights_are_said(visit, made: Path) -> None:
    measured = Profile.open(made).about["weights_hash"]
    kept = made.read_bytes()
    folder = made.parent
    shutil.copytree(folder, folder.parent / "kept")
    try:
        tiny.write_checkpoint(folder, seed=5)
        seen = visit("corpus", model="ours")
        (said,) = [warning.value for warning in seen.at.warning]
        assert measured in said and "ours" in said
    finally:
        shutil.rmtree(folder)
        (folder.parent / "kept").rename(folder)
    assert made.read_bytes() == kept


def test_a_model_that_is_not_here_shows_its_texts_and_opens_none(visit, tmp_path: Path) -> None:
    found = pq.read_table(SHIPS)
    about = json.loads(found.schema.metadata[b"headlight"]) | {"model": "gone", "given": "/nowhere/gone"}
    path = tmp_path / "gone.parquet"
    pq.write_table(found.replace_schema_metadata({b"headlight": json.dumps(about)}), path)
    seen = visit("corpus", profile=path).sound()
    buttons = [button for button in seen.at.button if (button.key or "").startswith("corpus-typical")]
    assert len(buttons) == 6 and all(button.disabled for button in buttons)
    assert seen.say("corpus.not_here", name="/nowhere/gone") in [caption.value for caption in seen.at.caption]


BAD = {"no_profile": None, "not_a_profile": b"PAR1 damaged", "damaged_profile": "cut"}


@pytest.mark.parametrize("code", BAD)
def test_what_does_not_open_is_one_sentence_and_another_is_shown(visit, profile, tmp_path: Path, code: str) -> None:
    path = tmp_path / "mine.parquet"
    if BAD[code] == "cut":
        found = pq.read_table(SHIPS)
        pq.write_table(found.slice(0, 11_999), path)
    elif BAD[code]:
        path.write_bytes(BAD[code])
    seen = visit("corpus", to="zh")
    (field,) = [field for field in seen.at.text_input if field.key == "corpus-path"]
    field.set_value(f' "{path}" ')
    seen.at.run()
    assert seen.complaint() == seen.say(f"error.{code}", path=path)
    assert seen.link["profile"] == str(path)
    assert len(rows(seen, 1)) == 24


def test_a_path_that_is_typed_opens(visit, profile: Profile, tmp_path: Path) -> None:
    path = Path(shutil.copy(SHIPS, tmp_path / "mine.parquet"))
    check(visit("corpus", profile=path, **AT), profile, "entropy", ("encoder.0.self", 0))


def test_strangers_open_nothing_outside_the_folders(visit, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(model_list, "confined", lambda: True)
    path = Path(shutil.copy(SHIPS, tmp_path / "mine.parquet"))
    for place in (path, tmp_path / "nowhere.parquet"):
        seen = visit("corpus", profile=place)
        assert seen.complaint() == seen.say("error.not_allowed", path=place)
    visit("corpus", profile=SHIPS).sound()


def test_a_small_file_may_be_handed_in(visit, profile: Profile) -> None:
    seen = visit("corpus", **AT)
    (field,) = seen.at.get("file_uploader")
    field.set_value(("mine.parquet", SHIPS.read_bytes(), "application/octet-stream"))
    seen.at.run()
    check(seen, profile, "entropy", ("encoder.0.self", 0))
    assert seen.link["profile"] == profiles.HANDED_IN
    # Its link leads nowhere for anybody else.
    other = visit("corpus", profile=profiles.HANDED_IN)
    assert other.complaint() == other.say("error.no_profile", path=other.say("corpus.handed_in"))


def test_without_any_profile_the_command_is_shown(visit, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(profiles, "SHIPPED", tmp_path)
    monkeypatch.setenv("HEADLIGHT_MODELS", str(tmp_path))
    seen = visit("corpus", to="zh").sound()
    assert [info.value for info in seen.at.info] == [seen.say("corpus.none")]
    assert any("python -m model profile" in code.value for code in seen.at.code)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("of", ["checked", "failing", "partly", "old"])
def test_a_profile_says_how_its_runs_check(visit, monkeypatch, profile: Profile, of: str, language: str) -> None:
    about = {
        "checked": {},
        "failing": {"check": {"holds": 497, "fails": 3, "not checked": 0, "largest": 0.5}},
        "partly": {"check": {"holds": 400, "fails": 0, "not checked": 100, "largest": 2e-6}},
        "old": {"version": 1, "check": None},
    }[of]
    one = dataclasses.replace(profile, about=dict(profile.about) | about)
    monkeypatch.setattr(profiles, "opened", lambda: one)
    seen = visit("corpus", lang=language, **AT).sound()
    said = {
        "checked": seen.say("corpus.check_holds", n=500, error=numbers.short(profile.largest_error)),
        "failing": f":red[{seen.say('corpus.check_fails', n=3, all=500, error=numbers.short(0.5))}]",
        "partly": seen.say("corpus.check_holds", n=400, error=numbers.short(2e-6))
        + " · "
        + seen.say("corpus.check_not", n=100),
        "old": seen.say("foot.unchecked"),
    }[of]
    feet = [caption.value for caption in seen.at.caption if caption.value.endswith(said)]
    assert len(feet) == 2  # every head's, and one head's


def test_every_head_is_a_line_over_the_medians_of_its_measures(visit, profile: Profile) -> None:
    seen = visit("corpus", **AT, set="corpus-parallel.1").sound()
    (chart,) = seen.at.get("plotly_chart")
    axes = json.loads(chart.proto.spec)["data"][0]["dimensions"]
    drawn = {axis["name"]: axis["values"] for axis in axes}
    applies = [name for name in profile.measures if np.isfinite(profile.values(name)).any()]
    assert list(drawn) == ["site", *applies]
    for name in applies:
        wanted = np.array([
            np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else np.nan
            for column in profile.values(name).astype(np.float64).T
        ])  # fmt: skip
        lines = np.frombuffer(base64.b64decode(drawn[name]["bdata"]), drawn[name]["dtype"])
        np.testing.assert_allclose(lines[np.isfinite(wanted)], wanted[np.isfinite(wanted)], rtol=1e-9)
        assert (lines[np.isnan(wanted)] < wanted[np.isfinite(wanted)].min()).all()
