"""Find a Chromium for the browser tests, or get one. Nothing is skipped where there is none: it is said how to get it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

VARIABLE = "HEADLIGHT_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FONT = "fonts-noto-cjk"
HELP = f"""No Chromium was found, and none could be installed. The browser tests need one:
  Debian, Ubuntu   sudo apt-get install chromium {FONT}
  elsewhere        {Path(sys.executable).name} -m playwright install --with-deps chromium
  your own         {VARIABLE}=/path/to/chromium {Path(sys.executable).name} -m tests"""
FONT_NOTE = f"No Chinese font was found: 中文 is drawn as boxes. On Debian: sudo apt-get install {FONT}"


def playwrights_own() -> str | None:
    """The browser that `playwright install chromium` brings, where it is there."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


def find() -> str | None:
    """The environment variable, then PATH, then Playwright's own. A variable that names nothing is an error."""
    if told := os.environ.get(VARIABLE):
        found = shutil.which(told)
        if found is None:
            raise SystemExit(f"{VARIABLE} is {told!r}, but there is no such program.")
        return found
    return next(filter(None, map(shutil.which, NAMES)), None) or playwrights_own()


def can_apt() -> bool:
    """Whether packages of Debian or Ubuntu can be installed: apt-get, and root."""
    return shutil.which("apt-get") is not None and getattr(os, "geteuid", lambda: 1)() == 0


def has_chinese_font() -> bool:
    """Asks fontconfig; where there is none outside Linux, the system brings its own fonts."""
    if shutil.which("fc-list") is None:
        return not sys.platform.startswith("linux")
    listed = subprocess.run(["fc-list", ":lang=zh", "family"], capture_output=True, text=True, check=False)
    return bool(listed.stdout.strip())


def _succeeds(*command: str) -> bool:
    print("$", " ".join(command), flush=True)
    try:
        return subprocess.run(command, check=False).returncode == 0
    except OSError as error:
        print(error)
        return False


def apt_install(*packages: str) -> bool:
    """The package lists first: a fresh image has none."""
    return _succeeds("apt-get", "update") and _succeeds("apt-get", "install", "-y", *packages)


def get() -> str | None:
    """Install a Chromium: from Debian as root, else Playwright's. None where neither comes."""
    if can_apt() and apt_install("chromium", FONT) and (found := find()):
        return found
    if _succeeds(sys.executable, "-m", "playwright", "install", "chromium"):
        return find()
    return None


def ensure_font() -> None:
    """中文 in the screenshots and measurements; a missing font is a remark, not a failure."""
    if has_chinese_font() or (can_apt() and apt_install(FONT)):
        return
    print(FONT_NOTE)
