"""Byte counts as text, in KiB, MiB and GiB."""

from __future__ import annotations

_DECIMAL = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_BINARY = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def size(count: int | float, binary: bool = False) -> str:
    """Three significant digits and a unit: 4.2 MB, 512 B.

    binary: in powers of 1024, as memory is counted: 1.5 KiB. Files and parameters are counted in powers of 1000.
    """
    for unit, bytes_each in _BINARY if binary else _DECIMAL:
        if count >= bytes_each:
            # Through float: 1023 KiB has four digits and is not to be read as 1.02e+03.
            return f"{float(f'{count / bytes_each:.3g}'):g} {unit}"
    return f"{count:.0f} B"
