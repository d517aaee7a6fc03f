"""What the measures and languages of a profile are called; what this Headlight does not know keeps its own name."""

from __future__ import annotations

from viz.ui import language
from viz.ui.language import say


def _known(key: str) -> bool:
    return key in language.catalogue(language.current())


def measure_name(measure: str) -> str:
    return say(f"corpus.by_{measure}") if _known(f"corpus.by_{measure}") else measure


def measure_about(measure: str) -> str:
    """One sentence on what the measure is, "" for one that is not known."""
    return say(f"corpus.about_{measure}") if _known(f"corpus.about_{measure}") else ""


def unit(measure: str) -> str:
    return say("corpus.nats") if measure == "entropy" else say("corpus.tokens") if measure.endswith("distance") else ""


def language_name(code: str) -> str:
    return say(f"language.{code}") if _known(f"language.{code}") else language.plain(code)
