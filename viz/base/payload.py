"""One binary frame for every canvas view: a JSON header and the arrays it names, in one `bytes`.

Layout, little-endian::

    uint32 N | N bytes of UTF-8 JSON, padded with spaces so that 4 + N is a multiple of 8 | body

`header["arrays"]` maps a name to `{"dtype", "shape", "offset"}`, the offset counted from the start of the body; each
array starts on a multiple of 8. One frame instead of a dict of arrays because Streamlit hands top-level bytes to the
browser without a copy, while a nested numpy array becomes an Arrow table with one column a matrix column.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np

DTYPES = {"u1": np.dtype("u1"), "i4": np.dtype("<i4"), "f4": np.dtype("<f4")}
_ALIGN = 8


def pack(header: dict[str, Any], **arrays: np.ndarray) -> bytes:
    """Frame `header` and `arrays`; floats travel as float32, bools and uint8 as bytes, other integers as int32."""
    table, body, offset = {}, [], 0
    for name, array in arrays.items():
        array = np.ascontiguousarray(array)
        code = "f4" if array.dtype.kind == "f" else "u1" if array.dtype.itemsize == 1 else "i4"
        raw = array.astype(DTYPES[code], copy=False).tobytes()
        table[name] = {"dtype": code, "shape": list(array.shape), "offset": offset}
        raw += b"\0" * (-len(raw) % _ALIGN)
        body.append(raw)
        offset += len(raw)
    # `<` is escaped so that a token such as "</script>" stays text wherever the frame is embedded.
    try:
        text = json.dumps(header | {"arrays": table}, ensure_ascii=False, allow_nan=False)
    except ValueError:  # rare: a model's own NaN
        text = json.dumps(_named(header | {"arrays": table}), ensure_ascii=False, allow_nan=False)
    head = text.replace("<", "\\u003c").encode()
    head += b" " * (-(4 + len(head)) % _ALIGN)
    return b"".join([struct.pack("<I", len(head)), head, *body])


def _named(value: Any) -> Any:
    """The same with numbers that JSON lacks under a name that `shared/payload.js` reads."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"$number": "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"}
    if isinstance(value, dict):
        return {key: _named(part) for key, part in value.items()}
    return [_named(part) for part in value] if isinstance(value, list | tuple) else value


def _number(value: dict[str, Any]) -> Any:
    return float(value["$number"]) if value.keys() == {"$number"} else value


def unpack(frame: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The inverse of `pack`: (header without its array table, arrays by name)."""
    (size,) = struct.unpack_from("<I", frame)
    header = json.loads(frame[4 : 4 + size], object_hook=_number)
    arrays = {}
    for name, entry in header.pop("arrays").items():
        dtype, shape = DTYPES[entry["dtype"]], tuple(entry["shape"])
        start = 4 + size + entry["offset"]
        arrays[name] = np.frombuffer(frame, dtype, int(np.prod(shape)), start).reshape(shape)
    return header, arrays
