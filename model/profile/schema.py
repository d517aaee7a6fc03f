"""Names and version of a profile's Parquet file, shared by its writer and reader; nothing here imports torch."""

from __future__ import annotations

FORMAT, VERSION = "headlight-profile", 2
KEY = b"headlight"  # of the schema's metadata
# The columns that come before the measures; `text` counts from 0, `source` is the text itself.
TEXT, SITE, HEAD, QUERIES, KEYS, SOURCE = "text", "site", "head", "queries", "keys", "source"
# Since version 2: how the sub-layer's record checks, one of `VERDICTS`, and how far off the module's own output it is.
CHECK, ERROR = "check", "check_error"
HOLDS, FAILS, UNCHECKED = VERDICTS = ("holds", "fails", "not checked")
