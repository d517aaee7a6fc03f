"""The families' cards against the library's own configurations, and small models that are what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model import open_model
from model.checkpoints.disk import families
from model.checkpoints.disk.families import FAMILIES
from model.families import CARDS, block_parameters, card, related

transformers = pytest.importorskip("transformers")

from model.checkpoints.random_models import make  # noqa: E402

_NAMES = {
    "layers": ("num_hidden_layers", "n_layer", "encoder_layers", "num_layers"),
    "d_model": ("hidden_size", "n_embd", "d_model"),
    "heads": ("num_attention_heads", "n_head", "encoder_attention_heads", "num_heads"),
    "d_ff": ("intermediate_size", "encoder_ffn_dim", "d_ff", "d_inner"),
    "vocabulary": ("vocab_size",),
}


def configuration(key: str):
    return getattr(transformers, families.entry(card(key).library).config)(**card(key).config)


CONFIGURED = [known.key for known in CARDS if known.library]


@pytest.mark.parametrize("key", CONFIGURED)
def test_a_card_has_the_sizes_of_the_librarys_configuration(key: str) -> None:
    known, config = card(key), configuration(key)
    for field, names in _NAMES.items():
        found = {getattr(config, name) for name in names if isinstance(getattr(config, name, None), int)}
        # GPT's configurations have no width of the feed-forward part: it is 4 d.
        assert (found or {4 * known.d_model}) == {getattr(known, field)}, (key, field)
        assert found or (field == "d_ff" and key in ("gpt", "gpt2"))
    assert getattr(config, "d_kv", known.head_width) == known.head_width
    activation = next(getattr(config, n) for n in ("hidden_act", "afn", "activation_function", "ff_activation",
                                                   "dense_act_fn") if hasattr(config, n))  # fmt: skip
    assert activation.split("_")[0] == known.activation.lower()


@pytest.mark.parametrize("key", CONFIGURED)
def test_a_cards_parameters_are_those_of_the_librarys_model(key: str) -> None:
    known = card(key)
    with torch.device("meta"):
        module = getattr(transformers, known.counts)(configuration(key))
    assert sum(parameter.numel() for parameter in module.parameters()) == known.counted


@pytest.mark.parametrize("key", ["transformer", "gpt", "gpt2", "gpt3"])
def test_parameters_by_the_formula(key: str) -> None:
    assert block_parameters(card(key)) == card(key).counted


def test_the_counts_are_near_the_papers() -> None:
    said = {"transformer": 65e6, "bert": 110e6, "gpt3": 175e9, "t5": 220e6, "roberta": 355e6}
    for key, count in said.items():
        assert card(key).counted == pytest.approx(count, rel=0.04)


def test_the_transformer_by_hand() -> None:
    """Summed matrix by matrix: 6 encoder and 6 decoder layers, one shared embedding."""
    attention, feed, norm = 4 * (512 * 512 + 512), 512 * 2048 + 2048 + 2048 * 512 + 512, 2 * 512
    encoder, decoder = attention + feed + 2 * norm, 2 * attention + feed + 3 * norm
    assert block_parameters(card("transformer")) == 6 * encoder + 6 * decoder + 37_000 * 512


def test_parents_are_families_that_came_before() -> None:
    keys = [known.key for known in CARDS]
    for known in CARDS:
        assert all(keys.index(parent) < keys.index(known.key) for parent in known.parents)
        assert all(card(parent).year <= known.year for parent in known.parents)
        assert known.small in (*make.NAMES, "")
    library = {family.model_type for family in FAMILIES}
    assert {name for known in CARDS for name in related(known.key)} <= library | {"Seq2Seq"}
    assert {family.card for family in FAMILIES} <= {*keys, ""}


@pytest.mark.parametrize(("key", "names"), [
    ("transformer", ("whisper", "marian", "Seq2Seq")), ("gpt", ("openai-gpt",)),
    ("bert", ("bert", "albert", "distilbert", "electra", "modernbert", "deberta", "deberta-v2", "mpnet")),
    ("gpt2", ("gpt2", "llama", "opt", "gpt_neox", "mistral", "qwen2", "qwen3")), ("gpt3", ("gpt_neo", "gptj")),
    ("bart", ("bart", "mbart", "pegasus")), ("t5", ("t5", "mt5")), ("xlnet", ("xlnet",)), ("roberta", ("roberta",)),
])  # fmt: skip
def test_the_models_of_a_cards_kind(key: str, names: tuple[str, ...]) -> None:
    """As the page has always offered them; a new family may follow these."""
    assert tuple(name for name in related(key) if name in names) == names


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADLIGHT_CACHE", str(tmp_path_factory.mktemp("cache")))
        return {name: make.write(name) for name in make.NAMES}


@pytest.mark.parametrize("name", make.NAMES)
def test_a_small_model_opens_and_its_record_holds(made: dict[str, Path], name: str) -> None:
    model = open_model(made[name])
    trace = model.trace("the cat sat on the mat" if name in make.OWN else "I like cats and the lazy dog.")
    assert trace.facts.get("family", "headlight") == ("headlight" if name in make.OWN else make.family(name).model_type)
    assert trace.fidelity().holds
    assert min(len(side.tokens) for side in trace.sides.values()) > 3
    assert not trace.facts.get("fresh")
    assert made[name].name == f"random-{name}"


def test_it_is_made_once_and_the_same_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = []
    for folder in ("a", "b"):
        monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / folder))
        path = make.write("gpt2")
        weights.append((path / "model.safetensors").read_bytes())
        changed = (path / "model.safetensors").stat().st_mtime_ns
        assert make.write("gpt2") == path and (path / "model.safetensors").stat().st_mtime_ns == changed
        assert [p.name for p in path.parent.iterdir()] == ["random-gpt2"]
    assert weights[0] == weights[1]


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from model.errors import NoCache

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / "file"))
    with pytest.raises(NoCache):
        make.write("bert")
