"""What a Transformer computes, as data: our own model, the recorder, the `Trace`, and the arithmetic behind every cell.

The axes have one name each in the whole project, and always come in this order::

    b  batch            h  head              q  query position (row)      k  key position (column)
    d  d_model          d_k  head dimension of queries and keys           d_v  head dimension of values
    f  d_ff             V  vocabulary

Rows are queries and columns are keys, everywhere. Nothing here imports Streamlit or a plotting library, and importing
this package does not import torch: that happens when a model or a trace is opened.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.checkpoints.history import history
    from model.checkpoints.open import open_model
    from model.evaluation.run import evaluate
    from model.instrumentation.instrument import instrument
    from model.trace.trace import Trace

__version__ = "0.4.0"
__all__ = ["Trace", "__version__", "evaluate", "history", "instrument", "open_model"]
_LAZY = {
    "history": "model.checkpoints.history",
    "open_model": "model.checkpoints.open",
    "evaluate": "model.evaluation.run",
    "instrument": "model.instrumentation.instrument",
    "Trace": "model.trace.trace",
}


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
