"""Which fonts saved pictures are measured and drawn with here."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

FILE = "FONTCONFIG_FILE"
_LARGE = 2**22  # bytes; a collection for Chinese, Japanese and Korean has 20 MB
_SAMPLE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text y="9">a</text></svg>'


@cache
def without_large_ones() -> None:
    """The renderer of saved pictures reads the file of a font anew for each text, 2 ms of a Chinese one: two thirds of what a
    map takes. It looks for fonts once in a process, which is here; browsers and servers that are started find them all.
    """
    import vl_convert

    if FILE in os.environ or not (folders := _folders()):
        return
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "fonts.conf"
        config.write_text(
            f"<fontconfig>{''.join(f'<dir>{path}</dir>' for path in folders)}</fontconfig>", encoding="utf-8"
        )
        os.environ[FILE] = str(config)
        try:
            vl_convert.svg_to_png(_SAMPLE)
        finally:
            del os.environ[FILE]


def _folders() -> list[Path]:
    """The folders of fonts that hold no large one; none where fontconfig is not installed."""
    if shutil.which("fc-list") is None:
        return []
    told = subprocess.run(["fc-list", "--format", "%{file}\n"], capture_output=True, text=True, check=True)
    files = {Path(line) for line in told.stdout.splitlines() if line}
    large = {file.parent for file in files if file.stat().st_size > _LARGE}
    return sorted({file.parent for file in files} - large)
