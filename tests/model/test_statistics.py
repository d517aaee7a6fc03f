"""Every measure of a head against sums over its whole weights, cell by cell, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from model import Trace, instrument
from model.__main__ import main
from model.errors import Stopped
from model.jobs.progress import ProgressListener, report_to
from model.measures.definitions.effective_rank import effective_rank
from model.measures.head_statistics import HeadStatistics, ranked, statistics, trace_statistics
from model.measures.registry import CHEAP, MEASURES
from model.trace.attention_record import AttentionRecord
from model.trace.tensors import MemoryStore
from model.transformer.masks import RuleMask
from tests import bounds
from tests.model import test_instrument_sequences as modules
from tests.model import tiny
from tests.model.attention_kinds import KINDS, SELF, record, weights, words
from tests.model.brute_measures import BRUTE, Seen, entropies, seen

pytestmark = pytest.mark.float32
ROWS = {"entropy_rows", "largest_rows", "received"}
FIELDS = {measure.name for measure in MEASURES} | ROWS


def brute(found: AttentionRecord, ids: list[int], special: list[bool]) -> dict[str, np.ndarray | None]:
    """Every field of HeadStatistics by its sentence."""
    heads = [_brute(seen(found, head, ids, special, special[::-1])) for head in range(found.heads)]
    return {name: None if heads[0][name] is None else np.array([head[name] for head in heads]) for name in heads[0]}


def _brute(one: Seen) -> dict[str, object]:
    rows = {"entropy_rows": entropies(one), "largest_rows": one.A.max(1)}
    answer: dict[str, object] = {name: np.where(one.some, values, np.nan) for name, values in rows.items()}
    return answer | {"received": one.A.sum(0)} | {name: sentence(one) for name, sentence in BRUTE.items()}


def compare(got: HeadStatistics, want: dict[str, np.ndarray | None], bound: Callable[[str], float]) -> None:
    for name in FIELDS:
        value = getattr(got, name)
        assert (value is None) == (want[name] is None), name
        if value is not None:
            np.testing.assert_allclose(value.double().numpy(), want[name], atol=bound(name), rtol=0, err_msg=name)


@pytest.mark.parametrize("n", [1, 2, 37, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_float64_is_the_sum_over_the_cells(kind: str, n: int):
    found = KINDS[kind](n)
    ids, special = words(n, found.keys)
    compare(
        statistics(found, ids, special, costly=True, punctuation=special[::-1]),
        brute(found, ids, special),
        lambda name: 1e-11 if name in ROWS else 1e-12,
    )


@pytest.mark.parametrize("kind", ["causal", "padding", "sliding window", "grouped", "T5", "softcap", "sinks"])
def test_float32_at_777(kind: str):
    n = 777
    found = KINDS[kind](n, dtype=torch.float32)
    ids, special = words(n, n)
    got = statistics(found, torch.tensor(ids), torch.tensor(special), True, torch.tensor(special[::-1]))
    assert {getattr(got, name).dtype for name in FIELDS - {"effective_rank"}} == {torch.float32}
    loose = {"distance": 1e-4, "rms_distance": 2e-4, "received": 1e-5, "entropy_rows": 1e-5}
    compare(got, brute(found, ids, special), lambda name: loose.get(name, 1e-6))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_measured_in_float32_without_a_log_sum_exp(dtype: torch.dtype):
    found = KINDS["causal"](60, dtype=dtype)
    ids, special = words(60, 60)
    compare(
        statistics(found, ids, special, costly=True, punctuation=special[::-1]),
        brute(found, ids, special),
        lambda name: 1e-4 if "distance" in name else 1e-5,
    )


def handmade(targets: list[int], others: list[int]) -> AttentionRecord:
    """Head 0 puts all of row i on targets[i], head 1 on others[i]."""
    eye = torch.eye(len(targets), dtype=torch.float64)
    q = torch.stack([eye[targets], eye[others]])
    store = MemoryStore({f"{SELF}.q": q, f"{SELF}.k": eye.expand(2, -1, -1)})
    return AttentionRecord(SELF, 2000.0, RuleMask(causal=True), store)


def test_known_heads():
    ids = [7, 5, 9, 3, 7, 5, 9, 3]
    after = [0, 0, 0, 0, 1, 2, 3, 4]  # what followed the earlier 7, 5, 9, 3
    before = [0, 0, 1, 2, 3, 4, 5, 6]
    got = statistics(handmade(before, after), ids, [True] + 7 * [False])
    assert got.previous.double().tolist() == [1, 1 / 7]  # of seven, the second token alone follows what it repeats
    assert got.induction.tolist() == [0, 1]
    assert got.first.tolist() == [2 / 8, 4 / 8] == got.special.tolist()
    assert got.diagonal.tolist() == [1 / 8, 1 / 8]
    assert got.duplicate.tolist() == [0, 0]
    assert got.distance.tolist() == [7 / 8, (0 + 1 + 2 + 3 + 3 * 4) / 8]
    np.testing.assert_allclose(got.rms_distance, [math.sqrt(7 / 8), math.sqrt((1 + 4 + 5 * 9) / 8)], atol=1e-15)
    assert got.received[0].tolist() == [2, 1, 1, 1, 1, 1, 1, 0]
    assert got.entropy.tolist() == [0, 0] and got.largest.tolist() == [1, 1]
    assert got.next.isnan().all()  # no query may attend a later key
    same = statistics(handmade([0, 1, 2, 3, 0, 1, 2, 3], list(range(8))), ids)
    assert same.duplicate.tolist() == [1, 0] and same.diagonal.tolist() == [0.5, 1]


def test_even_attention_has_the_entropy_of_its_keys():
    n = 200
    store = MemoryStore({f"{SELF}.{part}": torch.zeros(1, n, 4, dtype=torch.float64) for part in "qk"})
    got = statistics(AttentionRecord(SELF, 1.0, RuleMask(causal=True), store))
    np.testing.assert_allclose(got.entropy_rows[0], np.log(np.arange(1, n + 1)), atol=1e-13)
    np.testing.assert_allclose(got.largest_rows[0], 1 / np.arange(1, n + 1), atol=1e-15)
    assert (got.induction, got.duplicate, got.special) == (None, None, None)


def test_a_nan_is_not_hidden():
    found = record(5, 5, RuleMask(causal=True))
    found.store[f"{SELF}.q"][1, 2] = math.nan
    got = statistics(found)
    assert got.entropy.isnan().tolist() == [False, True, False, False]


def test_the_wrong_number_of_tokens_is_refused():
    with pytest.raises(ValueError, match="3 token ids were given for 5 keys"):
        statistics(record(5, 5), [1, 2, 3])
    with pytest.raises(ValueError, match="6 special flags were given for 5 keys"):
        statistics(record(5, 5), range(5), 6 * [False])


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation made."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        made = [leaf.untyped_storage().nbytes() // leaf.element_size() for leaf in tree_leaves(result)
                if isinstance(leaf, torch.Tensor)]  # fmt: skip
        self.elements = max([self.elements, *made])
        return result


@pytest.mark.parametrize("repeated", [False, True], ids=["words", "one word"])
@pytest.mark.parametrize("kind", ["causal", "sliding window", "T5", "sinks", "bidirectional"])
def test_nothing_of_q_times_k_elements_is_made(kind: str, repeated: bool):
    n = 2048
    found = KINDS[kind](n, dtype=torch.float32)
    ids = torch.zeros(n).int() if repeated else torch.arange(n) % 700
    with Largest() as largest:
        statistics(found, ids, ids == 3)
    assert 4 * n * 8 <= largest.elements < n * n // 4  # what is as large as q and k was seen


def test_a_trace_is_measured_by_its_own_tokens(trace: Trace, tmp_path):
    told: list[tuple[str, float | None]] = []
    with report_to(ProgressListener(lambda what, fraction: told.append((what, fraction)), lambda: False)):
        got = trace_statistics(trace, costly=True)
    shares = [share for _, share in told]
    assert {what for what, _ in told} == {"measures"} and shares == sorted(shares) and 0 == shares[0] < shares[-1] < 1
    assert tuple(got) == trace.sites
    again = trace_statistics(Trace.open(trace.save(tmp_path / "run.safetensors")), costly=True)
    for site, found in got.items():
        side = trace.side(site.key_side)
        want = brute(trace.record(site), list(side.ids), list(side.special)) if site.kind == "self" else None
        if want is not None:
            marks = np.isin(side.texts, ("?", "。", ".", ",", "？", "，"))
            every = np.stack([weights(trace.record(site), head)[:, marks].sum(1).mean() for head in range(4)])
            compare(found, want | {"punctuation": every}, lambda name: 1e-5)
        assert (found.distance is None) == (site.kind == "cross") == (found.induction is None)
        for name in FIELDS:
            one, two = getattr(found, name), getattr(again[site], name)
            assert (one is None and two is None) or torch.equal(one.nan_to_num(-1), two.nan_to_num(-1))
    with pytest.raises(Stopped), report_to(ProgressListener(lambda what, fraction: None, lambda: True)):
        trace_statistics(trace)


def test_heads_are_ranked_and_what_they_lack_is_left_out(trace: Trace):
    got = trace_statistics(trace)
    best = ranked(got, "previous")
    assert [value for *_, value in best] == sorted((value for *_, value in best), reverse=True)
    assert {site.kind for site, *_ in best} == {"self"} and len(best) == 4 * 4
    site, head, value = best[0]
    assert got[site].previous[head].item() == value
    assert {s.stack for s, *_ in ranked(got, "next")} == {"encoder"}
    assert {m.name for m in CHEAP} | {"local", "positional_share", "effective_rank"} == FIELDS - ROWS
    assert all(found.local is None and found.positional_share is None for found in got.values())  # nobody asked


def test_the_command_prints_the_top_heads(trace: Trace, checkpoint, tmp_path, capsys: pytest.CaptureFixture):
    path = trace.save(tmp_path / "run.safetensors")
    assert main(["heads", "--trace", str(path), "--top", "3", "--by", "previous"]) == 0
    check, title, *lines = capsys.readouterr().out.splitlines()
    assert check.startswith("# checks to")
    assert title.split()[:3] == ["site", "head", "previous"] and set(title.split()[2:]) == {
        measure.name for measure in CHEAP
    }
    best = ranked(trace_statistics(trace), "previous")[:3]
    assert [line.split()[:3] for line in lines] == [[str(s), str(h), f"{v:.3f}"] for s, h, v in best]
    assert main(["heads", "--model", str(checkpoint), "--text", tiny.TEXT, "--target", tiny.WRITTEN]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 12


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--by", "charm"], "“charm” is not known: choose one of entropy, largest"),
        (["--text", "the cat", "--target", "猫", "--by", "induction"], "No head of this run has “induction”"),
        (["--trace", "nowhere.safetensors"], "there is no such file"),
        ([], "Nothing to read was given"),
    ],
)
def test_what_the_command_cannot_do_is_one_line(checkpoint, capsys: pytest.CaptureFixture, more: list[str], said: str):
    assert main(["heads", "--model", str(checkpoint), *more]) == 2
    heard = capsys.readouterr()
    assert heard.out == "" and heard.err.count("\n") == 1 and said in heard.err


def test_punctuation_is_the_mass_on_separators_of_the_text():
    from model import open_model

    trace = open_model("translate").trace("how many umbrellas does your sister have?", language="zh")
    assert trace.tokens("encoder")[-1] == "?"
    for site, found in trace_statistics(trace).items():
        marks = np.array([token in ("?", "？", "。", ".", ",", "，") for token in trace.tokens(site.key_side)])
        for head, told in enumerate(found.punctuation.tolist()):
            assert told == pytest.approx(weights(trace.record(site), head)[:, marks].sum(1).mean(), abs=bounds.WEIGHT)
    assert max(found.punctuation.max() for found in trace_statistics(trace).values()) > 0.1


def test_punctuation_is_told_by_unicode_and_apart_from_special_tokens():
    from model.measures.head_statistics import _punctuation
    from model.trace.trace import Side

    texts = [" ,", "?!", "##.", "##ing", "。", "[SEP]", "…", "a.", "", " ", "+"]
    side = Side(tuple(texts), tuple(range(len(texts))), tuple(text == "[SEP]" for text in texts))
    assert _punctuation(side) == [True, True, True, False, True, False, True, False, False, False, False]


def test_a_tokenizers_marks_of_words_are_no_text():
    from model.measures.head_statistics import _punctuation
    from model.trace.trace import Side

    texts = {"Ġ,": True, "▁.": True, "##;": True, ".</w>": True, "Ġ(": True, "▁▁—": True, "Ġa": False, "▁": False, "Ġ": False,
             "##s": False, "</w>": False, "▁a.": False, "_": True, "#": True, "Ġ+": False}  # fmt: skip
    side = Side(tuple(texts), tuple(range(len(texts))), (False,) * len(texts))
    assert dict(zip(texts, _punctuation(side), strict=True)) == texts


def test_keys_beside_the_sequence_are_no_first_token_and_no_special_one() -> None:
    """Two memory keys stand before the tokens: the first token is the third key."""
    trace = instrument(modules.Transformer(modules.Memory).eval(), modules.WORDS).trace(torch.tensor([[3, 4, 5, 6]]))
    for site, found in trace_statistics(trace).items():
        names = list(trace.sides[site.key_side].tokens)
        assert names[:3] == ["mem[0]", "mem[1]", "w3"]
        for head in range(trace.record(site).heads):
            a = trace.record(site).weights(head, dtype=torch.float64)
            assert found.values["first"][head].item() == pytest.approx(a[:, 2].mean().item(), rel=1e-5)
            assert found.values["special"][head].item() == 0


def test_the_effective_rank_is_of_the_shape_and_not_of_the_size() -> None:
    torch.manual_seed(0)
    context = torch.randn(3, 6, 4, dtype=torch.float64)
    values = torch.linalg.svdvals(context)
    p = values / values.sum(-1, keepdim=True)
    wanted = (-(p * p.log()).sum(-1)).exp()
    for size in (1.0, 1e160, 1e-160):
        torch.testing.assert_close(effective_rank(context * size), wanted, rtol=1e-6, atol=0)
