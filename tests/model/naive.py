"""The whole Transformer a second time, in NumPy float64 and straight from the papers: the yardstick of the tests.

Nothing here calls `model`. Results carry the names that a `Trace` gives them, so the two are compared name by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Array = np.ndarray


def layer_norm(x: Array, gamma: Array, beta: Array, epsilon: float = 1e-5) -> Array:
    mean = x.mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + epsilon) * gamma + beta


def softmax(scores: Array) -> Array:
    """Row by row; a row of −∞ gives zeros."""
    out = np.zeros_like(scores)
    for index in np.ndindex(scores.shape[:-1]):
        row = scores[index]
        if np.isfinite(row).any():
            powers = np.exp(row - row[np.isfinite(row)].max())
            out[index] = powers / powers.sum()
    return out


def sinusoid(length: int, d: int) -> Array:
    table = np.zeros((length, d))
    for k in range(length):
        for column in range(d):
            angle = k / 10000 ** ((column - column % 2) / d)
            table[k, column] = math.cos(angle) if column % 2 else math.sin(angle)
    return table


def rotate(x: Array) -> Array:
    """[h, n, d_k]: neighbouring pairs as complex numbers, each multiplied by e^(i · position · θ)."""
    d_k = x.shape[-1]
    theta = np.array([10000 ** (-2 * pair / d_k) for pair in range(d_k // 2)])
    turned = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * np.arange(x.shape[1])[:, None] * theta)
    return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)


def slopes(heads: int) -> list[float]:
    """The rule as ALiBi's authors publish it: recursive, with every other slope of the next power of two."""
    if math.log2(heads).is_integer():
        start = 2 ** (-(2 ** -(math.log2(heads) - 3)))
        return [start * start**i for i in range(heads)]
    below = 2 ** math.floor(math.log2(heads))
    return slopes(below) + slopes(2 * below)[0::2][: heads - below]


def shaw(q: Array, k: Array, v: Array, a_k: Array, a_v: Array, allowed: Array) -> tuple[Array, Array, Array]:
    """Equations 3 and 4 of Shaw et al., one pair at a time, for one head: (scores, weights, context)."""
    distance = (a_k.shape[0] - 1) // 2
    scores = np.full((q.shape[0], k.shape[0]), -np.inf)
    for i in range(q.shape[0]):
        for j in range(k.shape[0]):
            if allowed[i, j]:
                offset = max(-distance, min(distance, j - i)) + distance
                scores[i, j] = q[i] @ (k[j] + a_k[offset]) / math.sqrt(q.shape[1])
    weights = softmax(scores)
    return scores, weights, shaw_context(weights, v, a_v)


def shaw_context(weights: Array, v: Array, a_v: Array) -> Array:
    distance, context = (a_v.shape[0] - 1) // 2, np.zeros((weights.shape[0], v.shape[1]))
    for i in range(weights.shape[0]):
        for j in range(v.shape[0]):
            context[i] += weights[i, j] * (v[j] + a_v[max(-distance, min(distance, j - i)) + distance])
    return context


