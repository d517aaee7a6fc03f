"""Every measure of the registry keeps the same contract: its words, its formula, its number, and where it is shown."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from model.measures import registry
from model.measures.head_statistics import HeadStatistics, statistics
from model.measures.measure import SHARE, KeyMass, Measure, Need
from model.measures.registry import BY_COLUMN, CHEAP, DRAWN, MEASURES, ORDERABLE, ROLES
from model.measures.table import COLUMNS
from model.profile import table as profile_table
from model.profile.read import Profile
from tests.model.attention_kinds import KINDS, random, words
from tests.model.brute_measures import BRUTE, seen

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "tests/fixtures/v0_4/profile.parquet"
WORDS = {path.stem: json.loads(path.read_text("utf-8")) for path in (ROOT / "viz/ui/words").glob("*.json")}
# As release 0.4 wrote them.
TABLE_0_4 = (
    "entropy", "mean_distance", "rms_distance", "largest", "previous", "diagonal", "next", "first", "special", "punctuation",
    "induction", "duplicate", "local", "positional_share", "effective_rank",
)  # fmt: skip
each = pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)


@cache
def measured(kind: str, n: int) -> tuple[HeadStatistics, list[dict[str, float | None]]]:
    """(what is measured, the same by brute force of each head)."""
    found = KINDS[kind](n, context=random(4, n, 6))
    ids, special = words(n, found.keys)
    got = statistics(found, ids, special, costly=True, punctuation=special[::-1])
    heads = [seen(found, head, ids, special, special[::-1]) for head in range(found.heads)]
    return got, [{name: by_hand(head) for name, by_hand in BRUTE.items()} for head in heads]


@pytest.mark.parametrize("n", [1, 5, 23, 140])
@pytest.mark.parametrize("kind", ["causal", "bidirectional", "cross", "sinks", "nothing attended"])
def test_a_measure_is_what_brute_force_makes_of_it(kind: str, n: int) -> None:
    got, by_hand = measured(kind, n)
    assert set(BRUTE) == {measure.name for measure in MEASURES}
    for measure in MEASURES:
        applies = Need.ONE_SEQUENCE not in measure.needs or kind != "cross"
        assert (measure.name in got.values) == applies == (by_hand[0][measure.name] is not None), measure.name
        if applies:
            want = np.array([head[measure.name] for head in by_hand])
            # A square root doubles the digits that a singular value near 0 loses.
            bound = 1e-7 if measure.name == "effective_rank" else 1e-12 * max(1, n)
            np.testing.assert_allclose(got.values[measure.name], want, atol=bound, rtol=0, err_msg=measure.name)


@each
def test_a_measure_keeps_to_its_bounds(measure: Measure) -> None:
    low, high = measure.bounds
    assert low < high
    for kind in KINDS:
        found = measured(kind, 9)[0].values.get(measure.name, torch.zeros(0))
        known = found[~found.isnan()]
        assert bool(((known >= low - 1e-9) & (known <= high + 1e-9)).all()), kind


@pytest.mark.parametrize("need", Need)
def test_without_what_it_needs_there_is_no_number(need: Need) -> None:
    n = 6
    kind = "cross" if need == Need.ONE_SEQUENCE else "causal"
    found = KINDS[kind](n, **({} if need == Need.CONTEXT else {"context": random(4, n, 6)}))
    ids, special = words(n, found.keys)
    known = {
        Need.TOKENS: ("tokens", ids), Need.SPECIAL: ("special", special), Need.PUNCTUATION: ("punctuation", special)
    }  # fmt: skip
    got = statistics(found, costly=True, **dict(given for other, given in known.items() if other != need))
    for measure in MEASURES:
        assert (getattr(got, measure.name) is None) == (need in measure.needs), measure.name


@each
@pytest.mark.parametrize("language", WORDS)
def test_a_measure_has_words(measure: Measure, language: str) -> None:
    for key in (f"measures.m_{measure.column}", f"measures.h_{measure.column}"):
        assert WORDS[language].get(key, "").strip(), key
    assert not measure.unit or f"corpus.{measure.unit}" in WORDS[language]


@each
def test_a_measure_has_a_formula(measure: Measure) -> None:
    latex = measure.latex
    assert "A" in latex and latex.count(r"\frac") + latex.count(r"\sum") > 0
    plain = latex.replace(r"\{", "").replace(r"\}", "")
    depth = 0
    for character in plain:
        depth += (character == "{") - (character == "}")
        assert depth >= 0, latex
    assert depth == 0, latex


@each
def test_a_measure_is_listed_where_it_says(measure: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    from viz import corpus
    from viz import measures as pictures
    from viz.ui.atlas import controls

    assert measure.column in COLUMNS
    assert (measure.column in profile_table.COLUMNS) == (not measure.costly)
    assert (measure.name in controls.ORDERS) == measure.orderable
    table = pd.DataFrame({"site": ["decoder.0.self"], "head": [0], **{column: [0.5] for column in COLUMNS}})
    said = dict.fromkeys(COLUMNS, "measure") | {"site": "site", "head": "head", "alt": "{measure}"}
    maps = pictures.maps(table, {"decoder.0.self": "D0"}, [], said)
    assert (measure.column in maps) == measure.drawn
    assert corpus.is_share(measure.column) == (measure.bounds == (0, 1))


def test_every_list_is_the_registry_s() -> None:
    """In the orders that the screen and files of 0.4 had; what is new stands behind."""
    from viz.ui.atlas import controls

    profile = Profile.open(PROFILE)
    assert COLUMNS[: len(TABLE_0_4)] == TABLE_0_4
    assert list(profile_table.COLUMNS[: len(profile.measures)]) == profile.measures and len(profile.measures) == 12
    assert ORDERABLE[:6] == ("entropy", "largest", "distance", "previous", "first", "induction")
    assert ("layer", *ORDERABLE, "like") == controls.ORDERS
    assert ROLES[:8] == ("previous", "next", "diagonal", "first", "special", "punctuation", "induction", "duplicate")
    assert [measure.column for measure in DRAWN[:4]] == ["entropy", "largest", "mean_distance", "local"]
    assert set(BY_COLUMN) == set(COLUMNS) and {measure.column for measure in CHEAP} == set(profile_table.COLUMNS)


def test_a_profile_of_0_4_opens_with_its_numbers() -> None:
    profile = Profile.open(PROFILE)
    for name in profile.measures:
        values = profile.values(name)
        low, high = BY_COLUMN[name].bounds
        known = values[np.isfinite(values)]
        assert values.shape == (len(profile.texts), len(profile.heads)), name
        assert ((known >= low - 1e-6) & (known <= high + 1e-6)).all(), name
    assert np.isfinite(profile.values("entropy")).all()


def test_two_measures_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one = MEASURES[0]
    monkeypatch.setattr(registry, "_defined", lambda: iter([one, one]))
    with pytest.raises(ValueError, match=f"two measures have the name {one.name}"):
        registry._collected()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"role": True}, "no share of the attention"),
        ({"bounds": SHARE, "role": True, "costly": True}, "not there when heads are named"),
        ({"orderable": True, "costly": True}, "not there when heads are named or ordered"),
    ],
)
def test_a_measure_that_cannot_be_is_refused(more: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Measure("charm", "A", KeyMass(lambda layer: layer.j == 1), **more)


def test_what_is_no_measure_is_an_attribute_error() -> None:
    got, _ = measured("causal", 3)
    assert got.local is not None and got.entropy_rows.shape == (4, 3)
    with pytest.raises(AttributeError, match="“charm” is no measure"):
        got.charm  # noqa: B018


NEW = """
from model.measures.measure import SHARE, KeyMass, Measure

