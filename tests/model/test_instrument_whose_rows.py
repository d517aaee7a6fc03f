"""Two sequences of one length, and rows that were put elsewhere: a picture has a word only where the word is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model import instrument
from model.trace.trace import Trace
from tests.model.test_instrument_sequences import WORDS, Attention, D, held

N = 5
NUMBERS = tuple(map(str, range(N)))
IDS = torch.tensor([[7, 3, 11, 2, 5]])
TEXT = tuple(WORDS[i] for i in IDS[0].tolist())


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


class BiLayer(nn.Module):
    """Two streams a layer, which may read each other (co-attention: Lu et al. 2019, section 2.3)."""

    def __init__(self, co: bool):
        super().__init__()
        self.text, self.image = Attention(), Attention()
        self.text_reads, self.image_reads = (Attention(), Attention()) if co else (None, None)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        x, y = x + self.text(x), y + self.image(y)
        if self.text_reads is not None:
            x, y = x + self.text_reads(x, y), y + self.image_reads(y, x)
        return x, y


class TwoStreams(nn.Module):
    def __init__(self, co: bool, positions: bool):
        super().__init__()
        self.emb, self.project = nn.Embedding(len(WORDS), D), nn.Linear(3, D)
        self.positions = nn.Parameter(torch.randn(N, D)) if positions else 0
        self.layers = nn.ModuleList(BiLayer(co) for _ in range(2))

    def forward(self, ids: Tensor, image: Tensor) -> Tensor:
        x, y = self.emb(ids) + self.positions, self.project(image) + self.positions
        for layer in self.layers:
            x, y = layer(x, y)
        return torch.cat([x, y], 1)


def sides_by_module(trace: Trace) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Path of each attention's module -> the tokens of its rows, and of its columns."""
    modules = trace.facts["modules"]
    return {
        modules[str(site)]: (tuple(trace.tokens(site.query_side)), tuple(trace.tokens(site.key_side)))
        for site in trace.sites
    }


@pytest.mark.parametrize("positions", [False, True], ids=["", "one table of positions for both"])
@pytest.mark.parametrize("co", [False, True], ids=["side by side", "co-attention"])
def test_two_streams_of_one_length_in_a_layer(co: bool, positions: bool):
    module = TwoStreams(co, positions).eval()
    trace = instrument(module, WORDS).trace(IDS, torch.randn(1, N, 3))
    held(trace, module)
    words = {"text": TEXT, "image": NUMBERS}
    found = sides_by_module(trace)
    assert len(found) == (8 if co else 4)
    for path, (rows, columns) in found.items():
        stream, _, reads = path.rpartition(".")[2].partition("_")
        other = "image" if stream == "text" else "text"
        assert (rows, columns) == (words[stream], words[other if reads else stream]), path


class Latents(nn.Module):
    """Learned latents read a text, then themselves (Jaegle et al. 2021, section 3.1)."""

    def __init__(self):
        super().__init__()
        self.emb, self.latents = nn.Embedding(len(WORDS), D), nn.Parameter(torch.randn(1, N, D))
        self.reads, self.layers = Attention(), nn.ModuleList(Attention() for _ in range(2))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.latents + self.reads(self.latents, self.emb(ids))
        for layer in self.layers:
            x = x + layer(x)
        return x


def test_as_many_latents_as_words():
    module = Latents().eval()
    trace = instrument(module, WORDS).trace(IDS)
    held(trace, module)
    found = sides_by_module(trace)
    assert found == {"reads": (NUMBERS, TEXT), "layers.0": (NUMBERS, NUMBERS), "layers.1": (NUMBERS, NUMBERS)}


class Inducing(nn.Module):
    """Set attention through inducing points: they read the set, the set reads them (Lee et al. 2019, equation 9)."""

    def __init__(self):
        super().__init__()
        self.points, self.into, self.back = nn.Parameter(torch.randn(1, N, D)), Attention(), Attention()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.back(x, self.points + self.into(self.points, x))


def test_as_many_inducing_points_as_words():
    module = nn.Sequential(nn.Embedding(len(WORDS), D), Inducing(), Inducing()).eval()
    trace = instrument(module, WORDS).trace(IDS)
    held(trace, module)
    wanted = {"into": (NUMBERS, TEXT), "back": (TEXT, NUMBERS)}
    assert sides_by_module(trace) == {f"{at}.{name}": sides for at in (1, 2) for name, sides in wanted.items()}


def rows(*places: int | None) -> tuple[str, ...]:
    """The words at these places of the text; what is none is called by its own place in the list."""
    return tuple(str(at) if place is None else TEXT[place] for at, place in enumerate(places))


