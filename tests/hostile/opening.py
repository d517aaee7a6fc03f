"""Each way in which a file comes into Headlight, and a look at all that it shows. A function returns what a badge says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model import Trace, open_model
from model.checkpoints.disk import discovery
from model.checkpoints.media import wav
from model.checkpoints.media.picture_files import read_picture
from model.errors import NotAllowed
from model.profile import rows
from model.profile.read import Profile
from model.profile.texts import scan


def trace(path: Path) -> str:
    """A saved trace, and what the pages read of it."""
    return _looked_at(Trace.open(path))


def model(path: Path | str) -> str:
    """A checkpoint, and a run of a text that it reads."""
    opened = open_model(path)
    if getattr(opened, "reads", "text") == "pictures":
        from model.checkpoints.media import pictures

        return _looked_at(pictures.trace_picture(opened, pictures.sample_picture()))
    if getattr(opened, "reads", "text") == "sound":
        from model.checkpoints.media import sound

        return _looked_at(sound.trace_sound(opened, sound.sample_sound()[0], max_new_tokens=2))
    return _looked_at(opened.trace("the cat sat on the mat"))


def _looked_at(run: Trace) -> str:
    """Every head's weights, the measures, the badge, the first picture; "" where the numbers fit. What is no number in the
    file is none on the page."""
    from viz.overview.overview import overview_frame

    lost = run.logits is not None and bool(run.logits.isnan().any())
    for site in run.sites:
        record = run.record(site)
        for head in range(record.heads):
            weights = run.weights(site, head).double()
            assert weights.shape == (record.queries, record.keys)
            lost = lost or bool(weights.isnan().any())
            assert lost or ((weights >= 0).all() and (weights.sum(-1) < 1 + 1e-4).all())
            run.pooled(site, head, 2)
            assert run.weights(site, head, record.queries - 1, 0).shape == (1, 1)
    run.statistics()
    side = run.side(run.predicting_side)
    for position in range(len(side.tokens) if run.predicts else 0):
        assert all(token and (lost or 0 <= p <= 1 + 1e-9) for token, _, p in run.next_tokens(position))
    words = _Words()
    site = run.sites[-1]
    overview_frame(
        run, (site, 0), {"site": str(site), "head": 0, "row": 0, "column": 0}, words, "", [], True, True, "max"
    )
    assert run.written() == list(map(str, run.written())) and isinstance(run.language, str)
    _said(run)
    fidelity = run.fidelity()
    assert not lost or not fidelity.holds or run.logits.isnan().any()
    return "" if fidelity.holds else "red"


class _Words(dict):
    def __missing__(self, key: str) -> str:
        return key


def _said(run: Trace) -> None:
    """What the remarks on a page read of the facts."""
    facts = run.facts
    for typed, seen in facts.get("folded") or ():
        assert typed and seen
    for name in ("fresh", "missing"):
        assert all(isinstance(text, str) for text in facts.get(name) or ())
    if unknown := facts.get("unknown"):
        assert isinstance(unknown["count"], int) and isinstance(unknown["token"], str)
    if adapter := facts.get("adapter"):
        assert adapter["kind"] and adapter["applied"] in (True, False)
    for side in run.sides.values():
        if any(side.segments):
            assert side.segments.index(1) >= 0
    if "weights" in facts.get("opening", {}):
        assert f"{float(facts['opening']['weights']):.3g}"


def own(path: Path) -> str:
    """A checkpoint of ours, its run, and what its page of the model card reads."""
    opened = open_model(path)
    card = opened.card
    assert all(isinstance(text, str) for text in opened.examples)
    for score in card.get("test", {}).values():
        assert f"{score['exact_match']:.2%} {score['n']}"
    if held_out := card.get("held_out"):
        told = [held_out[name] for name in ("validation_loss", "perplexity", "accuracy") if name in held_out]
        assert all(f"{value:.2f}" for value in told) and f"{held_out['n']:,}"
    for both in card.get("alignment", {}).values():
        best = both["predicting"]
        assert f"{best['agreement']:.1%}" and opened.config.heads > best["head"]
    if found := card.get("coreference"):
        assert all(
            f"{found[name]['share']:.1%}" for name in ("adjective_to_noun", "pronoun_to_adjective", "it_to_noun")
        )
    if card.get("curve"):
        from viz.training_curve import loss_curve

        names = {name: name for name in ("step", "loss", "training", "validation")}
        loss_curve(card["curve"], card["curve_columns"], names)
    for name in ("title", "description", "data", "notice"):
        assert isinstance(card.get(name, ""), str | dict)
    language = next(iter(card.get("test", {})), None) if opened.languages else None
    return _looked_at(opened.trace((opened.examples or ["the cat"])[0], language=language))


def written(path: Path) -> str:
    """A decoder that goes on with a text."""
    return _looked_at(open_model(path).trace("the cat sat on the mat", new_tokens=3))


def profile(path: Path) -> str:
    """A profile of a corpus, and what its page reads."""
    return _profile(Profile.open(path))


def handed_in(path: Path) -> str:
    """The same, as bytes that somebody uploads."""
    return _profile(Profile.open(path.read_bytes(), path.name))


def _profile(opened: Profile) -> str:
    for measure in opened.measures:
        values = opened.values(measure)
        assert values.shape == (len(opened.texts), len(opened.heads))
        rows.quantiles(values)
        rows.typical(values[:, 0], 2)
    assert len(opened.sources) == len(opened.texts) and all(isinstance(text, str) for text in opened.sources[:3])
    assert opened.sizes(0).shape == (len(opened.texts), 2)
    for one in opened.refused:
        assert (
            isinstance(one.text, int)
            and isinstance(one.source + one.code + one.sentence, str)
            and dict(one.values) is not None
        )
    refused = opened.about["refused"]
    assert refused["count"] >= 0 and all(isinstance(n, int) for n in refused.get("reasons", {}).values())
    return ""


def texts(path: Path) -> str:
    """The texts that a profile would be made of."""
    found = scan(path, 5)
    assert all(isinstance(text, str) for text in found)
    return ""


def picture(path: Path) -> str:
    """A picture that somebody uploads."""
    found = read_picture(path.read_bytes(), "p").rgb
    assert found.ndim == 3 and found.shape[2] == 3 and found.size
    return ""


def sound_file(path: Path) -> str:
    """A sound that somebody uploads, brought to the rate that a model reads."""
    samples, rate = wav.read_wav(path.read_bytes(), "s")
    heard = wav.resample(samples, rate)
    assert (
        np.isfinite(heard).all() and abs(heard).max() <= 1.1 and abs(len(heard) / wav.RATE - len(samples) / rate) < 1e-3
    )
    return ""


def listed(models: Path) -> str:
    """What a folder of models offers, as everybody's own and as strangers may open it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADLIGHT_MODELS", str(models))
        found = discovery.discover()
        assert "good" in found and open_model("good", confined=True)
        for name, entry in found.items():
            assert (name + entry.title).encode()
            if entry.kind == "folder" and not discovery.allowed(entry.path):
                with pytest.raises(NotAllowed):
                    open_model(name, confined=True)
        assert not [name for name in discovery.discover(confined=True) if name in ("half", "outside")]
    return ""


def long_text(path: Path) -> str:
    """A text that an expression of nested repetitions goes through again and again."""
    return _looked_at(open_model(path).trace("a" * 60 + "!"))


def chat(path: Path) -> str:
    """Two turns through the tokenizer's template."""
    return _looked_at(open_model(path).trace("the cat sat\non the mat", chat=True))
