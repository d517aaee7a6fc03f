"""Sound into Whisper: a WAV file read, brought to 16 kHz, turned into the library's own log-mel features, recorded.

Whisper pads every sound with silence to its full window, 30 s or 1,500 encoder positions of 0.02 s (Radford et al. 2023,
section 2.2); the record keeps all of them and the facts say where the sound ends.
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

from model.checkpoints.disk.families import rules_of
from model.checkpoints.library_logging import quiet
from model.checkpoints.media.wav import LONGEST, RATE, read_wav, resample, wav_bytes
from model.checkpoints.record.forward import record
from model.checkpoints.tokens.encode import side, tokenized
from model.checkpoints.tokens.token_texts import special_ids
from model.errors import SoundTooLong, TextTooLong, UnreadableSound
from model.jobs.device import facts_of
from model.jobs.progress import tick
from model.trace import logits
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
    return kind(feature_size=module.config.num_mel_bins)


def features(module: nn.Module, samples: np.ndarray, processor_config: Mapping[str, object] | None = None) -> Tensor:
    """samples [n] at 16 kHz -> log-mel features [1, mel bins, 2 · encoder positions], silence after the sound's end."""
    prepare = extractor(module, processor_config)
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
    """Run a sound through Whisper and record it in one forward; `target` forces the text, else it is written greedily.

    samples: float [n], mono, at `rate`. The encoder's tokens are its positions, named by when they begin ("0.02s");
    those after the sound's end are special. The store has "features" [mel bins, frames] and "samples" [n] at 16 kHz.
    Where Whisper wrote the text, `facts["written"]` ends with the token it wrote last. Raises SoundTooLong, TextTooLong
    or UnreadableSound (no samples, or numbers that are none).
    """
    samples = resample(_checked(samples, name), rate)
    settings = processor_config or model.card.get("processor")
    step = _STRIDE * extractor(model.module, settings).hop_length
    positions = model.module.config.max_source_positions
    if len(samples) > positions * step:
        raise SoundTooLong(got=f"{len(samples) / RATE:.2f}", allowed=f"{min(LONGEST, positions * step / RATE):g}")
    target = target if target is not None and target.strip() else None
    given = features(model.module, samples, settings).to(model.module.dtype)
    with model.lock, torch.no_grad():
        prompt, written = _write(model, given, 1 if target else max_new_tokens)
        ids = _forced(model, prompt, target) if target else [*prompt, *written[:-1]]
        inputs = {"input_features": given, "decoder_input_ids": torch.tensor([ids])}
        tick("layers", 0.0)
        recorded = record(model.module, inputs)

    end = -(-len(samples) // step) - 1
    store = recorded.store
    store.add("features", given[0])
    store.add("samples", torch.from_numpy(samples))
    special = special_ids(model.tokenizer)
    decoder = replace(side(model.tokenizer, ids), special=tuple(i in special for i in ids))
    last = written[-1] if target is None else logits.most_probable(store, -1, 1)[0][0]
    facts = {
        "family": model.family, "norm": "unknown", "reads": "sound", "sound": name, "generated": target is None,
        "prompt": len(prompt), "written": [*decoder.texts[1:], *side(model.tokenizer, [last]).texts],
        "seconds": len(samples) / RATE, "frame_seconds": step / RATE, "sound_end": end, "padding": positions - 1 - end,
        "modules": recorded.modules,
        **({"opening": model.opening.facts()} if model.opening else {}), **facts_of(model.module),
    }  # fmt: skip
    source = f"sound {hashlib.sha256(samples.tobytes()).hexdigest()[:16]}"
    options = (("max_new_tokens", max_new_tokens),) if target is None else ()
    return Trace(
        key=TraceKey(model.name, model.weights_hash, source, target, options),
        sides={"encoder": _positions(positions, end, step / RATE), "decoder": decoder},
        attention=recorded.attention,
        store=store,
        vocabulary=tuple(model.vocabulary),
        facts=facts,
        plain_logits=(lambda: model.plain(inputs)) if model.untouched else None,
    )


def _checked(samples: np.ndarray, name: str) -> np.ndarray:
    if samples.ndim != 1 or not samples.size:
        raise UnreadableSound(name=name, reason="it holds no samples")
    if not np.isfinite(samples).all():
        raise UnreadableSound(name=name, reason="some of its samples are no numbers")
    return samples


def _positions(count: int, end: int, seconds: float) -> Side:
    tokens = tuple(f"{i * seconds:.2f}s" for i in range(count))
    return Side(tokens, tuple(range(count)), tuple(i > end for i in range(count)))


def _write(model: HuggingFaceModel, given: Tensor, limit: int) -> tuple[list[int], list[int]]:
    """(what Whisper is given first, what it then writes greedily): the library's own generation, its prompt included.

    `generate` gives back the text alone; the whole sequence is seen where it asks whether to stop.
    """
    from transformers import StoppingCriteriaList

    number = model.tokenizer.convert_tokens_to_ids("<|notimestamps|>")
    if number not in (None, model.tokenizer.unk_token_id):  # a folder without generation settings does not name it
        model.module.generation_config.no_timestamps_token_id = number
    seen: list[list[int]] = []
    limit = max(1, min(limit, model.module.config.max_target_positions - _PROMPT))

    def progress(ids: Tensor, _scores: object, **_more: object) -> Tensor:
        seen.append(ids[0].tolist())
        tick("writing", min(1.0, len(seen) / limit))
        return torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)

    with quiet():
        model.module.generate(
            input_features=given, max_new_tokens=limit, do_sample=False, num_beams=1, return_timestamps=False,
            stopping_criteria=StoppingCriteriaList([progress]),
        )  # fmt: skip
    start = len(seen[0]) - 1
    return seen[0][:start], seen[-1][start:]


def _forced(model: HuggingFaceModel, prompt: list[int], target: str) -> list[int]:
    """The prompt that Whisper gives itself, then the text with the space before it that its own texts begin with."""
    text = tokenized(model.tokenizer, " " + target.strip(), add_special_tokens=False).input_ids[0].tolist()
    allowed = model.module.config.max_target_positions
    if len(prompt) + len(text) > allowed:
        raise TextTooLong(got=len(prompt) + len(text), allowed=allowed)
    return [*prompt, *text]
