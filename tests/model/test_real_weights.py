"""Trained weights that anyone can install: they open, and their heads do what they are known to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers")

from model import open_model
from model.checkpoints.convert import convert
from model.checkpoints.disk import packages
from model.checkpoints.library import load as loading
from model.checkpoints.record.forward import record

pytestmark = pytest.mark.real_weights
# Two float32 runs drift apart from layer to layer, the more the sharper the heads: measured 1.1e-6, 7.2e-6, 2.6e-6.
BOUND = {"minilm": 2e-6, "rxnmapper": 1e-5, "sapiens": 5e-6}
OWN_CACHE = os.environ.get(convert.VARIABLE)


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Conversions of this run go to a folder of its own; SmolLM2's, which takes some seconds, stays for the next."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(convert.VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


def opened(name: str):
    known = {package.name: package for package in packages.PACKAGES}[name]
    if known.path() is None:
        pytest.skip(f"{known.title} is not installed: {known.command}")
    return open_model(name)


@pytest.fixture(scope="module")
def minilm(converted):
    return opened("minilm")


@pytest.fixture(scope="module")
def rxnmapper(converted):
    return opened("rxnmapper")


@pytest.fixture(scope="module")
def sapiens(converted):
    return opened("sapiens")


@pytest.fixture(scope="module")
def whisper(converted):
    return opened("whisper")


@pytest.fixture(scope="module")
def smollm2():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(convert.VARIABLE, raising=False)
        if OWN_CACHE:
            patch.setenv(convert.VARIABLE, OWN_CACHE)
        return opened("smollm2")


def eager(model, text: str) -> tuple[Tensor, ...]:
    """The library's own eager attention, from the same folder opened again: [h, n, n] a layer."""
    package = next(package for package in packages.PACKAGES if package.name == model.name)
    module = loading.read(convert.convert(package.path()) or package.path()).module
    module.set_attn_implementation("eager")
    with torch.no_grad():
        found = module(**model.tokenizer(text, return_tensors="pt"), output_attentions=True).attentions
    return tuple(layer[0] for layer in found)


@pytest.mark.parametrize("name", ["minilm", "rxnmapper", "sapiens"])
def test_recorded_weights_are_the_librarys(name: str, request: pytest.FixtureRequest):
    model = request.getfixturevalue(name)
    text = model.card["examples"][0]
    trace = model.trace(text)
    assert trace.fidelity().holds and model.card["fresh"] == []
    for site, expected in zip(trace.sites, eager(model, text), strict=True):
        for head in range(expected.shape[0]):
            torch.testing.assert_close(trace.weights(site, head), expected[head], atol=BOUND[name], rtol=0)