def written(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    y[:, 1:] = x[:, :-1]
    return y


PERMUTED = torch.tensor([4, 0, 3, 1, 2])
ELSEWHERE: dict[str, tuple[Callable[[Tensor], Tensor], tuple[str, ...]]] = {
    "flipped": (lambda x: x.flip(1), TEXT[::-1]), "rolled": (lambda x: x.roll(1, 1), rows(4, 0, 1, 2, 3)),
    "picked": (lambda x: x[:, PERMUTED], rows(4, 0, 3, 1, 2)), "sorted": (lambda x: x.sort(1)[0], NUMBERS),
    "shifted by padding": (lambda x: F.pad(x, (0, 0, 1, -1)), rows(None, 0, 1, 2, 3)),
    "shifted by concatenation": (lambda x: torch.cat([torch.zeros(1, 1, D), x[:, :-1]], 1), rows(None, 0, 1, 2, 3)),
    "halves exchanged": (lambda x: torch.cat([x[:, 2:], x[:, :2]], 1), rows(2, 3, 4, 0, 1)),
    "first row repeated": (lambda x: x[:, :1].expand(-1, N, -1), NUMBERS),
    "mean repeated": (lambda x: x.mean(1, keepdim=True) + torch.zeros(1, N, D), NUMBERS),
    "scattered": (lambda x: torch.zeros_like(x).scatter(1, PERMUTED[None, :, None].expand_as(x), x), NUMBERS),
    "copied to places": (lambda x: torch.zeros_like(x).index_copy(1, PERMUTED, x), NUMBERS),
    "permuted by a product": (lambda x: F.one_hot(PERMUTED, N).float() @ x, NUMBERS),
    "mixed along the text": (lambda x: (x.mT @ torch.ones(N, N).softmax(-1)).mT, NUMBERS),
    "written in place": (written, NUMBERS),
    "chosen by a mask": (lambda x: torch.where(torch.zeros(1, N, 1).bool(), x, x.flip(1)), NUMBERS),
    "largest first": (lambda x: x.topk(N, 1)[0], NUMBERS),
    "by numpy": (lambda x: torch.from_numpy(x.detach().numpy()[:, ::-1].copy()), NUMBERS),
}  # fmt: skip


class Moved(nn.Module):
    def __init__(self, move: Callable[[Tensor], Tensor], before: bool):
        super().__init__()
        self.emb, self.layers = nn.Embedding(len(WORDS), D), nn.ModuleList(Attention() for _ in range(3))
        self.move, self.before = move, before

    def forward(self, ids: Tensor) -> Tensor:
        x = self.emb(ids)
        for at, layer in enumerate(self.layers):
            x = self.move(x) if at == (0 if self.before else 1) else x
            x = x + layer(x)
        return x


@pytest.mark.parametrize("before", [True, False], ids=["before the first layer", "between layers"])
@pytest.mark.parametrize("move", ELSEWHERE)
def test_words_go_where_their_rows_go(move: str, before: bool):
    change, found = ELSEWHERE[move]
    module = Moved(change, before).eval()
    trace = instrument(module, WORDS).trace(IDS)
    held(trace, module)
    wanted = {f"layers.{at}": (found, found) if before or at else (TEXT, TEXT) for at in range(3)}
    assert sides_by_module(trace) == wanted


def test_rows_that_a_reshape_exchanges():
    ids = torch.tensor([[7, 3, 11, 2, 5, 14]])
    module = Moved(lambda x: x.view(1, 2, 3, D).transpose(1, 2).reshape(1, 6, D), False).eval()
    trace = instrument(module, WORDS).trace(ids)
    held(trace, module)
    text = [WORDS[i] for i in ids[0].tolist()]
    scanned = tuple(text[at] for at in (0, 3, 1, 4, 2, 5))
    assert {name: rows for name, (rows, _) in sides_by_module(trace).items()} == {
        "layers.0": tuple(text), "layers.1": scanned, "layers.2": scanned,
    }  # fmt: skip


def turned(x: Tensor) -> Tensor:
    """Rotary positions, pairs side by side (Su et al. 2021, equation 34)."""
    even, odd = x[..., ::2], x[..., 1::2]
    return x * 0.6 + torch.stack([-odd, even], -1).flatten(-2) * 0.8


IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "ids flipped before they are looked up": lambda x: x,
    "halves of each vector exchanged": lambda x: torch.cat(x.chunk(2, -1)[::-1], -1),
    "mixed with the row before": lambda x: 0.5 * x + 0.5 * F.pad(x, (0, 0, 1, -1)),
    "a first row put on and taken off": lambda x: torch.cat([torch.zeros(1, 1, D), x], 1)[:, 1:],
    "positions first": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "convolution": lambda x: F.conv1d(x.mT, torch.ones(D, 1, 3), padding=1, groups=D).mT,
    "normalised by hand": lambda x: (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True),
    "turned as positions are": lambda x: turned(x), "turned as complex numbers": lambda x: torch.view_as_real(
        torch.view_as_complex(x.view(1, N, D // 2, 2)) * torch.polar(torch.ones(N, D // 2), torch.randn(N, D // 2))
    ).flatten(-2),
    "a learned table that is indexed": lambda x: x + nn.Parameter(torch.randn(9, D))[torch.arange(N) + 2],
    "windows and back": lambda x: F.pad(x, (0, 0, 0, 1)).view(1, 3, 2, D).reshape(1, 6, D)[:, :N],
    "every row, by its number": lambda x: x[:, torch.arange(N)],
    "stacked one by one": lambda x: torch.stack(list(x.unbind(1)), 1),
    "gated by the mean": lambda x: x * x.mean(1, keepdim=True).sigmoid(),
}  # fmt: skip


@pytest.mark.parametrize("change", IN_PLACE)
def test_words_stay_where_rows_stay(change: str):
    module = Moved(IN_PLACE[change], True).eval()
    flipped = change.startswith("ids")
    forward = (lambda ids: module(ids.flip(1))) if flipped else None
    trace = instrument(module, WORDS, forward=forward).trace(IDS)
    held(trace, module)
    wanted = TEXT[::-1] if flipped else TEXT
    assert set(sides_by_module(trace).values()) == {(wanted, wanted)}


class Backwards(Attention):
    """Keys and values are those of the rows in the other order."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x, x.flip(1))


def test_keys_in_another_order_than_the_queries():
    module = nn.Sequential(nn.Embedding(len(WORDS), D), Backwards()).eval()
    trace = instrument(module, WORDS).trace(IDS)
    held(trace, module)
    assert sides_by_module(trace) == {"1": (TEXT, TEXT[::-1])}


class Joint(nn.Module):
    """Two streams that attend as one sequence, then each by itself."""

    def __init__(self):
        super().__init__()
        self.emb, self.project = nn.Embedding(len(WORDS), D), nn.Linear(3, D)
        self.joint, self.text, self.image = Attention(), Attention(), Attention()

    def forward(self, ids: Tensor, image: Tensor) -> Tensor:
        both = torch.cat([self.emb(ids), self.project(image)], 1)
        both = both + self.joint(both)
        x, y = both.split(N, 1)
        return torch.cat([x + self.text(x), y + self.image(y)], 1)


def test_streams_that_were_one_sequence_and_are_two_again():
    module = Joint().eval()
    trace = instrument(module, WORDS).trace(IDS, torch.randn(1, N, 3))
    held(trace, module)
    both = (*TEXT, *(str(N + at) for at in range(N)))
    assert sides_by_module(trace) == {"joint": (both, both), "text": (TEXT, TEXT), "image": (NUMBERS, NUMBERS)}


class ProjectedMemory(Attention):
    """Keys and values of a memory, projected by matrices of their own, beside those of the sequence."""

    def __init__(self, first: bool):
        super().__init__()
        self.memory_k, self.memory_v, self.first = nn.Linear(3, D), nn.Linear(3, D), first

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        self.memory = memory
        return super().forward(x)

    def with_extra(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        pairs = ((self.heads(self.memory_k(self.memory)), k), (self.heads(self.memory_v(self.memory)), v))
        return tuple(torch.cat(pair if self.first else pair[::-1], 2) for pair in pairs)


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_projected_memory_beside_the_sequence(first: bool):
    module = nn.ModuleDict({"emb": nn.Embedding(len(WORDS), D), "attention": ProjectedMemory(first)}).eval()
    forward = lambda ids, memory: module["attention"](module["emb"](ids), memory)  # noqa: E731
    trace = instrument(module, WORDS, forward=forward).trace(IDS, torch.randn(1, 2, 3))
    held(trace, module)
    memory = ("memory[0]", "memory[1]")
    assert sides_by_module(trace) == {"attention": (TEXT, (*memory, *TEXT) if first else (*TEXT, *memory))}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_scores_that_half_precision_rounds_are_those_that_the_module_had(dtype: torch.dtype):
    """A number that all scores share leaves them fewer digits: the record has what the softmax read."""
    module = Attention().eval().to(dtype)
    module.mixed = lambda q, k, v: _mixed_high(module, q, k, v)
    trace = instrument(module).trace(torch.randn(1, N, D, dtype=dtype))
    kept = module.weights[0].double()
    got = torch.stack([trace.weights("encoder.0.self", head) for head in range(kept.shape[0])]).double()
    torch.testing.assert_close(got, kept, atol=4 * torch.finfo(dtype).eps, rtol=0)
    assert trace.fidelity().holds


def _mixed_high(module: Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = (q @ k.mT + 200).softmax(-1)
    module.weights.append(weights[0].detach())
    return module.o((weights @ v).transpose(1, 2).reshape(1, N, D))


def test_a_cache_that_is_still_empty_is_no_column():
    class Cached(Attention):
        def with_extra(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
            return torch.cat([k.new_zeros(0), k], 2), torch.cat([k[:, :, :0], v], 2)

    module = nn.Sequential(nn.Embedding(len(WORDS), D), Cached()).eval()
    trace = instrument(module, WORDS).trace(IDS)
    held(trace, module)
    assert sides_by_module(trace) == {"1": (TEXT, TEXT)} and set(trace.sides) == {"encoder"}


class Channels(Attention):
    """Attention between the channels of a head (El-Nouby et al. 2021, equation 5): as many here as there are words."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (f(x).view(1, N, -1, N).permute(0, 2, 3, 1) for f in (self.q, self.k, self.v))
        self.weights.append((q @ k.mT).softmax(-1)[0].detach())
        return self.o(((q @ k.mT).softmax(-1) @ v).permute(0, 3, 1, 2).reshape(1, N, -1))


def test_channels_are_no_words():
    module = nn.ModuleList([nn.Embedding(len(WORDS), 2 * N), Channels()]).eval()
    module[1].q, module[1].k, module[1].v, module[1].o = (nn.Linear(2 * N, 2 * N) for _ in range(4))
    trace = instrument(module, WORDS, forward=lambda ids: module[1](module[0](ids))).trace(IDS)
    assert sides_by_module(trace) == {"1": (NUMBERS, NUMBERS)}


@pytest.mark.parametrize("size", [9, 512])
def test_places_are_no_words(size: int):
    """Vectors are given, and their places are counted from 2, in a table that has not the vocabulary's size."""
    module = nn.ModuleDict({"places": nn.Embedding(size, D), "attention": Attention()}).eval()
    trace = instrument(module, WORDS, forward=lambda x: module["attention"](x + module["places"](torch.arange(N) + 2)))
    trace = trace.trace(torch.randn(1, N, D))
    held(trace, module)
    assert sides_by_module(trace) == {"attention": (NUMBERS, NUMBERS)}


def test_a_sum_of_two_streams_and_one_of_them_alone():
    module = nn.ModuleDict({"emb": nn.Embedding(len(WORDS), D), "sum": Attention(), "image": Attention()}).eval()

    def forward(ids: Tensor, image: Tensor) -> Tensor:
        both = module["emb"](ids) + image
        return both + module["sum"](both) + module["image"](image)

    trace = instrument(module, WORDS, forward=forward).trace(IDS, torch.randn(1, N, D))
    held(trace, module)
    assert sides_by_module(trace) == {"sum": (TEXT, TEXT), "image": (NUMBERS, NUMBERS)}


class Packed(nn.Module):
    """Two streams with packed projections of their own, joined (Esser et al. 2024, figure 2)."""

    def __init__(self):
        super().__init__()
        self.emb, self.text, self.image = nn.Embedding(len(WORDS), D), nn.Linear(D, 3 * D), nn.Linear(D, 3 * D)

    def forward(self, ids: Tensor, image: Tensor) -> Tensor:
        parts = zip(self.text(self.emb(ids)).chunk(3, -1), self.image(image).chunk(3, -1), strict=True)
        q, k, v = (torch.cat(pair, 1).view(1, 2 * N, 4, -1).transpose(1, 2) for pair in parts)
        return F.scaled_dot_product_attention(q, k, v)


def test_two_packed_projections_of_one_attention():
    trace = instrument(Packed().eval(), WORDS).trace(IDS, torch.randn(1, N, D))
    both = (*TEXT, *(str(N + at) for at in range(N)))
    assert sides_by_module(trace) == {"": (both, both)} and trace.record("encoder.0.self").heads == 4


def test_runs_that_read_the_keys_so_far_are_one_attention_over_all_of_them():
    class SoFar(Attention):
        def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            runs = [
                F.scaled_dot_product_attention(q[:, :, a:b], k[:, :, :b], v[:, :, :b])
                for a, b in ((0, 2), (2, 4), (4, 5))
            ]
            return self.o(torch.cat(runs, 2).transpose(1, 2).reshape(1, N, D))

    module = nn.Sequential(nn.Embedding(len(WORDS), D), SoFar()).eval()
    trace = instrument(module, WORDS).trace(IDS)
    found = [(tuple(trace.tokens(s.query_side)), tuple(trace.tokens(s.key_side))) for s in trace.sites]
    assert found == [(TEXT, TEXT)]
    seen = torch.tensor([2, 2, 4, 4, 5])
    assert torch.equal(trace.weights(trace.sites[0], 0) > 0, torch.arange(N) < seen[:, None])