LAST_KEY = Measure("last_key", "A", KeyMass(lambda layer: layer.j == layer.keys - 1), bounds=SHARE, orderable=True)
"""
ASKED = """
import json, sys
from model.measures import definitions
definitions.__path__.append(sys.argv[1])
import torch
from model.measures.head_statistics import statistics
from model.measures.table import COLUMNS
from model.profile import table
from tests.model.attention_kinds import KINDS
from viz.ui.atlas.controls import ORDERS
found = KINDS["bidirectional"](7)
weights = torch.stack([found.weights(head, dtype=torch.float64) for head in range(4)])
error = (statistics(found).last_key - weights[:, :, -1].mean(1)).abs().max().item()
print(json.dumps([COLUMNS, table.SCHEMA.names, ORDERS, error]))
"""


def test_a_file_in_the_folder_is_all_that_a_measure_takes(tmp_path: Path) -> None:
    (tmp_path / "last_key.py").write_text(NEW, encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", ASKED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True,
                          timeout=600)  # fmt: skip
    columns, schema, orders, error = json.loads(done.stdout.splitlines()[-1])
    for found, known in ((columns, COLUMNS), (schema, profile_table.SCHEMA.names)):
        assert "last_key" in found and [name for name in found if name != "last_key"] == list(known)
    assert "last_key" in orders and error < 1e-12 and not math.isnan(error)
