"""Models that write many languages: which one is asked for, and what the library then reads and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

transformers = pytest.importorskip("transformers")

from model import open_model  # noqa: E402
from model.checkpoints.disk.families import FAMILIES  # noqa: E402
from model.checkpoints.library.outputs import sample, training_step  # noqa: E402
from model.errors import LanguageNotSaid, NotInThisModel, UnknownOption  # noqa: E402
from model.evaluation.run import evaluate  # noqa: E402

TEXT = "the cat sat"
# Name -> (family, tokenizer, source, target).
MANY = {
    "mbart": ("mbart", "MBartTokenizer", "en_XX", "fr_XX"),
    "mbart50": ("mbart", "MBart50Tokenizer", "en_XX", "fr_XX"),
    "nllb": ("m2m_100", "NllbTokenizer", "eng_Latn", "fra_Latn"),
    "m2m": ("m2m_100", "M2M100Tokenizer", "en", "fr"),
}


def m2m(folder: Path):
    """M2M100's tokenizer has pieces in a sentencepiece model: one is trained here, on a few words."""
    spm = pytest.importorskip("sentencepiece")
    folder.mkdir(parents=True)
    (folder / "text.txt").write_text("the cat sat on the mat\na dog ran to the house\n" * 20, encoding="utf-8")
    spm.SentencePieceTrainer.train(
        input=str(folder / "text.txt"), model_prefix=str(folder / "spm"), vocab_size=20, minloglevel=9
    )
    pieces = spm.SentencePieceProcessor(model_file=str(folder / "spm.model"))
    names = ["<s>", "<pad>", "</s>", "<unk>", *[pieces.id_to_piece(i) for i in range(3, pieces.get_piece_size())]]
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}), encoding="utf-8")
    return transformers.M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "spm.model"))


def tokenizer_of(name: str, folder: Path):
    if name == "m2m":
        return m2m(folder / "pieces")
    kind = getattr(transformers, MANY[name][1])
    if name == "nllb":
        words = ["<s>", "<pad>", "</s>", "<unk>", *"▁thecasonmdgr"]
        return kind(vocab={word: i for i, word in enumerate(words)}, merges=[])
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    if name == "mbart":
        return kind(vocab=[*((word, 0.0) for word in special), *((letter, -2.0) for letter in "▁thecasonmdgr")])
    return kind()


@pytest.fixture(scope="module", params=MANY)
def opened(request, tmp_path_factory: pytest.TempPathFactory):
    """(name, model)."""
    folder = tmp_path_factory.mktemp(request.param)
    family = next(known for known in FAMILIES if known.model_type == MANY[request.param][0])
    tokenizer = tokenizer_of(request.param, folder)
    # M2M100's tokenizer numbers its languages after the words that it counts.
    rows = max([len(tokenizer), *(i + 1 for i in getattr(tokenizer, "lang_token_to_id", {}).values())])
    config = getattr(transformers, family.config)(**family.small | {"vocab_size": rows})
    torch.manual_seed(0)
    getattr(transformers, family.model)(config).eval().save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return request.param, open_model(folder / "model")


def code(model, language: str) -> int:
    tokens = getattr(model.tokenizer, "lang_code_to_token", {})
    return model.tokenizer.convert_tokens_to_ids(tokens.get(language, language))


def test_the_languages_are_the_tokenizers(opened):
    name, model = opened
    assert len(model.languages) == {"mbart": 25, "mbart50": 52, "nllb": 202, "m2m": 100}[name]
    assert set(MANY[name][2:]) <= set(model.languages)


def test_it_writes_the_language_that_is_asked_for(opened):
    name, model = opened
    before = model.tokenizer.src_lang, model.tokenizer.tgt_lang
    source, target = MANY[name][2:]
    trace = model.trace(TEXT, language=target, new_tokens=6)
    read, start = trace.token_ids("decoder"), model.module.config.decoder_start_token_id
    opening = [code(model, target)] if name == "mbart" else [start, code(model, target)]
    assert read[: len(opening)] == opening
    assert dict(trace.key.options)["language"] == trace.language == target and trace.fidelity().holds
    other = next(known for known in model.languages if known not in (source, target))
    assert model.trace(TEXT, language=other, new_tokens=6).token_ids("decoder") != read
    assert (model.tokenizer.src_lang, model.tokenizer.tgt_lang) == before


def test_the_language_of_the_text_is_told_too(opened):
    name, model = opened
    source, target = MANY[name][2:]
    for language in (source, target):
        trace = model.trace(TEXT, "a dog", source_language=language)
        assert code(model, language) in trace.token_ids("encoder")
        assert dict(trace.key.options)["source_language"] == language
    assert code(model, source) in model.trace(TEXT, "a dog").token_ids("encoder")


def test_a_forced_target_is_in_its_language(opened):
    name, model = opened
    target = MANY[name][3]
    read = model.trace(TEXT, "a dog", language=target).token_ids("decoder")
    # The first mBART starts with the language, the others with the end sign and then the language.
    assert read[0 if name == "mbart" else 1] == code(model, target)
    assert read.count(code(model, target)) == 1
    assert model.trace(TEXT, "a dog").token_ids("decoder") != read


def test_draws_and_steps_are_in_the_language_too(opened):
    name, model = opened
    target = MANY[name][3]
    (found,) = sample(model, TEXT, 1, new_tokens=4, language=target)
    assert found.tokens <= (4 if name == "mbart" else 3)
    labels = training_step(model, TEXT, "a dog", language=target).labels
    assert {target, f"#{code(model, target)}"} & set(labels)
    assert len(labels) == len(model.tokenizer("a dog").input_ids)


def test_what_is_no_language_of_the_model_is_one_sentence(opened):
    _, model = opened
    for how in ({"language": "tlh"}, {"source_language": "tlh"}):
        with pytest.raises(UnknownOption, match="tlh"):
            model.trace(TEXT, **how)


def test_a_model_of_one_language_has_none_to_choose(tmp_path: Path):
    from tests.app.checkpoints import write

    for name in ("bart", "gpt2"):
        model = open_model(write(tmp_path / name, name))
        assert model.languages == ()
        with pytest.raises(NotInThisModel, match="language"):
            model.trace(TEXT, language="fr_XX")


def test_an_evaluation_tells_the_language_among_few_and_asks_among_many(opened, monkeypatch: pytest.MonkeyPatch):
    name, model = opened
    pairs = [(TEXT, "a dog"), ("a dog ran", "the mat")]
    with pytest.raises(LanguageNotSaid, match="--language"):
        evaluate(model, pairs, write=False)
    few = MANY[name][2:]
    losses = {one: evaluate(model, pairs, write=False, language=one).loss for one in few}
    monkeypatch.setitem(model.__dict__, "languages", few)
    found = evaluate(model, pairs, write=False)
    assert found.about["languages"] == pytest.approx(losses, abs=1e-5)
    assert found.about["language"] == min(losses, key=losses.__getitem__)
    monkeypatch.setattr(model.module.generation_config, "forced_bos_token_id", code(model, few[0]))
    found = evaluate(model, pairs, write=False)
    assert (found.about["language"], found.about["languages"]) == (few[0], {})
