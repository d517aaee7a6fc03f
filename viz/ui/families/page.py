"""The page of families: who descends from whom, what each is made of, and a small one of each to open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from model.checkpoints.disk.shipped import is_small
from model.families import CARDS, block_parameters, related
from viz.base import export
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import model_list, random_model_offer, view
from viz.ui.theme import theme

if TYPE_CHECKING:
    from model.families import FamilyCard

_MOST = 3  # models of a family on this computer that are offered beside the small one
# The kinds that the cards name, so that each has its word.
_KINDS = {
    "stacks": ("both", "encoder", "decoder"),
    "positions": ("sinusoidal", "learned", "relative_xl", "relative_bias"),
    "norm": ("post", "pre", "pre_rms"),
    "mask": ("none", "causal", "causal_decoder", "permutation", "causal_sparse"),
    "objective": ("translation", "next", "masked_pairs", "masked_languages", "masked_dynamic", "permutation", "infilling",
                  "spans"),
}  # fmt: skip
_COLUMNS = ("family", "year", "stacks", "positions", "norm", "activation", "mask", "objective", "original", "layers",
            "vocabulary", "parameters", "source")  # fmt: skip


def show() -> None:
    """The tree, the cards with their buttons, the table."""
    random_model_offer.make_asked()
    _tree()
    _cards()
    _table()


def _words() -> dict[str, str]:
    kinds = {f"{kind}_{name}": say(f"families.{kind}_{name}") for kind, names in _KINDS.items() for name in names}
    return kinds | {name: say(f"families.column_{name}") for name in _COLUMNS}


def _tree() -> None:
    from viz import family_tree
    from viz.base import svg

    words = {stacks: say(f"families.stacks_{stacks}") for stacks in family_tree.COLOURS} | {
        "alt": say("families.tree_alt")
    }
    picture = family_tree.tree(CARDS, words)
    st.html(svg.image(picture, theme()))
    figure_footer.draw("families-tree", say("families.tree"), None, dict, lambda: picture)


def _cards() -> None:
    page_text.heading("families.open_name")
    with st.container(key="families-list"):
        for card in CARDS:
            _card(card)


def _card(card: FamilyCard) -> None:
    """What a family changed, its sizes, and what can be opened of it."""
    from viz.family_tree import amount

    left, right = st.columns([7, 3], vertical_alignment="center")
    layers = f"{card.layers} + {card.layers}" if card.stacks == "both" else str(card.layers)
    sizes = say("families.sizes", original=card.original, layers=layers, d=f"{card.d_model:,}", heads=card.heads,
                d_ff=f"{card.d_ff:,}", parameters=amount(card.counted))  # fmt: skip
    left.markdown(f"**{card.title}** · {card.year}  \n{say(f'families.changed_{card.key}')}")
    left.caption(f"{sizes}  \n{card.paper}, {card.source}")
    with right:
        if card.trained in model_list.found():
            _button(card.trained, f"families-trained-{card.key}")
        if card.small:
            random_model_offer.offer(
                card.small,
                f"families-open-{card.key}",
                random_model_offer.open_first,
                width="stretch",
                type="tertiary" if card.trained in model_list.found() else "secondary",
            )
        for name in _at_hand(card):
            _button(name, f"families-have-{card.key}-{name}")


def _at_hand(card: FamilyCard) -> list[str]:
    """Names of the models on this computer that are of this family or descend from it, trained ones, the nearest first.

    Ours belong where their shape does: two stacks to the Transformer, a decoder alone to GPT, an encoder alone to BERT.
    """
    kinds = related(card.key)
    here = [
        entry for entry in model_list.found().values()
        if entry.kind != "trace" and entry.name != card.trained and not is_small(entry.name)
    ]  # fmt: skip
    ours = [entry.name for entry in here if model_list.is_ours(entry.name) and _shape(entry.name) == card.key]
    found = sorted((entry for entry in here if entry.family in kinds), key=lambda entry: kinds.index(entry.family))
    others = [entry.name for entry in found]
    return ([*ours, *others] if card.key == "transformer" else [*others, *ours])[:_MOST]


def _shape(name: str) -> str:
    return {"causal": "gpt", "masked": "bert"}.get(model_list.task(name), "transformer")


def _button(name: str, key: str) -> None:
    now = view.current().model == name
    title = language.plain(model_list.title(name))
    st.button(say("models.shown") if now else say("families.open_found", title=title), key=key, on_click=_choose,
              args=(name,), disabled=now, width="stretch")  # fmt: skip


def _choose(name: str) -> None:
    view.change(model=name)
    st.session_state.go_to = "overview"


def _table() -> None:
    from viz import family_tree

    page_text.heading("families.table_title", what="")
    table = family_tree.table(CARDS, _words())
    st.dataframe(table, hide_index=True, height="content",
                 column_config={say("families.column_year"): st.column_config.NumberColumn(format="%d")})  # fmt: skip
    figure_footer.draw("families-table", say("families.table"), None,
              lambda: {"headlight-families.csv": lambda: export.table_csv(table)},
              code=(block_parameters,))  # fmt: skip
