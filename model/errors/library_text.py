"""What an exception of a library says, cut to what helps somebody who did not write the code that raised it."""

from __future__ import annotations

import re

_LONGEST = 300
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
# What the libraries' validators put before the sentence itself.
_BEFORE = re.compile(r"^(Class v|V)alidation error for \w+ '[^']*': (\w+Error: )?")
# Sentences to developers: where to report, what to install, which argument to pass, what stands in a log.
_NOT_FOR_READERS = re.compile(
    r"https?://|www\.|github|\bissues?\b|\bbug\b|pull request|\bpip3? install|conda install|\bplease\b|feel free|documentation"
    r"|\bmake sure\b|from_pretrained|trust_remote_code|\b\w+=(True|False)|`\w+` to `\w+`|details look|report above|above report",
    re.IGNORECASE,
)  # fmt: skip


def library_text(error: object, lines: int = 1) -> str:
    """The first `lines` lines of what an error says, without the sentences that are meant for developers; where nothing is
    left, its kind. At most 300 characters, and no full stop at the end."""
    said = " ".join(line.strip() for line in str(error).strip().splitlines()[:lines])
    kept = [part for part in _SENTENCE.split(_BEFORE.sub("", said)) if not _NOT_FOR_READERS.search(part)]
    return " ".join(kept)[:_LONGEST].rstrip(".!: ") or type(error).__name__
