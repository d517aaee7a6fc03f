"""ANNalog, a third-party encoder–decoder from molecule to molecule (SMILES), opened through `instrument`.

Its package brings the module's own definition, weights of torch.save and a vocabulary; of its code only the file that
defines the module is imported, by path, and only here: the rest of the package needs a chemistry toolkit.
Source: Dai et al. 2025, ANNalog (MIT); the module is that of Trevett's sequence-to-sequence tutorial.
"""

from __future__ import annotations

import hashlib
import importlib.util
import pickletools
import re
import sys
import threading
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from model.checkpoints.convert.raw_tensors import torch_weights
from model.checkpoints.disk.packages import PACKAGES
from model.errors import DamagedPackage, EmptyText, TextTooLong, UnknownWords
from model.instrumentation.instrument import Instrumented, instrument
from model.text.truncation import Start, longest_start
from model.trace.trace import Trace, TraceKey

PACKAGE = next(package for package in PACKAGES if package.name == "annalog")
_WEIGHTS, _VOCABULARY = "ckpt_and_vocab/Lev_extended.pt", "ckpt_and_vocab/stereo_experiment_vocab_ttf.pkl"
_UNKNOWN, _PAD, _START, _END = "<unk>", "<pad>", "<sos>", "<eos>"
_HEADS = 8  # the one number that the weights do not tell
# Bracket atoms, ring closures of two digits and two-letter halogens are one token, all else is one a character.
_PIECES = re.compile(r"\[[^\]]*\]|%\d{2}|Br|Cl|.", re.DOTALL)


class Smiles:
    """The package's tokenizer as data: a list of tokens and one regular expression."""

    all_special_tokens = (_UNKNOWN, _PAD, _START, _END)

    def __init__(self, words: list[str]):
        self._words = words
        self._ids = {word: i for i, word in enumerate(words)}

    def __len__(self) -> int:
        return len(self._words)

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [self._words[i] for i in ids]

    def encode(self, text: str, side: str = "source") -> list[int]:
        """<sos> pieces <eos>. Raises EmptyText or UnknownWords."""
        pieces = _PIECES.findall("".join(text.split()))
        if not pieces:
            raise EmptyText()
        unknown = [(piece, []) for piece in dict.fromkeys(pieces) if piece not in self._ids]
        if unknown:
            raise UnknownWords(unknown, side)
        return [self._ids[word] for word in (_START, *pieces, _END)]

    def start(self, text: str, room: int) -> Start | None:
        """The longest start of `text` that has at most `room` tokens with both its ends."""
        ends = [piece.end() for piece in _PIECES.finditer(text) if not piece[0].isspace()]
        return longest_start(text, ends, lambda part: bisect_right(ends, len(part)) + 2, room)

    def id(self, word: str) -> int:
        return self._ids[word]


@dataclass(frozen=True, eq=False)
class Annalog:
    """The opened model: `trace` records one run of it."""

    name: str
    module: nn.Module
    tokenizer: Smiles
    instrumented: Instrumented
    weights_hash: str
    card: dict[str, object]
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def max_length(self) -> int:
        return self.module.encoder.pos_embedding.num_embeddings

    @property
    def examples(self) -> list[str]:
        return list(PACKAGE.examples)

    def trace(self, text: str, target: str | None = None) -> Trace:
        """Run the SMILES `text` and record it; the output is written greedily unless `target` forces it.

        Raises EmptyText, UnknownWords or TextTooLong.
        """
        target = target if target is not None and target.strip() else None
        source = torch.tensor([self._checked(self.tokenizer.encode(text))])
        with self.lock, torch.no_grad():
            written, finished = self._written(source[0], target)
            trace = self.instrumented.trace(source, torch.tensor([written]))
        facts = dict(trace.facts) | {"generated": target is None, "finished": finished, "norm": "post"}
        facts["written"] = [*facts["written"][:-1], _END] if finished else facts["written"]
        return replace(trace, key=TraceKey(self.name, self.weights_hash, text, target), facts=facts)

    def _checked(self, ids: list[int]) -> list[int]:
        if len(ids) > self.max_length:
            raise TextTooLong(got=len(ids), allowed=self.max_length)
        return ids

    def _written(self, source: Tensor, target: str | None) -> tuple[list[int], bool]:
        """Decoder ids that begin with <sos>, and whether <eos> follows them."""
        if target is not None:
            return self._checked(self.tokenizer.encode(target, "target"))[:-1], True
        ids, end = [self.tokenizer.id(_START)], self.tokenizer.id(_END)
        while len(ids) < self.max_length:
            best = int(self.module(source[None], torch.tensor([ids]))[0][0, -1].argmax())
            if best == end:
                return ids, True
            ids.append(best)
        return ids, False


