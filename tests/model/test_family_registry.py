"""The registry of families: entries that agree with the library and the record, and no family asked for by name elsewhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

transformers = pytest.importorskip("transformers")

from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES  # noqa: E402

from model import Trace  # noqa: E402
from model.checkpoints.disk import families  # noqa: E402
from model.checkpoints.disk.families import FAMILIES, Family, small_inputs, small_model  # noqa: E402
from model.checkpoints.library.describe import positions_of  # noqa: E402
from model.checkpoints.record import forward  # noqa: E402
from model.positions.bias import kind_of  # noqa: E402
from model.trace.trace import Side, TraceKey  # noqa: E402

ROOT = Path(__file__).parents[2]
STACKS = {
    "encoder": {"encoder"}, "decoder": {"decoder"}, "encoder-decoder": {"encoder", "decoder"},
    "dual encoder": {"encoder", "decoder"},  # CLIP's tower for texts is causal
}  # fmt: skip
# `Family.positions` -> what a record says of itself: a bias an offset, or terms of the content in the scores; M2M100
# computes its sinusoids anew, so that there is no table to find.
SHOWN = {"learned": {"learned"}, "sinusoidal": {"sinusoidal", ""}, "": {""}, "alibi": {"alibi"}, "convolutional": {""},
         "relative": {"t5", "scores"}}  # fmt: skip
by_name = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.model_type)


def recorded(family: Family, n: int) -> tuple[torch.nn.Module, forward.Recorded]:
    module = forward.prepare(small_model(family))
    given = small_inputs(family, bool(getattr(module.config, "is_encoder_decoder", False)), n, min(n, 9))
    with torch.no_grad():
        return module, forward.record(module, given)


@by_name
def test_an_entry_is_a_family_of_the_library(family: Family) -> None:
    config = getattr(transformers, family.config)
    assert config.model_type == family.model_type and hasattr(transformers, family.model)
    assert config(**family.small).is_encoder_decoder == (family.architecture == "encoder-decoder")
    assert {*family.like, *family.tower_types} <= CONFIG_MAPPING_NAMES.keys() | {
        "clip_vision_model",
        "siglip_vision_model",
    }
    assert all(hasattr(transformers, name) for name in family.tasks)
    assert (family.processor != "") == (family.reads != "text")
    # Two models put together say it each for itself.
    norms = ("pre", "post", "sandwich", "reordered", *([""] if family.model_type == "vision-encoder-decoder" else []))
    assert family.norm in norms and family.route in ("hook", "replay", "")
    for name in (family.feed_forward, family.cross_attention, family.position_table):
        re.compile(name)


def test_a_model_type_belongs_to_one_entry() -> None:
    names = [name for family in FAMILIES for name in (family.model_type, *family.like, *family.tower_types)]
    assert len(names) == len(set(names))
    made = [each.name or family.model_type for family in FAMILIES for each in family.random_models]
    assert len(made) == len(set(made)) and list(families.made_at_random()) == made


def test_whose_fields_hold() -> None:
    roberta, other = families.entry("roberta"), families.rules_of("codegen")
    assert families.rules_of("roberta") is families.rules_of("camembert") is roberta
    assert families.entry("camembert") is None and families.entry("codegen") is None
    assert families.family_of("clip_vision_model") == "clip" and families.family_of("codegen") == "codegen"
    plain = (other.architecture, other.route, other.reads, other.positions, other.unlimited_length, other.examples)
    assert plain == ("", "hook", "text", "", False, ())
    # A stranger's modules may be called as in any family.
    for family in FAMILIES:
        for name in ("feed_forward", "cross_attention", "position_table"):
            assert getattr(family, name) in getattr(other, name)


@by_name
def test_the_record_has_the_stacks_and_positions_of_the_entry(family: Family) -> None:
    module, run = recorded(family, 24)
    assert run.stacks == STACKS[family.architecture]
    lengths = {site.query_side: record.queries for site, record in run.attention.items()}
    sides = {stack: Side(("a",) * n, (0,) * n, (False,) * n) for stack, n in lengths.items()}
    found = kind_of(Trace(TraceKey("a", "b", "c"), sides, run.attention, run.store), module)
    if family.positions == "rotary":  # where it is watched, q and k are heard behind their rotation
        assert found == ("rotary" if family.route == "hook" else "")
    else:
        # Whisper's encoder has sinusoids, its decoder the learned ones that the entry names.
        assert found in SHOWN[family.positions] | {*positions_of(module)}


@pytest.mark.parametrize(
    "family",
    [family for family in FAMILIES if family.architecture in ("encoder", "decoder") and family.reads == "text"],
    ids=lambda family: family.model_type,
)
def test_one_token_alone_is_of_the_entrys_stack(family: Family) -> None:
    """Its mask does not tell an encoder from a decoder, and the library's lists call some both."""
    assert recorded(family, 1)[1].stacks == {family.architecture}


NAMES = {name for family in FAMILIES for name in (family.model_type, *family.like, *family.tower_types)}
CLASSES = re.compile(
    "|".join(f"{family.config.removesuffix('Config').removesuffix('Text')}[A-Z]" for family in FAMILIES)
)
# Where a family's name is no question: the registry, conversions into a family, trained packages, what history brought.
NAMED = (
    "checkpoints/disk/families/",
    "checkpoints/convert/",
    "checkpoints/disk/packages.py",
    "families.py",
    "small_families/",
)
# Words that are a family's name too: clipping of gradients, a kind of positions.
OTHERWISE = {"lab/command.py": {"clip"}, "training/options.py": {"clip"}, "trace/saved/schema.py": {"t5"}}


def asked(tree: ast.AST) -> Iterator[str]:
    """The texts that something is compared with, looked up in, or begins or ends with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare | ast.Set | ast.List | ast.Tuple | ast.MatchValue):
            parts = [node]
        elif isinstance(node, ast.Dict):
            parts = [key for key in node.keys if key is not None]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("startswith", "endswith", "get"):
            parts = node.args
        else:
            continue
        for part in parts:
            for inner in ast.walk(part):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    yield inner.value


def families_asked_for(source: str) -> set[str]:
    return {text for text in asked(ast.parse(source)) if text in NAMES or CLASSES.match(text)}


def test_a_question_for_a_family_is_seen() -> None:
    for source in ('x = family == "xlnet"', '_BOTH = {"xlm", "t5"}', 'if name in ("opt",): pass', '_S = {"gpt2": 1.0}',
                   'x = kind.startswith("clip")', 'x = {"XLNetLMHeadModel": 1}', 'x = sizes.get("bloom")',
                   'match x:\n    case "bart": pass'):  # fmt: skip
        assert families_asked_for(source), source
    assert not families_asked_for('x = say("opt"); y = kind == "options"; """bert"""')


@pytest.mark.parametrize("path", sorted((ROOT / "model").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_asks_for_a_family_by_name(path: Path) -> None:
    """What holds for one family is a field of its entry, which the code reads whatever the family is called."""
    place = path.relative_to(ROOT / "model").as_posix()
    if not place.startswith(NAMED):
        assert families_asked_for(path.read_text(encoding="utf-8")) <= OTHERWISE.get(place, set())
