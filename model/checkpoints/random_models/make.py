"""A small model of a family, made here: its configuration in small, random weights, and a tokenizer learnt from a few lines.

Nothing in it is trained. What it shows is the family's arithmetic: who may look at whom, where the positions enter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.checkpoints.convert import cache_entry
from model.checkpoints.convert.convert import cache_folder
from model.checkpoints.disk.families import Family, RandomModel, made_at_random, small_model
from model.checkpoints.library_logging import loading
from model.checkpoints.random_models import relative_positions
from model.errors import HeadlightError, NoCache
from model.jobs.progress import tick

_VERSION = 1  # part of the folder's name: a changed recipe is made again
_TEXTS = (
    "Once upon a time the quick brown fox jumps over the lazy dog. I like cats and the cat likes the mat.",
    "The animal didn't cross the street because it was too tired. She sat on the bank of the river.",
    "The capital of France is Paris. summarize: translate English to German: hello there, what is the name of it?",
)
_MORE = (
    "La capitale de la France est Paris. J'aime les chats et le chat est sur la table.",
    "Die Hauptstadt von Deutschland ist Berlin. Ich mag Katzen und der Hund ist müde.",
    "我喜欢猫。法国的首都是巴黎。狗很累。",
    "Мне нравятся кошки. Столица Франции Париж.",
)
_WORD_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# Of ours, with its positions inside the scores (Shaw et al. 2018); see relative_positions.py.
OWN = ("shaw",)
_MADE = made_at_random()
NAMES = (*_MADE, *OWN)


def family(name: str) -> Family:
    """The registry's entry for a name of `NAMES`: mBERT is BERT with a vocabulary of many languages."""
    return _MADE[name][0]


def folder(name: str) -> Path:
    """Where `write` puts the model: `random-<name>` in the user's cache; the name says what it is wherever it is shown."""
    return cache_folder() / "small" / str(_VERSION) / f"random-{name}"


def write(name: str) -> Path:
    """Make the small random model `name` of `NAMES`, if it is not there yet; -> its folder, as the library saves one.

    Some 25,000 to 70,000 parameters (d = 32, 2 layers, 4 heads), its matrices enlarged so that attention is not flat. The
    same numbers every time. Raises NoCache or Stopped.
    """
    target = folder(name)
    cache_entry.sweep(target.parent)
    if cache_entry.is_whole(target):
        return target
    tick("", 0.05)
    try:
        with cache_entry.partial(name, target) as place:
            with loading():
                _save(name, place)
            tick("", 0.95)
            cache_entry.put(place, target)
    except HeadlightError:
        raise
    except OSError as error:
        raise NoCache(path=name, folder=target.parent, reason=error.strerror or error) from error
    return target


def _save(name: str, place: Path) -> None:
    import dataclasses

    import torch

    if name in OWN:
        relative_positions.save(place, folder(name).name)
        return
    made = tokenizer(name)
    tick("", 0.4)
    known, recipe = _MADE[name]
    sizes = known.small | {"vocab_size": len(made)} | recipe.config
    with torch.random.fork_rng(devices=[]):
        module = small_model(dataclasses.replace(known, small=sizes), recipe.seed, recipe.sharpen)
    tick("", 0.8)
    module.save_pretrained(place)
    made.save_pretrained(place)


def tokenizer(name: str) -> Any:
    """The library's fast tokenizer for `name`: word pieces for BERT, byte pairs for the others, a few hundred tokens."""
    from transformers import PreTrainedTokenizerFast

    recipe = _MADE[name][1]
    special = recipe.special
    core = _word_pieces(recipe) if special == _WORD_PIECES else _byte_pairs(recipe)
    roles = {"unk": ("[UNK]", "<unk>", "<|endoftext|>"), "pad": ("[PAD]", "<pad>"), "mask": ("[MASK]", "<mask>"),
             "cls": ("[CLS]", "<cls>"), "sep": ("[SEP]", "<sep>"), "bos": ("<s>", "<|endoftext|>"),
             "eos": ("</s>", "<|endoftext|>")}  # fmt: skip
    told = {f"{role}_token": text for role, texts in roles.items() for text in texts if text in special}
    return PreTrainedTokenizerFast(tokenizer_object=core, **told)


def _around(recipe: RandomModel, core: Any) -> Any:
    from tokenizers import processors

    single = recipe.template
    if single != "$A":
        pair = single.replace("$A", "$A:0") + " " + single.replace("$A", "$B:1").removeprefix("[CLS] ")
        used = [(token, core.token_to_id(token)) for token in recipe.special if token in single]
        core.post_processor = processors.TemplateProcessing(single, pair, used)
    return core


def _byte_pairs(recipe: RandomModel) -> Any:
    """Byte-level pairs (GPT-2's kind), learnt from `_TEXTS`: any text can be written with it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = list(recipe.special)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + 256 + 120, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(_TEXTS, trainer)
    return _around(recipe, core)


def _word_pieces(recipe: RandomModel) -> Any:
    """Whole words of the texts, and single characters with ## for the rest; mBERT's texts are in five languages."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    many = recipe.multilingual
    normal = normalizers.BertNormalizer(lowercase=not many)
    before = pre_tokenizers.BertPreTokenizer()
    texts = [normal.normalize_str(text) for text in (*_TEXTS, *(_MORE if many else ()))]
    words = sorted({word for text in texts for word, _ in before.pre_tokenize_str(text)})
    letters = sorted({letter for word in words for letter in word} | set("abcdefghijklmnopqrstuvwxyz0123456789,.:'?!"))
    vocabulary = dict.fromkeys([*_WORD_PIECES, *letters, *words, *(f"##{piece}" for piece in (*letters, "ing", "ed"))])
    numbers = {token: number for number, token in enumerate(vocabulary)}
    core = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]", max_input_chars_per_word=50))
    core.normalizer, core.pre_tokenizer = normal, before
    return _around(recipe, core)
