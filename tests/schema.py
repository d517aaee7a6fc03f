"""Every chart that a test makes or a page shows is held against Vega-Lite's schema: each form of it once in a process."""

from __future__ import annotations

import json
import re
from typing import Any

from altair.utils import schemapi

from viz.base import chart_schema

validate = schemapi.SchemaBase.validate.__func__
_DATA = re.compile(r'("name": )"[^"]*"')  # of a table by its content: any string will do
_held: set[tuple[type, str] | None] = set()


def hold_each_chart() -> None:
    """Altair as the app has it, but whole charts are checked; of one that was held before only the data differ."""
    chart_schema.lighten()
    schemapi.SchemaBase.validate = classmethod(_once)


def _once(cls: type, instance: dict[str, Any], schema: dict[str, Any] | None = None) -> None:
    try:
        form = (
            cls,
            _DATA.sub(r'\1""', json.dumps(instance, sort_keys=True)) + ("" if schema is None else json.dumps(schema)),
        )
    except TypeError:  # what is no JSON is for the schema to refuse
        form = None
    if form is None or form not in _held:
        validate(cls, instance, schema)
        _held.add(form)
