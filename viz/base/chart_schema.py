"""What Altair does anew for every drawing, done once: the tests hold each chart against Vega-Lite's schema, a page need not.

Of a page with charts it is a third of the time: a chart's parts are checked as they are made and the whole when it is shown,
and each channel named by a string ("x:Q") is found among all classes of the schema, each written out as JSON for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from altair.utils import schemapi

_Classes = tuple[type[schemapi.SchemaBase], ...]
# Altair's own, by which a channel's class is found; a version that has none goes its own way.
_FromDict = getattr(schemapi, "_FromDict", None)
prepare = getattr(_FromDict, "__init__", None)


def lighten() -> None:
    """From now on charts of this process are drawn unchecked, and its schema is read once. Twice is as good as once."""
    schemapi.disable_debug_mode()
    schemapi.SchemaBase.validate = classmethod(_take)
    if "class_dict" in getattr(getattr(prepare, "__code__", None), "co_names", ()):
        _FromDict.__init__ = _prepare_once


def _take(_cls: type, _instance: Any, _schema: Any = None) -> None:
    """In the place of a check that raises."""


@cache
def _by_schema(classes: _Classes) -> dict[int, list[type[schemapi.SchemaBase]]]:
    read = _FromDict.__new__(_FromDict)
    prepare(read, classes)
    return read.class_dict


def _prepare_once(self: Any, wrapper_classes: Iterable[type[schemapi.SchemaBase]], /) -> None:
    self.class_dict = _by_schema(tuple(wrapper_classes))
