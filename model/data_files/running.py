"""Whether a file of lines is a running text: a few very long lines, or lines that end where a page did and not a sentence."""

from __future__ import annotations

from itertools import islice

from model.data_files.read import DataFile

_LOOKED_AT = 2000  # first lines
_LONG = 600  # characters of a line on average, beyond which no line is a sentence
_WIDEST, _RAGGED = 130, 16  # characters of a wrapped line, and how much shorter most of them are at most
_FEWEST, _FULL, _ENDED = (
    8,
    0.6,
    0.5,
)  # lines that can tell; the share of them that is full, and that ends a sentence at most
_ENDS = tuple('.!?。！？…"”»')


def running(file: DataFile) -> str:
    """ "long" (few very long lines), "wrapped" (lines that all break at one width), "" for lines that stand by themselves.

    Raises DataFileRefused.
    """
    if file.parallel or file.kind != "text":
        return ""
    texts = [line.source for line in islice(file, _LOOKED_AT) if line.source]
    if not texts:
        return ""
    if sum(map(len, texts)) / len(texts) > _LONG:
        return "long"
    longest = max(map(len, texts))
    if len(texts) < _FEWEST or longest > _WIDEST or longest < 2 * _RAGGED:
        return ""
    full = [text for text in texts if len(text) >= longest - _RAGGED]
    ended = sum(text.endswith(_ENDS) for text in full)
    return "wrapped" if len(full) >= _FULL * len(texts) and ended <= _ENDED * len(full) else ""
