"""The command `headlight` of an installed application: it opens the app, or does what `python -m model` does.

Installed, app.py and the folders beside it lie in one folder, `headlight/` in site-packages, because other packages may
be called `model` or `viz` too. Imports are absolute, so Python has to look in that folder first, as it looks in the
current one under `streamlit run app.py` and `python -m model`. Nothing of Headlight is imported before that is so.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

HOME = Path(__file__).parents[2]  # where app.py lies
_USAGE = "headlight [options of streamlit run] | headlight record|heads|profile|families|train …"


def main() -> int:
    """Open the app in the browser, or run one command of `python -m model`; the exit status."""
    sys.path.insert(0, str(HOME))
    words = sys.argv[1:]
    if words and not words[0].startswith("-"):
        return _run(words)
    return _open(words)


def _run(words: list[str]) -> int:
    from model.__main__ import main as run

    # Ray's workers are processes of their own and have to find Headlight as well.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(HOME), os.environ.get("PYTHONPATH"))))
    return run(words, prog="headlight")


def give_home() -> None:
    """Streamlit does not start for a user without a home folder: such a one, a container's say, is told a place that is not
    there, so that whatever would be written to it says so."""
    if os.path.expanduser("~") == "~":
        os.environ["HOME"] = os.path.join(os.sep, "nonexistent")


def _open(words: list[str]) -> int:
    give_home()
    from model import __version__
    from model.__main__ import escape_unprintable

    escape_unprintable()
    parser = argparse.ArgumentParser(
        prog="headlight", usage=_USAGE, description="See what every attention head really does.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"headlight {__version__}")
    _, options = parser.parse_known_args(words)
    from streamlit.web import cli

    return cli.main(["run", str(HOME / "app.py"), *options], prog_name="streamlit")


if __name__ == "__main__":
    raise SystemExit(main())
