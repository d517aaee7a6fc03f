"""Sound into models of speech: a WAV file read, brought to 16 kHz, prepared by the library's own extractor, recorded.

Whisper reads log-mel features and pads every sound with silence to its full window, 30 s or 1,500 encoder positions of
0.02 s (Radford et al. 2023, section 2.2); the record keeps all of them and the facts say where the sound ends. Wav2Vec2 and
Moonshine read the samples themselves through convolutions, as many positions as the sound has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from model.checkpoints.disk.cost import within_memory
from model.checkpoints.disk.families import rules_of
from model.checkpoints.media import writing
from model.checkpoints.media.wav import LONGEST, RATE, read_wav, resample, wav_bytes
from model.checkpoints.record.forward import record
from model.checkpoints.record.position_tables import adds_positions
from model.checkpoints.task_heads import outputs as head_outputs
from model.checkpoints.tokens.encode import side, tokenized
from model.checkpoints.tokens.token_texts import special_ids
from model.errors import SoundTooLong, TextTooLong, UnreadableSound
from model.jobs.device import facts_of
from model.jobs.progress import tick
from model.trace import logits
from model.trace.tensors import Store
from model.trace.trace import Side, Trace, TraceKey

if TYPE_CHECKING:
    from model.checkpoints.library.library_model import HuggingFaceModel

__all__ = ["extractor", "features", "read_wav", "sample_sound", "speech_sample", "trace_sound", "wav_bytes"]

_STRIDE = 2  # mel frames to one encoder position: the second convolution's step
_PROMPT = 4  # start, language, task and "no timestamps" are what Whisper is given at most


# A spoken sample that Debian's alsa-utils installs ("Front Center", 1.4 s); nothing is shipped or fetched for it.
SPOKEN = Path("/usr/share/sounds/alsa/Front_Center.wav")


def speech_sample() -> tuple[np.ndarray, int] | None:
    """(samples, rate) of speech that this computer happens to have, or None."""
    return read_wav(SPOKEN) if SPOKEN.is_file() else None


def sample_sound() -> tuple[np.ndarray, int]:
    """Two seconds at 16 kHz made here: three tones that rise, a gap, a gliding tone. (float32 [n], rate)"""
    time = np.arange(2 * RATE) / RATE
    tones = sum(
        np.sin(2 * np.pi * pitch * time) * ((time >= start) & (time < start + 0.3))
        for start, pitch in ((0.1, 262.0), (0.4, 330.0), (0.7, 392.0))
    )
    glide = np.sin(2 * np.pi * (200 * time + 150 * (time - 1.3) ** 2)) * ((time >= 1.3) & (time < 1.9))
    return (0.4 * (tones + glide)).astype(np.float32), RATE


def extractor(module: nn.Module, processor_config: Mapping[str, object] | None = None) -> Any:
    """The library's feature extractor with the folder's settings, else with its own and the model's mel bins."""
    import transformers

    kind = getattr(transformers, rules_of(module.config.model_type).processor)
    if processor_config is not None:
        return kind.from_dict(dict(processor_config))
    return kind(feature_size=module.config.num_mel_bins) if windowed(module) else kind()


def features(module: nn.Module, samples: np.ndarray, processor_config: Mapping[str, object] | None = None) -> Tensor:
    """samples [n] at 16 kHz -> log-mel features [1, mel bins, 2 · encoder positions], silence after the sound's end; of a
    model that reads the samples themselves those [1, n], scaled as its folder says."""
    prepare = extractor(module, processor_config)
    if not windowed(module):
        return prepare(np.asarray(samples, dtype=np.float32), sampling_rate=RATE, return_tensors="pt")["input_values"]
    window = _STRIDE * module.config.max_source_positions * prepare.hop_length
    found = prepare(
        np.asarray(samples, dtype=np.float32), sampling_rate=RATE, padding="max_length", max_length=window,
        return_tensors="pt",
    )  # fmt: skip
    return found["input_features"]


