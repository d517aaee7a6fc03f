"""Runs on disk: one safetensors file whose metadata is JSON; no pickle, opened lazily, versioned."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from model.errors import NewerTraceFile, TraceFileError, TraceNotSaved
from model.files.regular import no_file
from model.trace.attention_record import AttentionRecord
from model.trace.saved import shapes
from model.trace.site import Site
from model.trace.tensors import FileStore, Store
from model.trace.trace_key import Side, TraceKey
from model.transformer.masks import DenseMask, IntervalMask, RuleMask, from_parts

FORMAT = "headlight-trace"
VERSION = 2
_LONGEST = 32 * 2**20  # characters of a description: a vocabulary of 260,000 tokens has 4 million


@dataclass(frozen=True, eq=False)
class Saved:
    """What a file holds of a run, as in the fields of `model.Trace`; logits_error, logits_limit: as its fidelity
    was measured, or None."""

    key: TraceKey
    sides: Mapping[str, Side]
    attention: Mapping[Site, AttentionRecord]
    store: Store
    vocabulary: tuple[str, ...]
    facts: Mapping[str, object]
    logits_error: float | None
    logits_limit: float | None = None


def save(run: Saved, path: Path) -> Path:
    """Write `run` to `path` (parents are made) and return it. Raises TraceNotSaved; no half file is left behind."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # Records may be views into one larger tensor; a file needs each on its own.
    tensors = {name: run.store[name].contiguous().clone() for name in run.store.names()}
    attention = []
    for site, record in run.attention.items():
        entry = {"site": str(site), "scale": record.scale, "distance": record.distance, "softcap": record.softcap}
        kind, parts = record.mask.parts()
        entry["mask"] = kind
        if site.sides is not None:
            entry["sides"] = list(site.sides)
        tensors |= {f"{site}.mask_{name}": part for name, part in parts.items()}
        if record.slopes is not None:
            tensors[f"{site}.slopes"] = record.slopes.contiguous()
        attention.append(entry)
    document = {
        "key": asdict(run.key),
        "sides": {name: asdict(side) for name, side in run.sides.items()},
        "attention": attention,
        "tensors": {name: list(tensor.shape) for name, tensor in tensors.items()},
        "vocabulary": list(run.vocabulary),
        "facts": dict(run.facts),
        "logits_error": run.logits_error,
        "logits_limit": run.logits_limit,
        "torch": torch.__version__,
    }
    # An older version would put the stack's tokens beside rows and columns that have a list of their own.
    version = VERSION if any("sides" in entry for entry in attention) else 1
    metadata = {"format": FORMAT, "version": str(version), "trace": json.dumps(document, ensure_ascii=False)}
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(_apart(tensors), str(partial), metadata=metadata)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        if partial.is_file():
            partial.unlink()
        raise TraceNotSaved(path=path, reason=getattr(error, "strerror", None) or error) from error
    return path


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor in memory of its own, as the format wants it: one mask may serve many layers."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        found[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return found


def load(path: Path) -> Saved:
    """Open the file at `path`. Raises TraceFileError (missing, not a trace, damaged) or NewerTraceFile."""
    from safetensors import SafetensorError, safe_open

    if reason := no_file(path):
        raise TraceFileError(path=path, reason=reason)
    _check_header(path)
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise TraceFileError(path=path, reason="it is damaged or not a safetensors file") from error
    if metadata.get("format") != FORMAT:
        raise TraceFileError(path=path, reason="it is a safetensors file, but not a recorded trace")
    version = metadata.get("version", "")
    if not re.fullmatch("[0-9]{1,9}", version):
        raise TraceFileError(path=path, reason=f"its format version “{version}” is not a number")
    if int(version) > VERSION:
        raise NewerTraceFile(path=path, got=version, allowed=VERSION)
    try:
        if len(metadata["trace"]) > _LONGEST:
            raise ValueError(f"it has more than {_LONGEST:,} characters")
        return _build(json.loads(metadata["trace"]), FileStore(path))
    except (SafetensorError, OSError) as error:
        raise TraceFileError(path=path, reason="it is damaged or not a safetensors file") from error
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError) as error:
        raise TraceFileError(path=path, reason="its description is damaged") from error
    except ValueError as error:
        raise TraceFileError(path=path, reason=f"its description is damaged ({error})") from error


def _check_header(path: Path) -> None:
    """Raises TraceFileError for a header that the library would read whole, however long it says that it is."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise TraceFileError(path=path, reason=error.strerror or "it cannot be read") from error
    if len(start) < 8 or int.from_bytes(start, "little") > 2 * _LONGEST:
        raise TraceFileError(path=path, reason="it is damaged or not a safetensors file")


def _side(side: dict) -> Side:
    tokens, ids, special = (tuple(side[part]) for part in ("tokens", "ids", "special"))
    return Side(tokens, ids, special, **{part: tuple(side.get(part, ())) for part in ("shown", "words", "segments")})


def _mask(store: FileStore, site: Site, kind: str, lengths: Mapping[str, int]) -> RuleMask | IntervalMask | DenseMask:
    parts: dict[str, Tensor] = {}

    def read(name: str) -> Tensor:
        parts[name] = store[f"{site}.mask_{name}"]
        return parts[name]

    mask = from_parts(kind, read)
    shapes.check_mask(site, parts, lengths[site.query_side], lengths[site.key_side])
    return mask


def _build(document: object, store: FileStore) -> Saved:
    from model.trace.saved import schema  # pydantic takes 0.1 s to import

    told = schema.read(document)
    wrong = [
        name for name, shape in document["tensors"].items() if name not in store or store.shape(name) != tuple(shape)
    ]
    if wrong:
        raise ValueError(f"{', '.join(wrong[:3])} {'is' if len(wrong) == 1 else 'are'} missing or of another size")
    sides = {name: _side(side) for name, side in document["sides"].items()}
    lengths = {name: len(side.tokens) for name, side in sides.items()}
    attention = {}
    for entry in document["attention"]:
        site = replace(Site.parse(entry["site"]), sides=tuple(entry["sides"]) if entry.get("sides") else None)
        shapes.check(store, site, lengths, entry["distance"])
        slopes = store[f"{site}.slopes"] if f"{site}.slopes" in store else None
        attention[site] = AttentionRecord(
            site, float(entry["scale"]), _mask(store, site, entry["mask"], lengths), store, slopes, entry["distance"],
            entry["softcap"],
        )  # fmt: skip
    shapes.check_rest(store, sides, list(attention))
    key, facts = document["key"], schema.facts_of(told, document)
    schema.check_facts(told, lengths)
    shapes.check_media(store, facts.get("reads", ""))
    return Saved(
        key=TraceKey(
            key["model"], key["weights_hash"], key["source"], key["target"], tuple(map(tuple, key["options"]))
        ),
        sides=sides,
        attention=attention,
        store=store,
        vocabulary=tuple(document["vocabulary"]),
        facts=facts,
        logits_error=document["logits_error"],
        logits_limit=document.get("logits_limit"),  # older files have none
    )
