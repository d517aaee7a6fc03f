"""How tests draw, for every folder of them whose conftest imports these: charts held against their schema, small fonts."""

from __future__ import annotations

import pytest

from tests import fonts, schema


@pytest.fixture(scope="session", autouse=True)
def charts_are_held_against_their_schema() -> None:
    """As the app draws them, see `viz.base.chart_schema`, but none goes unchecked."""
    schema.hold_each_chart()


@pytest.fixture(scope="session", autouse=True)
def pictures_are_drawn_with_small_fonts() -> None:
    fonts.without_large_ones()
