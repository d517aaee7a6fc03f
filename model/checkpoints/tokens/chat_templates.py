"""Chat templates, which are programs of their authors: simple ones are run here, any other in a process that can be ended.

A template can loop without end or write gigabytes from a line. Simple is one whose work is linear in the turns, told by its
syntax: one loop deep, no products, powers or formats, no macros, no function but those that cut or compare texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from model.errors import ChatTemplateFailed
from model.jobs import child

LONGEST = 1_000_000  # characters of a chat
_RENDER = """
from transformers.utils.chat_template_utils import render_jinja_template

def make(given):
    rendered, _ = render_jinja_template(
        conversations=[given["turns"]], chat_template=given["template"], add_generation_prompt=given["add"], **given["special"]
    )
    if len(rendered[0]) > given["most"]:
        raise ValueError("it writes more than %d characters" % given["most"])
    return rendered[0]
"""
_METHODS = {"strip", "lstrip", "rstrip", "startswith", "endswith", "lower", "upper", "title", "get", "items"}
_FUNCTIONS = {"raise_exception", "namespace", "strftime_now"}
_FILTERS = {
    "trim",
    "tojson",
    "length",
    "string",
    "lower",
    "upper",
    "first",
    "last",
    "default",
    "list",
    "safe",
    "capitalize",
}
_MOST_SUMS = 8  # assignments that put texts together: each could double what the one before made


def render(tokenizer: Any, turns: list[dict[str, str]], add_generation_prompt: bool) -> str:
    """The turns as the template writes them, the library's own rendering. Raises ChatTemplateFailed, Stopped."""
    try:
        template = tokenizer.get_chat_template()
        if not isinstance(template, str) or simple(template):
            whole = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=add_generation_prompt)
        else:
            special = dict(tokenizer.special_tokens_map)
            given = {
                "template": template,
                "turns": turns,
                "add": add_generation_prompt,
                "special": special,
                "most": LONGEST,
            }
            whole = _elsewhere(json.dumps(given, default=str, sort_keys=True))
    except child.Gave as error:
        reason = str(error) or "it takes more than 3 seconds or 1 GB"
        raise ChatTemplateFailed(reason=reason.rstrip(".")) from error
    if len(whole) > LONGEST:
        raise ChatTemplateFailed(reason=f"it writes more than {LONGEST:,} characters")
    return whole


@lru_cache(maxsize=32)
def _elsewhere(given: str) -> str:
    return child.run(_RENDER, json.loads(given))


@lru_cache(maxsize=64)
def simple(template: str) -> bool:
    """Whether the template's work is linear in what it is given, as far as its syntax tells."""
    import jinja2
    from jinja2 import nodes

    try:
        tree = jinja2.Environment(extensions=["jinja2.ext.loopcontrols"]).parse(template)
    except (jinja2.TemplateError, RecursionError):  # tags of the library's own among them
        return False
    sums, made = 0, {getattr(each.target, "name", "") for each in tree.find_all(nodes.Assign)}
    for node, loops in _walk(tree, 0):
        if isinstance(node, nodes.Mul | nodes.Pow | nodes.Mod | nodes.Macro | nodes.CallBlock | nodes.FilterBlock | nodes.Include
                      | nodes.Import | nodes.FromImport | nodes.Extends | nodes.AssignBlock):  # fmt: skip
            return False
        if isinstance(node, nodes.For) and (
            loops or node.recursive or not isinstance(node.iter, nodes.Name | nodes.Getitem)
        ):
            return False
        if isinstance(node, nodes.Filter) and (node.name not in _FILTERS or node.kwargs or len(node.args) > 1):
            return False
        if isinstance(node, nodes.Call) and not _is_known(node):
            return False
        if isinstance(node, nodes.Assign) and any(
            isinstance(part, nodes.Add | nodes.Concat) for part, _ in _walk(node.node, 0)
        ):
            sums += 1
            names = [part.name for part, _ in _walk(node.node, 0) if isinstance(part, nodes.Name) and part.name in made]
            # A namespace lives on from turn to turn, so that what is put together there may double with each.
            if (isinstance(node.target, nodes.NSRef) and loops) or len(names) != len(set(names)):
                return False
    return sums <= _MOST_SUMS


def _walk(node: Any, loops: int) -> Iterator[tuple[Any, int]]:
    """Every node, and in how many loops it stands."""
    yield node, loops
    inside = loops + (type(node).__name__ == "For")
    for each in node.iter_child_nodes():
        yield from _walk(each, inside)


def _is_known(call: Any) -> bool:
    """Whether a call is one of a function or a method that makes nothing larger than it is given."""
    called = call.node
    return getattr(called, "name", None) in _FUNCTIONS or getattr(called, "attr", None) in _METHODS