class Run:
    """One forward pass of one example, of any of the three shapes; `got[name]` holds every quantity."""

    def __init__(self, state: dict, config: dict, source: list[int] | None, target: list[int] | None):
        self.p = {name: tensor.detach().double().numpy() for name, tensor in state.items()}
        self.c, self.got = config, {}
        final = memory = None
        if source is not None:
            padding = np.array(source) != config["pad_id"]
            final = memory = self.stack("encoder", source, {"self": np.tile(padding, (len(source), 1))}, None)
        if target is not None:
            m = len(target)
            causal = np.tril(np.ones((m, m), bool)) & (np.array(target) != config["pad_id"])
            crosses = {} if source is None else {"cross": np.tile(padding, (m, 1))}
            final = self.stack("decoder", target, {"self": causal} | crosses, memory)
        self.got["logits"] = self.linear("project", final)

    def change_weights(self, at: str, head: int, weights: Array, allowed: Array) -> Array:
        """What an edited run puts in their place; a plain one nothing."""
        return weights

    def change_context(self, at: str, head: int, context: Array) -> Array:
        return context

    def change(self, name: str, x: Array) -> Array:
        return x

    def linear(self, name: str, x: Array) -> Array:
        return x @ self.p[f"{name}.weight"].T + self.p[f"{name}.bias"]

    def embed(self, side: str, ids: list[int]) -> Array:
        stack = "encoder" if side == "source" else "decoder"
        x = self.p[f"{side}.tokens.weight"][ids] * math.sqrt(self.c["d_model"])
        self.got[f"{stack}.embedding"] = x
        added = None
        if self.c["positions"] == "sinusoidal":
            added = sinusoid(len(ids), self.c["d_model"])
        if self.c["positions"] == "learned":
            added = self.p[f"{side}.positions.table"][: len(ids)]
        if added is not None:
            self.got[f"{stack}.positions"] = added
            x = x + added
        self.got[f"{stack}.input"] = x = self.change(f"{stack}.input", x)
        return x

    def stack(self, name: str, ids: list[int], allowed: dict[str, Array], memory: Array | None) -> Array:
        x = self.embed("source" if name == "encoder" else "target", ids)
        for layer in range(self.c[f"{name}_layers"]):
            for kind in allowed:
                at = f"{name}.{layer}.{kind}"
                x = self.around(at, x, lambda y, at=at, kind=kind: self.attention(
                    at, y, memory if kind == "cross" else y, allowed[kind], kind == "self"))  # fmt: skip
            if self.c["d_ff"] == 0:
                continue
            x = self.around(f"{name}.{layer}.ffn", x, lambda y, at=f"{name}.{layer}.ffn": self.ffn(at, y))
        if self.c["norm"] == "pre":
            x = layer_norm(x, self.p[f"{name}_norm.gamma"], self.p[f"{name}_norm.beta"])
        self.got[f"{name}.output"] = x
        return x

    def around(self, at: str, x: Array, sublayer: Callable[[Array], Array]) -> Array:
        gamma, beta = (self.p[f"{at}_add.layer_norm.{part}"] for part in ("gamma", "beta"))
        if self.c["norm"] == "pre":
            self.got[f"{at}.norm"] = layer_norm(x, gamma, beta)
            self.got[f"{at}.residual"] = self.change(f"{at}.residual", x + sublayer(self.got[f"{at}.norm"]))
            return self.got[f"{at}.residual"]
        self.got[f"{at}.residual"] = x + sublayer(x)
        self.got[f"{at}.norm"] = self.change(f"{at}.norm", layer_norm(self.got[f"{at}.residual"], gamma, beta))
        return self.got[f"{at}.norm"]

    def ffn(self, at: str, x: Array) -> Array:
        self.got[f"{at}.pre"] = self.linear(f"{at}.W_1", x)
        self.got[f"{at}.post"] = self.change(f"{at}.post", np.maximum(self.got[f"{at}.pre"], 0))
        self.got[f"{at}.output"] = self.change(f"{at}.output", self.linear(f"{at}.W_2", self.got[f"{at}.post"]))
        return self.got[f"{at}.output"]

    def attention(self, at: str, x: Array, y: Array, allowed: Array, own: bool) -> Array:
        """`own` is True in self-attention, the only place where relative, rotary and ALiBi positions act."""
        module, heads = f"{at}_attention", self.c["heads"]
        d_k, positions = self.c["d_model"] // heads, self.c["positions"] if own else "none"
        q, k, v = (
            self.linear(f"{module}.W_{letter}", stream).reshape(-1, heads, d_k).transpose(1, 0, 2)
            for letter, stream in (("Q", x), ("K", y), ("V", y))
        )
        if positions == "rotary":
            q, k = rotate(q), rotate(k)
        results = []
        for h in range(heads):
            if positions == "relative":
                tables = [self.p[f"{module}.relative.{part}"] for part in ("keys", "values")]
                scores, weights, _ = shaw(q[h], k[h], v[h], *tables, allowed)
                weights = self.change_weights(at, h, weights, allowed)
                results.append((scores, weights, self.change_context(at, h, shaw_context(weights, v[h], tables[1]))))
                continue
            scores = q[h] @ k[h].T / math.sqrt(d_k)
            if positions == "alibi":
                i, j = np.indices(scores.shape)
                scores = scores - slopes(heads)[h] * abs(i - j)
            scores = np.where(allowed, scores, -np.inf)
            weights = self.change_weights(at, h, softmax(scores), allowed)
            results.append((scores, weights, self.change_context(at, h, weights @ v[h])))
        scores, weights, context = (np.stack(part) for part in zip(*results, strict=True))
        output = self.linear(f"{module}.W_O", context.transpose(1, 0, 2).reshape(len(x), -1))
        names = ("q", "k", "v", "scores", "weights", "context", "output")
        values = (q, k, v, scores, weights, context, output)
        self.got |= {f"{at}.{name}": value for name, value in zip(names, values, strict=True)}
        return output
