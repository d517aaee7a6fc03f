"""Charts are what Altair makes of them, without reading Vega-Lite's schema again for each; no test's chart goes unchecked."""

from __future__ import annotations

import altair as alt
import pandas as pd
import pytest
from altair.utils import schemapi

from tests import schema
from viz.base import chart_schema

TABLE = pd.DataFrame({"a": [1, 2], "b": [3, 4]})


def chart(opacity: object = 0.5) -> alt.Chart:
    where = {"x": "a:Q", "y": alt.value(3), "color": alt.condition("datum.a > 1", alt.value("red"), "b:N")}
    return alt.Chart(TABLE).mark_rect(opacity=opacity).encode(**where)


@pytest.fixture
def lightened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemapi.SchemaBase, "validate", schemapi.SchemaBase.__dict__["validate"])
    chart_schema.lighten()


def test_a_chart_is_the_same_one(monkeypatch, lightened) -> None:
    drawn = chart().to_dict()
    monkeypatch.setattr(schemapi, "DEBUG_MODE", True)
    monkeypatch.setattr(schemapi.SchemaBase, "validate", classmethod(schema.validate))
    monkeypatch.setattr(schemapi._FromDict, "__init__", chart_schema.prepare)
    assert chart().to_dict() == drawn


def test_the_schema_is_read_once(monkeypatch, lightened) -> None:
    chart()
    read: list[object] = []
    real = schemapi._FromDict.hash_schema.__func__
    monkeypatch.setattr(schemapi._FromDict, "hash_schema", classmethod(lambda *args: read.append(args) or real(*args)))
    chart()
    assert 0 < len(read) < 30  # of what is drawn; the classes are some thousand


def test_the_app_draws_unchecked_and_the_tests_do_not(lightened) -> None:
    assert chart("half").to_dict()["mark"]["opacity"] == "half"
    schema.hold_each_chart()
    chart(0.5).to_dict()
    for _ in range(2):
        with pytest.raises(schemapi.SchemaValidationError):
            chart("half").to_dict()
