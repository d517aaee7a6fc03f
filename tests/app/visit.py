"""One person's visit: a page through app.py, its controls by name, and what its figures were given, decoded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from streamlit.testing.v1 import AppTest

from viz.base.payload import unpack
from viz.ui import navigation
from viz.ui.language import catalogue
from viz.ui.state.view import View

APP = Path(__file__).parents[2] / "app.py"
PAGES = {stem: f"pages/{section}/{stem}.py" for section, stems in navigation.SECTIONS.items() for stem in stems}


class Visit:
    """A session; keyword arguments are the link's values. straight: the link leads to the page, not over the first one."""

    def __init__(self, page: str = "overview", locale: str = "en-US", straight: bool = False, **link: object):
        self.at = AppTest.from_file(str(APP), default_timeout=60)
        self.at.context["locale"] = locale
        self.at.query_params.update({name: str(value) for name, value in link.items()})
        self._follow_the_link()
        if straight:
            self.at.switch_page(PAGES[page])
        self.at.run()
        if page != "overview" and not straight:
            self.go(page)

    def _follow_the_link(self) -> None:
        """What the app writes into the address bar is what its next run is asked with, as in a browser."""
        run = self.at._run

        def followed(*args: object, **options: object) -> AppTest:
            done = run(*args, **options)
            told = [element for element in self.at.get("bidi_component") if element.key == "address"]
            if told:
                self.at.query_params = dict(parse_qsl(json.loads(told[0].proto.json)["query"]))
            return done

        self.at._run = followed

    def go(self, page: str) -> Visit:
        """By the menu, which leads to a page without a link."""
        self.at.query_params.clear()
        self.at.switch_page(PAGES[page]).run()
        return self

    @property
    def language(self) -> str:
        return self.at.session_state["language"]

    @property
    def view(self) -> View:
        return self.at.session_state["view"]

    @property
    def link(self) -> dict[str, str]:
        return dict(self.at.query_params)

    def say(self, key: str, **values: object) -> str:
        return catalogue(self.language)[key].format(**values)

    def set(self, name: str, value: object) -> Visit:
        """Set the control `name`, whose key carries the language, and run; fails where there is not exactly one."""
        key = f"{name}-{self.language}"
        found = [
            widget
            for kind in ("selectbox", "text_input", "segmented_control")
            for widget in self.at.get("button_group" if kind == "segmented_control" else kind)
            if (widget.key or "").split("@")[0] in (key, name)
        ]
        assert len(found) == 1, f"{len(found)} controls are called {name}"
        found[0].set_value(value)
        self.at.run()
        return self

    def click(self, key: str) -> Visit:
        self.at.button(key=key).click()
        self.at.run()
        return self

    def figures(self) -> list[str]:
        """The keys of the canvases; the address bar is none."""
        keys = [element.key for element in self.at.get("bidi_component")]
        return [key for key in keys if not key.startswith("address")]

    def figure(self, key: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """(header, arrays) of a canvas component, as the browser receives them."""
        (element,) = [element for element in self.at.get("bidi_component") if element.key == key]
        return unpack(element.proto.bytes)

    def sound(self) -> Visit:
        """No exception, no error and no warning is on the page."""
        said = [e.value for kind in (self.at.exception, self.at.error, self.at.warning) for e in kind]
        assert not said, said
        return self

    def complaint(self) -> str:
        """The one sentence that the page complains with; there is never an exception behind it."""
        assert not self.at.exception, self.at.exception[0].value
        (said,) = [e.value for kind in (self.at.error, self.at.warning) for e in kind]
        return re.sub(r"\\([^A-Za-z0-9])", r"\1", said)  # as it is read: what was typed is escaped for Markdown
