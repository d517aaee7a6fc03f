"""Every attribution method, collected from the files of `model/attribution/methods/`: each `METHOD` there is one."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from model.attribution.method import Method

_FOLDER = "model.attribution.methods"
_ORDER = ("value_norm", "contribution", "knockout", "gradient_attention", "value_zeroing", "rollout", "flow", "gradient_input",
          "integrated_gradients")  # fmt: skip


def _collected() -> dict[str, Method]:
    found = {
        file.name: import_module(f"{_FOLDER}.{file.name}").METHOD
        for file in pkgutil.iter_modules(import_module(_FOLDER).__path__)
    }
    names = {method.name: method for method in found.values()}
    return {name: names[name] for name in sorted(names, key=lambda name: (*_ORDER, name).index(name))}


METHODS = _collected()