def test_sentences_that_mean_the_same_are_near(minilm):
    def vector(text: str) -> Tensor:
        with torch.no_grad():
            states = minilm.module(**minilm.tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        return torch.nn.functional.normalize(states.mean(0), dim=0)

    here = vector("A man is playing a guitar.")
    near, related, far = (
        float(here @ vector(text))
        for text in ("Someone plays the guitar.", "A woman sings a song.", "The stock market fell on Monday.")
    )
    assert near > 0.7 > related > far and far < 0.2


# Each atom of the product has the number of the atom it was; atoms that no one can tell apart share one.
REACTIONS = (
    "[CH3:1][CH:2]([CH3:1])[SH:3].F[c:4]1[n:5][cH:6][cH:7][cH:8][c:9]1[F:10]"
    ">>[CH3:1][CH:2]([CH3:1])[S:3][c:4]1[n:5][cH:6][cH:7][cH:8][c:9]1[F:10]",
    "[CH3:1][C:2](=[O:3])Cl.[NH2:4][CH2:5][c:6]1[cH:7][cH:8][cH:9][cH:8][cH:7]1"
    ">>[CH3:1][C:2](=[O:3])[NH:4][CH2:5][c:6]1[cH:7][cH:8][cH:9][cH:8][cH:7]1",
    "CC(C)(C)OC(=O)[NH:1][CH2:2][CH2:3][c:4]1[cH:5][cH:6][c:7]([F:8])[cH:6][cH:5]1"
    ">>[NH2:1][CH2:2][CH2:3][c:4]1[cH:5][cH:6][c:7]([F:8])[cH:6][cH:5]1",
    "OB(O)[c:1]1[cH:2][cH:3][cH:4][cH:3][cH:2]1.Br[c:5]1[cH:6][cH:7][c:8]([C:9]#[N:10])[cH:7][cH:6]1"
    ">>[N:10]#[C:9][c:8]1[cH:7][cH:6][c:5](-[c:1]2[cH:2][cH:3][cH:4][cH:3][cH:2]2)[cH:6][cH:7]1",
    "[CH3:1][CH2:2][CH2:3]Br.[OH:4][c:5]1[cH:6][cH:7][c:8]([N+:9](=[O:10])[O-:11])[cH:7][cH:6]1"
    ">>[CH3:1][CH2:2][CH2:3][O:4][c:5]1[cH:6][cH:7][c:8]([N+:9](=[O:10])[O-:11])[cH:7][cH:6]1",
)


def plain(mapped: str) -> tuple[str, list[int | None]]:
    """A mapped reaction -> (as one writes it, the number of each atom in order, None where it has none)."""
    numbers, parts = [], []
    for piece in re.findall(r"\[[^]]+]|Br|Cl|[A-Z]|[a-z]|[^A-Za-z]", mapped):
        found = re.fullmatch(r"\[([A-Za-z]+?)H?[0-9]?([+-]?):([0-9]+)]", piece)
        if found:
            parts.append(f"[{found[1]}{found[2]}]" if found[2] else found[1])
            numbers.append(int(found[3]))
        else:
            parts.append(piece)
            numbers += [None] if piece[0].isalpha() else []
    return "".join(parts), numbers


def atoms_found(model, layer: int, head: int) -> float:
    """Share of product atoms at which the head looks most, of all atoms of the reactants, at the one it was."""
    right = total = 0
    for mapped in REACTIONS:
        text, numbers = plain(mapped)
        trace = model.trace(text)
        tokens = trace.tokens("encoder")
        atoms = [
            i for i, token in enumerate(tokens) if re.match(r"\[?[A-Za-z]", token) and token not in ("[CLS]", "[SEP]")
        ]
        assert len(atoms) == len(numbers) and "[UNK]" not in tokens
        numbered, arrow = dict(zip(atoms, numbers, strict=True)), tokens.index(">>")
        before = [i for i in atoms if i < arrow]
        weights = trace.weights(f"encoder.{layer}.self", head)
        for i in (i for i in atoms if i > arrow):
            best = before[int(weights[i, before].argmax())]
            right, total = right + (numbered[best] == numbered[i]), total + 1
    return right / total


def test_a_head_of_rxnmapper_maps_atoms(rxnmapper):
    (site, head), share = rxnmapper.card["head"], atoms_found(rxnmapper, 10, 5)
    assert (site, head) == ("encoder.10.self", 5)
    others = [atoms_found(rxnmapper, layer, h) for layer, h in ((0, 0), (5, 2), (10, 0))]
    assert share > 0.85 and share > max(others) + 0.3, (share, others)


def test_sapiens_fills_in_missing_residues(sapiens):
    chain = sapiens.card["examples"][0]
    with torch.no_grad():
        right = []
        for i in range(len(chain)):
            ids = sapiens.tokenizer(chain[:i] + "<mask>" + chain[i + 1 :], return_tensors="pt").input_ids
            assert ids.shape[1] == len(chain) + 2 and int(ids[0, i + 1]) == sapiens.tokenizer.mask_token_id
            best = int(sapiens.module(input_ids=ids).logits[0, i + 1].argmax())
            right.append(sapiens.tokenizer.convert_ids_to_tokens(best) == chain[i])
    assert sum(right) / len(right) > 0.85
    assert all(right[i] for i, residue in enumerate(chain) if residue in "CW")  # the conserved ones


def test_heads_of_smollm2_copy_and_look_back(smollm2):
    generator = torch.Generator().manual_seed(0)
    once = torch.randint(1000, 40_000, (40,), generator=generator)
    ids = torch.cat([torch.tensor([smollm2.tokenizer.bos_token_id]), once, once])[None]
    with torch.no_grad():
        records = list(record(smollm2.module, {"input_ids": ids}).attention.values())
    i = torch.arange(41, 81)
    induction = records[17].weights(4)[i, i - 39].mean()
    previous = records[16].weights(0)[torch.arange(1, 81), torch.arange(80)].mean()
    typical = torch.stack([records[17].weights(head)[i, i - 39].mean() for head in (0, 1, 2)]).max()
    assert induction > 0.5 and previous > 0.6 and typical < 0.3, (induction, previous, typical)


def nll(model, features: Tensor, text: str) -> float:
    """Mean negative log-likelihood of a text, told to Whisper token by token."""
    start = [model.module.config.decoder_start_token_id, model.module.generation_config.no_timestamps_token_id]
    ids = torch.tensor([[*start, *model.tokenizer(text, add_special_tokens=False).input_ids]])
    with torch.no_grad():
        found = model.module(input_features=features, decoder_input_ids=ids[:, :-1]).logits[0, 1:].log_softmax(-1)
    return float(-found.gather(1, ids[0, 2:, None]).mean())


def test_whisper_is_converted_whole(whisper):
    assert whisper.card["fresh"] == [] == whisper.card["unused"]
    silence = torch.zeros(1, 80, 3000)
    assert nll(whisper, silence, " The cat sat on the mat.") + 2 < nll(whisper, silence, " mat the. on sat cat The")


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs a voice: install espeak-ng")
def test_whisper_hears_speech(whisper, tmp_path: Path):
    from model.checkpoints.media.sound import trace_sound
    from model.checkpoints.media.wav import read_wav

    said = "The cat sat on the mat and looked at the dog."
    subprocess.run(["espeak-ng", "-s", "140", "-w", str(tmp_path / "said.wav"), said], check=True, timeout=60)
    samples, rate = read_wav(tmp_path / "said.wav")
    written = "".join(trace_sound(whisper, samples, rate=rate).written()).lower()
    assert all(word in written for word in ("sat on the mat", "at the dog"))
