"""Every measure of a head, collected from the files of `model/measures/definitions/`.

Each `Measure` that stands at the top of a file there is one; nothing else has to be told of it. Lists of measures
everywhere (columns of tables and profiles, what the Atlas orders by, which maps are drawn, which roles heads can have)
follow from this one.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module

from model.measures.measure import Measure

_FOLDER = "model.measures.definitions"


def _defined() -> Iterator[Measure]:
    """The measures of each file of the folder, file by file."""
    for file in pkgutil.iter_modules(import_module(_FOLDER).__path__):
        module = import_module(f"{_FOLDER}.{file.name}")
        yield from (thing for thing in vars(module).values() if isinstance(thing, Measure))


def _collected() -> tuple[Measure, ...]:
    """All measures in the order of the screen. Raises ValueError where two share a name or a column."""
    found = sorted(_defined(), key=lambda measure: (measure.place.screen, measure.name))
    for kind in ("name", "column"):
        called = [getattr(measure, kind) for measure in found]
        if twice := sorted({name for name in called if called.count(name) > 1}):
            raise ValueError(f"two measures have the {kind} {', '.join(twice)}")
    return tuple(found)


MEASURES = _collected()
BY_NAME = {measure.name: measure for measure in MEASURES}
BY_COLUMN = {measure.column: measure for measure in MEASURES}
# As columns of a run's table, and those of them that are cheap enough for every text of a profile.
TABLE = tuple(sorted(MEASURES, key=lambda measure: measure.place.table))
CHEAP = tuple(sorted((m for m in MEASURES if not m.costly), key=lambda measure: measure.place.profile))
ROLES = tuple(measure.name for measure in MEASURES if measure.role)
ORDERABLE = tuple(measure.name for measure in MEASURES if measure.orderable)
DRAWN = tuple(measure for measure in MEASURES if measure.drawn)