def installed() -> Path | None:
    """The package's folder where it is installed (or lies in a folder of HEADLIGHT_PACKAGES), else None."""
    path = PACKAGE.path()
    return None if path is None else path.parents[1]


def load(folder: Path, name: str = "annalog") -> Annalog:
    """Open the package's folder (the one with `model_files`). Raises DamagedPackage, BadFile or UnsafeWeights."""
    folder = Path(folder)
    for file in (PACKAGE.inside, _WEIGHTS, _VOCABULARY):
        if not (folder / file).is_file():
            raise DamagedPackage(path=folder, reason=f"{file} is missing")
    state = torch_weights(folder / _WEIGHTS)
    words = vocabulary(folder / _VOCABULARY)
    if len(words) != state["encoder.tok_embedding.weight"].shape[0]:
        raise DamagedPackage(path=folder, reason="its vocabulary is not the one of its weights")
    module = _module(folder, state, words.index(_PAD))
    tokenizer = Smiles(words)
    digest = hashlib.sha256((folder / _WEIGHTS).read_bytes()).hexdigest()[:16]
    card = PACKAGE.card | {"architectures": [type(module).__name__]}
    return Annalog(name, module, tokenizer, instrument(module, tokenizer, name=name), digest, card)


def vocabulary(path: Path) -> list[str]:
    """The tokens in order, from a table {"itos": [texts], …}, whose file is scanned for its texts and never executed."""
    words: list[str] | None = None
    try:
        for code, argument, _ in pickletools.genops(path.read_bytes()):
            if argument == "stoi" or (words is not None and code.name == "APPENDS"):
                break
            if argument == "itos":
                words = []
            elif words is not None and "UNICODE" in code.name:
                words.append(str(argument))
    except ValueError:  # no opcodes at all
        words = None
    if not words or any(special not in words for special in Smiles.all_special_tokens):
        raise DamagedPackage(path=path, reason="it is not a list of tokens with <unk>, <pad>, <sos> and <eos>")
    return words


def _module(folder: Path, state: dict[str, Tensor], pad: int) -> nn.Module:
    """The package's own module with every weight in its place; its sizes are read from the weights."""
    theirs = _definition(folder / PACKAGE.inside)
    cpu = torch.device("cpu")
    stacks = {}
    for stack, maker in (("encoder", theirs.Encoder), ("decoder", theirs.Decoder)):
        size, d = state[f"{stack}.tok_embedding.weight"].shape
        length = state[f"{stack}.pos_embedding.weight"].shape[0]
        inner = state[f"{stack}.layers.0.positionwise_feedforward.fc_1.weight"].shape[0]
        layers = len({name.split(".")[2] for name in state if name.startswith(f"{stack}.layers.")})
        with torch.random.fork_rng(devices=[]):  # building it may not disturb the caller's random numbers
            stacks[stack] = maker(size, d, layers, _HEADS, inner, 0.1, cpu, length)
    module = theirs.Seq2Seq(stacks["encoder"], stacks["decoder"], pad, pad, cpu)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise DamagedPackage(path=folder, reason="its weights do not fit its module") from error
    return module.eval()


def _definition(path: Path) -> ModuleType:
    """The file that defines the module, imported by path beside its sibling, without the package's __init__."""
    package = ModuleType("headlight_annalog")
    package.__path__ = [str(path.parent)]
    name = f"{package.__name__}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    before = dict(sys.modules)
    sys.modules[package.__name__], sys.modules[name] = package, module
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        raise DamagedPackage(path=path, reason=f"its definition cannot be imported ({error})") from error
    finally:
        for key in [key for key in sys.modules if key.startswith(package.__name__) and key not in before]:
            del sys.modules[key]
    return module