def trace_sound(
    model: HuggingFaceModel,
    samples: np.ndarray,
    target: str | None = None,
    *,
    rate: int = RATE,
    max_new_tokens: int = 40,
    name: str = "sound",
    processor_config: Mapping[str, object] | None = None,
) -> Trace:
    """Run a sound through a model of speech and record it in one forward; of one that writes `target` forces the text, else it
    is written greedily.

    samples: float [n], mono, at `rate`. The encoder's tokens are its positions, named by when they begin ("0.02s");
    those after the sound's end are special. The store has "features" [mel bins, frames] and "samples" [n] at 16 kHz.
    Where the model wrote the text, `facts["written"]` ends with the token it wrote last; of CTC `facts["labels"]` is the
    likeliest character of each frame and `facts["spelt"]` their text. Raises SoundTooLong, TextTooLong
    or UnreadableSound (no samples, or numbers that are none).
    """
    samples = resample(_checked(samples, name), rate)
    settings = processor_config or model.card.get("processor")
    given, step = _given(model, samples, settings, name)
    inputs, read = {module_input(model.module): given}, None
    with model.lock, torch.no_grad(), within_memory():
        if model.decodes:
            read = _read(model, inputs, target, max_new_tokens)
            inputs["decoder_input_ids"] = torch.tensor([read.ids])
        tick("layers", 0.0)
        recorded = record(model.module, inputs)
    store = recorded.store
    store.add("features", given[0] if given.dim() == 3 else given)
    store.add("samples", torch.from_numpy(samples))
    positions = next(each.queries for site, each in recorded.attention.items() if site.stack == "encoder")
    end = min(-(-len(samples) // step), positions) - 1
    sides = {"encoder": _positions(positions, end, step / RATE)}
    facts = {
        "family": model.family, "task": model.task, "norm": "unknown", "reads": "sound", "sound": name,
        "seconds": len(samples) / RATE, "frame_seconds": step / RATE, "sound_end": end, "padding": positions - 1 - end,
        "modules": recorded.modules, **({"opening": model.opening.facts()} if model.opening else {}),
        "adds_positions": adds_positions(model.module), **_told(model, store, read), **facts_of(model.module),
    }  # fmt: skip
    if read is not None:
        special = special_ids(model.tokenizer)
        sides["decoder"] = replace(side(model.tokenizer, read.ids), special=tuple(i in special for i in read.ids))
    source = _source(samples)
    options = (("max_new_tokens", max_new_tokens),) if read is not None and read.generated else ()
    return Trace(
        key=TraceKey(
            model.name, model.weights_hash, source, None if read is None or read.generated else target, options
        ),
        sides=sides,
        attention=recorded.attention,
        store=store,
        vocabulary=tuple(model.vocabulary),
        facts=facts,
        plain_logits=(lambda: model.plain(inputs)) if model.untouched and logits.comparable(store) else None,
    )


def source_of(samples: np.ndarray, rate: int) -> str:
    """What the key of a run calls these samples: the hash of what is read, at 16 kHz."""
    return _source(resample(_checked(samples, "sound"), rate))


def _source(samples: np.ndarray) -> str:
    return f"sound {hashlib.sha256(samples.tobytes()).hexdigest()[:16]}"


def module_input(module: nn.Module) -> str:
    """ "input_features" (log-mel) or "input_values" (samples)."""
    return str(getattr(module, "main_input_name", "input_features"))


def windowed(module: nn.Module) -> bool:
    """Whether every sound is padded to one length, and read as log-mel features."""
    return module_input(module) == "input_features"


def _given(
    model: HuggingFaceModel, samples: np.ndarray, settings: Mapping[str, object] | None, name: str
) -> tuple[Tensor, int]:
    """(what the model reads, how many samples lie between two of its positions). Raises SoundTooLong, UnreadableSound."""
    if windowed(model.module):
        step = _STRIDE * extractor(model.module, settings).hop_length
        most = model.module.config.max_source_positions * step
    else:
        least, step = _convolved(model.module)
        most = LONGEST * RATE
        if len(samples) < least:
            reason = f"it holds {len(samples)} samples at {RATE:,} Hz, and this model reads {least} or more"
            raise UnreadableSound(name=name, reason=reason)
    if len(samples) > most:
        raise SoundTooLong(got=f"{len(samples) / RATE:.2f}", allowed=f"{min(LONGEST, most / RATE):g}")
    return features(model.module, samples, settings).to(model.module.dtype), step


def _convolved(module: nn.Module) -> tuple[int, int]:
    """(samples that the first position sees, samples between two positions) of the convolutions that read the samples."""
    least, step = 1, 1
    for each in module.modules():
        if isinstance(each, nn.Conv1d) and each.padding == (0,):  # one that is padded keeps the positions
            least += (each.kernel_size[0] - 1) * step
            step *= each.stride[0]
    return least, step


def _read(model: HuggingFaceModel, given: Mapping[str, Tensor], target: str | None, limit: int) -> writing.DecoderRead:
    """What the decoder reads: the prompt that the model gives itself, then a target's tokens or those that it writes."""
    target = target if target is not None and target.strip() else None
    beside, options = 1, {}
    if windowed(model.module):
        beside, options = _PROMPT, {"return_timestamps": False}
        number = model.tokenizer.convert_tokens_to_ids("<|notimestamps|>")
        if number not in (None, model.tokenizer.unk_token_id):  # a folder without generation settings does not name it
            model.module.generation_config.no_timestamps_token_id = number
    prompt, written = writing.greedily(model, given, 1 if target else limit, beside, **options)
    if target is None:
        return writing.DecoderRead([*prompt, *written[:-1]], len(prompt), written[-1], True)
    # Whisper's own texts begin with a space.
    text = (" " if windowed(model.module) else "") + target.strip()
    ids = [*prompt, *tokenized(model.tokenizer, text, add_special_tokens=False).input_ids[0].tolist()]
    if len(ids) > writing.room(model):
        raise TextTooLong(got=len(ids), allowed=writing.room(model))
    return writing.DecoderRead(ids, len(prompt), None, False)


def _told(model: HuggingFaceModel, store: Store, read: writing.DecoderRead | None) -> dict[str, object]:
    """What came out, as a trace keeps it: a text, a character of each frame, or classes."""
    if read is not None:
        return read.facts(model, store)
    if "label_logits" in store and type(model.module).__name__.endswith("ForCTC"):
        return _characters(model, store)
    return head_outputs.facts(model.task, model.module.config, model.labels, store)


def _characters(model: HuggingFaceModel, store: Store) -> dict[str, object]:
    """The likeliest character of each frame, and the text that they spell: repeats are one, and blanks none (Graves et al.
    2006, section 3.1)."""
    names = model.vocabulary or tuple(f"#{i}" for i in range(store.shape("label_logits")[1]))
    found = head_outputs.facts("tagging", model.module.config, names, store)
    best = store["label_logits"].argmax(-1).tolist()
    blank = model.module.config.pad_token_id
    spelt = [i for at, i in enumerate(best) if i != blank and (at == 0 or best[at - 1] != i)]
    between = getattr(model.tokenizer, "word_delimiter_token", None) or "|"
    text = "".join(names[i] if i < len(names) else f"#{i}" for i in spelt).replace(between, " ").strip()
    return found | {"spelt": text}


def _checked(samples: np.ndarray, name: str) -> np.ndarray:
    if samples.ndim != 1 or not samples.size:
        raise UnreadableSound(name=name, reason="it holds no samples")
    if not np.isfinite(samples).all():
        raise UnreadableSound(name=name, reason="some of its samples are no numbers")
    return samples


def _positions(count: int, end: int, seconds: float) -> Side:
    tokens = tuple(f"{i * seconds:.2f}s" for i in range(count))
    return Side(tokens, tuple(range(count)), tuple(i > end for i in range(count)))
