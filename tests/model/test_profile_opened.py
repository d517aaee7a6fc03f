"""A profile read back: its numbers against pandas, files that are none, and the one that ships against fresh runs."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.checkpoints.disk.shipped import SHIPPED
from model.checkpoints.own import OwnModel
from model.errors import (
    DamagedProfile,
    HeadlightError,
    NewerProfile,
    NoProfile,
    NotAProfile,
    ProfileTooLarge,
    UnknownOption,
)
from model.profile import read, rows, table
from model.profile.read import Profile, language_of
from model.profile.rows import highest, lowest, quantiles, typical
from model.profile.schema import VERSION
from model.training.tasks.registry import held_out
from tests import bounds

ROOT = Path(__file__).parents[2]
SHIPS = SHIPPED / "translate" / "profile.parquet"


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.read_parquet(SHIPS)


@pytest.fixture(scope="module")
def profile() -> Profile:
    return Profile.open(SHIPS)


def test_it_is_small_and_says_how_it_was_made(profile: Profile) -> None:
    assert SHIPS.stat().st_size <= 320_000
    about = profile.about
    assert shlex.split(about["command"]) == [
        "python", "-m", "model", "profile", "--model", "translate", "--texts", "checkpoints/translate/held_out.txt",
        "--out", "checkpoints/translate/profile.parquet", "--language", "zh",
    ]  # fmt: skip
    assert about["texts"] == about["measured"] == 500 and about["refused"]["count"] == 0
    texts = (SHIPPED / "translate" / "held_out.txt").read_text(encoding="utf-8").splitlines()
    assert profile.sources == texts


def test_the_french_one_is_of_the_same_texts(profile: Profile) -> None:
    french = Profile.open(SHIPS.with_name("profile-fr.parquet"))
    assert french.sources == profile.sources and french.heads == profile.heads and french.about["refused"]["count"] == 0
    assert french.about["weights_hash"] == profile.about["weights_hash"] and french.check["holds"] == 500
    told = {place.stem: language_of(place) for place in sorted(SHIPS.parent.glob("*.parquet"))}
    assert told == {"profile": "zh", "profile-fr": "fr"} and language_of(SHIPS.with_name("card.json")) is None
    assert shlex.split(french.about["command"])[-3:] == ["checkpoints/translate/profile-fr.parquet", "--language", "fr"]


@pytest.mark.shipped
def test_its_texts_are_held_out(profile: Profile) -> None:
    assert profile.sources[:60] == [" ".join(example.source) for example in held_out("translate", "zh", 60)]


@pytest.mark.shipped
def test_it_is_of_the_weights_that_ship_and_a_few_rows_made_again_are_the_same(
    profile: Profile, translator: OwnModel
) -> None:
    assert profile.about["weights_hash"] == translator.weights_hash
    rows = [0, 123, 499]
    again = table.measured(translator, [(row, profile.sources[row]) for row in rows], {"language": "zh"}).to_pandas()
    for measure in profile.measures:
        kept = profile.values(measure)[rows]
        np.testing.assert_allclose(
            again[measure].to_numpy(float).reshape(3, -1), kept, atol=bounds.WEIGHT, err_msg=measure
        )


def test_arrays_are_the_tables_columns(profile: Profile, frame: pd.DataFrame) -> None:
    assert len(frame) == len(profile.texts) * len(profile.heads) == 12_000
    for measure in ("entropy", "induction"):
        wide = frame.pivot(index="text", columns=["site", "head"], values=measure)
        np.testing.assert_array_equal(profile.values(measure), wide[list(profile.heads)].to_numpy())
    one = frame[(frame["site"] == "decoder.1.cross") & (frame["head"] == 2)]
    at = profile.heads.index(("decoder.1.cross", 2))
    np.testing.assert_array_equal(profile.sizes(at), one[["queries", "keys"]].to_numpy())


def test_quantiles_and_what_stands_out(profile: Profile, frame: pd.DataFrame) -> None:
    values = profile.values("induction")
    found = quantiles(values)
    for column, (site, head) in enumerate(profile.heads):
        one = frame[(frame["site"] == site) & (frame["head"] == head)]["induction"].dropna().sort_values()
        if one.empty:
            assert np.isnan(found[:, column]).all()
            continue
        np.testing.assert_allclose(found[:, column], one.astype(float).quantile(list(rows.QUANTILES)), atol=1e-12)
        column_values = values[:, column]
        assert [column_values[i] for i in lowest(column_values, 3)] == one.head(3).tolist()
        assert [column_values[i] for i in highest(column_values, 3)] == one.tail(3).tolist()[::-1]
        distance = (one - one.median()).abs().sort_values().head(3)
        got = [abs(column_values[i] - np.float32(one.median())) for i in typical(column_values, 3)]
        np.testing.assert_allclose(got, distance, atol=1e-7)
    assert lowest(np.array([np.nan, 2, np.nan, 1], np.float32), 6) == [3, 1]
    assert typical(np.full(3, np.nan, np.float32), 6) == highest(np.full(3, np.nan, np.float32), 6) == []


def test_a_file_that_is_handed_in_opens_too(profile: Profile) -> None:
    given = Profile.open(SHIPS.read_bytes(), "mine.parquet")
    assert given.name == "mine.parquet" and given.heads == profile.heads
    np.testing.assert_array_equal(given.values("first"), profile.values("first"))


def test_a_profile_from_before_a_measure_opens_without_it(profile: Profile, tmp_path: Path) -> None:
    assert "punctuation" in profile.measures
    told = pq.read_table(SHIPS)
    about = json.loads(told.schema.metadata[b"headlight"])
    about["measures"].remove("punctuation")
    old = told.drop_columns(["punctuation"]).replace_schema_metadata({b"headlight": json.dumps(about).encode()})
    pq.write_table(old, tmp_path / "old.parquet")
    again = Profile.open(tmp_path / "old.parquet")
    assert again.measures == [name for name in profile.measures if name != "punctuation"]
    np.testing.assert_array_equal(again.values("special"), profile.values("special"))
    with pytest.raises(UnknownOption):
        again.values("punctuation")


def test_reading_needs_no_torch() -> None:
    code = "import sys; from model.profile.read import Profile; from pathlib import Path;"
    code += f"Profile.open(Path({str(SHIPS)!r})).values('entropy'); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"


def again(tmp_path: Path, rows: pa.Table | None = None, **about: object) -> Path:
    """The shipped profile with other rows, or something else said of it; None leaves an entry out."""
    found = pq.read_table(SHIPS)
    told = json.loads(found.schema.metadata[b"headlight"]) | about
    told = {key: value for key, value in told.items() if value is not None}
    rows = found if rows is None else rows
    path = tmp_path / "other.parquet"
    pq.write_table(rows.replace_schema_metadata({b"headlight": json.dumps(told).encode()}), path)
    return path


@pytest.mark.parametrize(
    ("about", "error"),
    [
        ({"version": VERSION + 1}, NewerProfile),
        ({"format": "another"}, NotAProfile),
        ({"measures": ["entropy", "beauty"]}, DamagedProfile),
        ({"measures": None}, DamagedProfile),
        ({"measured": 499}, DamagedProfile),
        ({"refused": {"count": 1, "listed": [{"text": 3}]}}, DamagedProfile),
        ({"model": 3}, DamagedProfile),
        ({"made_of": None}, DamagedProfile),
        ({"measures": []}, DamagedProfile),
        ({"check": {"holds": 499, "fails": 0, "not checked": 0, "largest": 1e-6}}, DamagedProfile),
        ({"check": {"holds": 500, "fails": 0, "not checked": 0, "largest": "a lot"}}, DamagedProfile),
        ({"check": {"holds": 500}}, DamagedProfile),
        ({"measures": ["entropy", "'; no"]}, DamagedProfile),
    ],
)
def test_what_it_says_of_itself_is_checked(tmp_path: Path, about: dict, error: type) -> None:
    with pytest.raises(error):
        Profile.open(again(tmp_path, **about))


def test_rows_that_do_not_belong_together_are_damaged(tmp_path: Path) -> None:
    rows = pq.read_table(SHIPS)
    names = pa.array([f"{name}'" for name in rows["site"].to_pylist()])
    words = pa.array(["a"] * 12_000)
    for wrong in (
        rows.set_column(rows.schema.names.index("entropy"), "entropy", words),
        rows.slice(0, 11_999),
        rows.slice(3),
        rows.take(pa.array([1, 0, *range(2, 12_000)])),
        rows.set_column(1, "site", names),
    ):
        with pytest.raises(DamagedProfile):
            Profile.open(again(tmp_path, wrong))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(NoProfile):
        Profile.open(tmp_path / "nowhere.parquet")
    with pytest.raises(NoProfile):
        Profile.open(tmp_path)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"")
    content = SHIPS.read_bytes()
    (tmp_path / "c.parquet").write_bytes(content[: len(content) // 2])
    for name in "abc":
        with pytest.raises(NotAProfile):
            Profile.open(tmp_path / f"{name}.parquet")
        assert read.language_of(tmp_path / f"{name}.parquet") is None
    assert read.language_of(SHIPS) == "zh"


def test_every_damaged_byte_is_said_or_harmless(tmp_path: Path) -> None:
    """Holes anywhere in the file: a sentence, or numbers of the right shape."""
    content, path = SHIPS.read_bytes(), tmp_path / "damaged.parquet"
    for place in range(4, len(content), len(content) // 40):
        path.write_bytes(content[:place] + bytes(64) + content[place + 64 :])
        try:
            found = Profile.open(path)
            assert all(found.values(measure).shape == (500, 24) for measure in found.measures)
            assert len(found.sources) == 500
        except HeadlightError as error:
            assert str(path) in str(error)


def test_a_large_one_and_an_unknown_measure_are_refused(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownOption, match="entropy, largest"):
        profile.values("beauty")
    monkeypatch.setattr(read, "LARGEST", 11_999)
    with pytest.raises(ProfileTooLarge, match="12,000"):
        Profile.open(SHIPS)
    Profile.open(SHIPS.read_bytes())
    monkeypatch.setattr(read, "LARGEST_GIVEN", 11_999)
    with pytest.raises(ProfileTooLarge):
        Profile.open(SHIPS.read_bytes())
