"""What measures are called. Each has a short name and one sentence; where a page has words of its own for one, they are said."""

from __future__ import annotations

from model.measures.registry import BY_COLUMN, BY_NAME
from viz.ui.language import known, say


def short_name(column: str) -> str:
    """Of a column of the table."""
    return say(f"measures.m_{column}")


def about(column: str) -> str:
    """One sentence."""
    return say(f"measures.h_{column}")


def of_role(role: str, share: float) -> str:
    """A head's role with the share of its attention that earns it."""
    return say("measures.role_share", measure=short_name(BY_NAME[role].column), share=f"{share:.2f}")


def of_order(order: str) -> str:
    """By what the Atlas orders heads: a measure, "layer" or "like"."""
    return say(f"atlas.by_{order}") if known(f"atlas.by_{order}") else short_name(BY_NAME[order].column)


def on_card(name: str) -> str:
    """On the card of a head in the Atlas."""
    return say(f"atlas.m_{name}") if known(f"atlas.m_{name}") else short_name(BY_NAME[name].column)


def what_is_ordered(name: str) -> str:
    """What the number under each head of the Atlas is."""
    return say(f"atlas.what_{name}") if known(f"atlas.what_{name}") else about(BY_NAME[name].column)


def of_role_group(role: str, n: int) -> str:
    """The title of the heads with a role in the Atlas; "none" of those without."""
    if known(f"atlas.role_{role}"):
        return say(f"atlas.role_{role}", n=n)
    return say("atlas.role_other", measure=short_name(BY_NAME[role].column), n=n)


def in_profile(column: str) -> str:
    """Of a profile's column; one that this Headlight does not know keeps its own name."""
    if known(f"corpus.by_{column}"):
        return say(f"corpus.by_{column}")
    return short_name(column) if column in BY_COLUMN else column


def about_in_profile(column: str) -> str:
    """One sentence, "" for a column that is not known."""
    if known(f"corpus.about_{column}"):
        return say(f"corpus.about_{column}")
    return about(column) if column in BY_COLUMN else ""


def unit_in_profile(column: str) -> str:
    """ "" for a share, a plain number, and a column that is not known."""
    unit = BY_COLUMN[column].unit if column in BY_COLUMN else ""
    return say(f"corpus.{unit}") if unit else ""
