"""Training, validation and test examples told apart by the text itself, so that no order and no added line moves one."""

from __future__ import annotations

import hashlib
import unicodedata

from model.errors import HeadlightError

PARTS = ("train", "validation", "test")
SHARES = (0.8, 0.1, 0.1)


def text_hash(*texts: str) -> int:
    """64 bits of the SHA-256 of the texts (NFC, spaces at the ends left out): the same on every machine."""
    plain = "\0".join(unicodedata.normalize("NFC", text).strip() for text in texts)
    return int.from_bytes(hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def part_of(source: str, shares: tuple[float, float, float] = SHARES, seed: int = 0) -> str:
    """One of `PARTS`. Only the source decides: all targets of one source fall into one part, and no test sentence is learned.

    shares: of training, validation and test, which sum to 1. Raises HeadlightError for others.
    """
    if len(shares) != len(PARTS) or min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise HeadlightError(reason=f"The shares {shares} are no parts of a whole: give three that sum to 1.")
    place = text_hash(str(seed), source) / 2**64
    return PARTS[0] if place < shares[0] else PARTS[1] if place < shares[0] + shares[1] else PARTS[2]
