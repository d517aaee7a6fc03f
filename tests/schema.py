"""Every chart that a test makes or a page shows is held against Vega-Lite's schema: each form of it once in a process."""

from __future__ import annotations

import json
from typing import Any

from altair.utils import schemapi

from viz.base import chart_schema

validate = schemapi.SchemaBase.validate.__func__
_held: set[tuple[type, str]] = set()
# What the schema takes any text of, or any list or number of, is not part of a chart's form.
_TEXTS = ("name", "title", "description", "labelExpr", "test", "calculate")
_LISTS = ("domain", "values", "sort", "views", "width", "height")  # a text under these is one of the schema's own words


def hold_each_chart() -> None:
    """Altair as the app has it, but whole charts are checked."""
    chart_schema.lighten()
    schemapi.SchemaBase.validate = classmethod(_once)


def _form(told: Any, free: bool = False) -> Any:
    """A chart without what differs between models, languages and heads only; free: types are all that counts."""
    if isinstance(told, dict):
        return {
            key: _form(value, key in _TEXTS or (key in _LISTS and not isinstance(value, str)))
            for key, value in told.items()
        }
    if isinstance(told, list):
        forms = [_form(value, free) for value in told]
        return list({json.dumps(form): form for form in forms}.values()) if free else forms
    return type(told).__name__ if free else told


def _once(cls: type, instance: dict[str, Any], schema: dict[str, Any] | None = None) -> None:
    form = (cls, json.dumps([_form(instance), schema], sort_keys=True, default=repr))
    if form not in _held:
        validate(cls, instance, schema)
        _held.add(form)
