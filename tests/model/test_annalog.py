"""A stranger's encoder–decoder, opened from its package: its own module, recorded against what it returns itself."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
import torch

from model.checkpoints import annalog
from model.errors import DamagedCheckpoint, EmptyText, TextTooLong, UnknownWords


@pytest.fixture(scope="module")
def opened() -> annalog.Annalog:
    folder = annalog.installed()
    if folder is None:
        pytest.skip(f"ANNalog is not installed: {annalog.PACKAGE.command}")
    return annalog.load(folder)


@pytest.mark.real_weights
def test_every_head_is_the_one_the_module_returns(opened: annalog.Annalog):
    returned = {}
    layers = {
        name: part for name, part in opened.module.named_modules() if type(part).__name__ == "MultiHeadAttentionLayer"
    }
    handles = [
        part.register_forward_hook(lambda _m, _a, out, name=name: returned.__setitem__(name, out[1][0]))
        for name, part in layers.items()
    ]
    trace = opened.trace("CC(C)Cc1ccc(cc1)C(C)C(=O)O")
    for handle in handles:
        handle.remove()
    assert len(trace.sites) == 9 and all(record.heads == 8 for record in trace.attention.values())
    for site, path in trace.facts["modules"].items():
        for head in range(8):
            # Its first layers have scores of five million, where float32 counts in halves: the winners alone stand.
            bound = 1e-5 if float(trace.record(site).products(head).abs().max()) < 1e4 else 2e-3
            torch.testing.assert_close(trace.weights(site, head), returned[path][head], atol=bound, rtol=0)
    found = trace.fidelity()
    assert found.holds and found.logits_error == 0.0 and len(found.sites) == 9
    assert trace.record("decoder.1.self").mask.causal


@pytest.mark.real_weights
@pytest.mark.parametrize("smiles", ["CC(=O)Oc1ccccc1C(=O)O", "CN1CCC[C@H]1c1cccnc1", "Cn1cnc2c1c(=O)n(C)c(=O)n2C"])
def test_it_writes_a_molecule_and_a_known_head_copies(opened: annalog.Annalog, smiles: str):
    trace = opened.trace(smiles)
    assert trace.facts["finished"] and "".join(trace.written()) == smiles + "<eos>"
    assert trace.tokens("encoder")[0] == "<sos>" and trace.side("encoder").special[-1]
    site, head = annalog.PACKAGE.head
    looked = trace.weights(site, head).argmax(-1)[:-1]
    right = (looked == torch.arange(1, len(looked) + 1)).double().mean()
    assert right >= 0.85  # 0.98 over seven molecules


@pytest.mark.real_weights
def test_an_output_is_forced_and_wrong_inputs_are_refused(opened: annalog.Annalog):
    trace = opened.trace("CCO", "CCN")
    assert trace.tokens("decoder") == ["<sos>", "C", "C", "N"] and trace.written() == ["C", "C", "N", "<eos>"]
    assert not trace.facts["generated"]
    with pytest.raises(UnknownWords, match="“X”"):
        opened.trace("CCX")
    with pytest.raises(TextTooLong, match="103 tokens"):
        opened.trace("C" * 101)
    with pytest.raises(EmptyText):
        opened.trace(" ")
    assert not any(name.startswith(("annalog", "headlight_annalog", "rdkit")) for name in sys.modules)


def test_pieces_of_a_molecule():
    smiles = annalog.Smiles(["<unk>", "<pad>", "<sos>", "<eos>", "C", "Cl", "[C@H]", "%10", "c", "1", "l"])
    assert smiles.convert_ids_to_tokens(smiles.encode("C Cl[C@H]%10c1")) == [
        "<sos>", "C", "Cl", "[C@H]", "%10", "c", "1", "<eos>",
    ]  # fmt: skip


class Spoils:
    def __reduce__(self):
        return Path.touch, (Path(self.where),)


def test_a_vocabulary_is_scanned_and_never_executed(tmp_path: Path):
    words = [*annalog.Smiles.all_special_tokens, "C"]
    spoils = Spoils()
    spoils.where = str(tmp_path / "executed")
    for i, protocol in enumerate((2, 4, 5)):
        file = tmp_path / f"{i}.pkl"
        file.write_bytes(pickle.dumps({"itos": words, "stoi": {"C": 4}, "other": spoils}, protocol))
        assert annalog.vocabulary(file) == words
    assert not (tmp_path / "executed").exists()
    for broken in (pickle.dumps(["C"]), b"no such file"):
        (tmp_path / "broken.pkl").write_bytes(broken)
        with pytest.raises(DamagedCheckpoint, match="list of tokens"):
            annalog.vocabulary(tmp_path / "broken.pkl")


def test_a_folder_without_its_files_is_named(tmp_path: Path):
    with pytest.raises(DamagedCheckpoint, match=r"seq2seq_attention\.py is missing"):
        annalog.load(tmp_path)
