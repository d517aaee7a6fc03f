"""The frame around every page: the navigation registry, the page's settings and style, and jumps between pages."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import streamlit as st

from viz.ui import language
from viz.ui.language import say
from viz.ui.theme import theme

_HERE = Path(__file__).parent
_PAGES = Path(__file__).parents[2] / "pages"


def _in_order() -> dict[str, tuple[str, ...]]:
    """Section -> file stems, both in the order of their names in the catalogue: a new page is its file and its words."""
    folders = {path.stem: path.parent.name for path in _PAGES.glob("*/*.py")}
    names = [key.partition(".")[::2] for key in language.catalogue("en")]
    found = {section: () for first, section in names if first == "section"}
    for stem, what in names:
        if what == "name" and stem in folders:
            found[folders[stem]] += (stem,)
    return found


# Section -> file stems; a stem is the page's URL and its name in the catalogue.
SECTIONS = _in_order()


def _page(section: str, stem: str) -> st.Page:
    # No icon: Streamlit makes a page's icon its favicon and fetches that one from a font host.
    return st.Page(f"pages/{section}/{stem}.py", title=say(f"{stem}.name"), default=stem == "overview", url_path=stem)


def sections() -> dict[str, list[st.Page]]:
    """What st.navigation takes; titles follow the language."""
    return {say(f"section.{section}"): [_page(section, stem) for stem in stems] for section, stems in SECTIONS.items()}


def configure(page: st.Page) -> None:
    st.set_page_config(page_title=f"{page.title} · Headlight", page_icon=str(_HERE / "assets/icon.svg"), layout="wide")
    if find_spec("PIL") is not None:  # without it Streamlit shows no picture of a file
        st.logo(str(_HERE / f"assets/logo-{theme()}.svg"), size="large", icon_image=str(_HERE / "assets/icon.svg"))
    st.html(_HERE / "style.css")  # a .css file is wrapped in <style>
    if language.current() == "zh":
        st.html(_HERE / "style-zh.css")


def follow() -> None:
    """Go where a click pointed, before the page that is left is drawn once more.

    The address stays what it is until the new page writes its own: another would be one more step of Back.
    """
    target = st.session_state.pop("go_to", None)
    for section, stems in SECTIONS.items():
        if target in stems:
            st.session_state.acted = True  # what was pressed counts on the next page too, not the address
            st.switch_page(f"pages/{section}/{target}.py", query_params=st.session_state.get("written_link"))


def link(stem: str, label: str) -> None:
    """A door to another page; the selection goes along because it lives in the session."""
    section = next(name for name, stems in SECTIONS.items() if stem in stems)
    st.page_link(f"pages/{section}/{stem}.py", label=f"{label} →")
