"""What the languages of a profile are called; one that this Headlight does not know keeps its own name."""

from __future__ import annotations

from viz.ui import language
from viz.ui.language import known, say


def language_name(code: str) -> str:
    return say(f"language.{code}") if known(f"language.{code}") else language.plain(code)
