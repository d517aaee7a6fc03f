"""What a profile's rows are, and the two pure functions that make one: map (a text -> its rows) and merge (parts -> file).

A text that the model refuses has one row in a part, with the reason in place of a head; merged, it is listed in the
metadata, so that the file has one row a text, site and head and nothing else.
"""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.errors import HeadlightError, Stopped, Unexpected
from model.measures.head_statistics import trace_statistics
from model.measures.registry import CHEAP
from model.profile.schema import (
    CHECK,
    ERROR,
    FAILS,
    HEAD,
    HOLDS,
    KEY,
    KEYS,
    QUERIES,
    SITE,
    SOURCE,
    TEXT,
    UNCHECKED,
    VERDICTS,
)

COLUMNS = tuple(measure.column for measure in CHEAP)
_REFUSED = "refused"
LISTED = 100_000  # refused texts that are listed one by one; beyond, they are counted
_QUOTED = 80
_NAME = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [(TEXT, pa.int32()), (SITE, _NAME), (HEAD, pa.int16()), (QUERIES, pa.int32()), (KEYS, pa.int32())]
    + [(CHECK, _NAME), (ERROR, pa.float32())]
    + [(column, pa.float32()) for column in COLUMNS]
    + [(SOURCE, _NAME)]
)
PART = pa.schema(
    [(f.name, f.type.value_type if f.type == _NAME else f.type) for f in SCHEMA] + [(_REFUSED, pa.string())]
)


def measured(model: Any, texts: Iterable[tuple[int, str]], options: Mapping[str, str]) -> pa.Table:
    """The map: (index, text) -> rows of `PART`, one run a text. Only Stopped is raised; what a text does is told."""
    return pa.concat_tables([PART.empty_table(), *(_rows(model, index, text, options) for index, text in texts)])


def _rows(model: Any, index: int, text: str, options: Mapping[str, str]) -> pa.Table:
    try:
        trace = model.trace(text, **options)
        found, fidelity = trace_statistics(trace), trace.fidelity(plain=False)
    except Stopped:
        raise
    except HeadlightError as error:
        return _refusal(index, text, error)
    except Exception as error:  # one text of thousands that breaks a library is told, and does not end the run
        logging.getLogger(__name__).exception("text %d failed", index)
        return _refusal(index, text, Unexpected.of(error))
    columns: dict[str, list] = {name: [] for name in PART.names}
    for site, statistics in found.items():
        record = trace.attention[site]
        same = {TEXT: index, SITE: str(site), QUERIES: record.queries, KEYS: record.keys, SOURCE: text, _REFUSED: None}
        error = fidelity.sites.get(str(site))
        same[CHECK] = UNCHECKED if error is None else HOLDS if fidelity.holds_at(str(site)) else FAILS
        same[ERROR] = error
        for name, value in same.items():
            columns[name] += [value] * record.heads
        columns[HEAD] += range(record.heads)
        for measure in CHEAP:
            values = statistics.values.get(measure.name)
            # No query may attend such a key: no value, as where the measure says nothing of this kind of attention.
            told = [] if values is None else values.float().tolist()
            columns[measure.column] += [v if v == v else None for v in told] or [None] * record.heads
    return pa.table(columns, PART)


def _refusal(index: int, text: str, error: HeadlightError) -> pa.Table:
    values = {k: v if isinstance(v, str | int | float | list) else str(v) for k, v in error.values.items()}
    told = {"code": error.code, "sentence": str(error), "values": values}
    row = {TEXT: index, SOURCE: text, _REFUSED: json.dumps(told, ensure_ascii=False)}
    return pa.Table.from_pylist([row], PART)


def done(part: pa.Table) -> set[int]:
    """The texts that a part has an answer for: measured or refused."""
    return set(pc.unique(part[TEXT]).to_pylist())


def counted(part: pa.Table) -> tuple[int, int]:
    """(texts measured, texts refused) of a part."""
    refused = part.num_rows - part[_REFUSED].null_count
    return len(done(part)) - refused, refused


def refusals(parts: Iterable[pa.Table]) -> dict[str, Any]:
    """How many were refused, why, and which: `{"count", "reasons": {code: n}, "listed": [{"text", "source", …}]}`."""
    reasons: Counter[str] = Counter()
    listed = []
    for part in parts:
        for row in part.filter(pc.is_valid(part[_REFUSED])).select([TEXT, SOURCE, _REFUSED]).to_pylist():
            told = json.loads(row[_REFUSED])
            reasons[told["code"]] += 1
            if len(listed) < LISTED:
                listed.append({"text": row[TEXT], "source": row[SOURCE][:_QUOTED]} | told)
    return {"count": reasons.total(), "reasons": dict(reasons), "listed": sorted(listed, key=lambda one: one["text"])}


def checks(parts: Iterable[pa.Table]) -> dict[str, Any]:
    """How many texts check, by their worst sub-layer, and the largest error of any: `{"holds": n, …, "largest": error}`."""
    count, largest = dict.fromkeys(VERDICTS, 0), -math.inf
    for part in parts:
        rows = part.filter(pc.is_null(part[_REFUSED]))
        texts: dict[int, set[str]] = {}
        for text, verdict in zip(rows[TEXT].to_pylist(), rows[CHECK].to_pylist(), strict=True):
            texts.setdefault(text, set()).add(verdict)
        for found in texts.values():
            count[next(verdict for verdict in (FAILS, HOLDS, UNCHECKED) if verdict in found)] += 1
        if len(errors := rows[ERROR].drop_null().to_numpy()):
            largest = float(np.maximum(largest, errors.max()))  # NaN is worse than any number
    # JSON has no NaN and no −∞.
    told = None if largest == -math.inf else str(largest) if not math.isfinite(largest) else largest
    return count | {"largest": told}


def merged(parts: Iterable[pa.Table], about: Mapping[str, Any]) -> Iterator[pa.Table]:
    """The merge: parts, each of its own run of texts and in their order -> tables of `SCHEMA`, without the refused texts.

    Equal whichever way the texts were cut into parts that hold the same runs, and in whichever order they were measured.
    """
    schema = with_metadata(about)
    for part in parts:
        # Of one text the rows stand together and in the order of the model; sorting is stable.
        rows = part.filter(pc.is_null(part[_REFUSED])).select(SCHEMA.names).combine_chunks()
        rows = rows.take(pc.sort_indices(rows, [(TEXT, "ascending")]))
        yield rows.cast(schema)


def with_metadata(about: Mapping[str, Any]) -> pa.Schema:
    return SCHEMA.with_metadata({KEY: json.dumps(about, ensure_ascii=False).encode()})
