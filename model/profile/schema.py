"""What a profile's file is called inside: names and versions, known without torch."""

from __future__ import annotations

FORMAT, VERSION = "headlight-profile", 1
KEY = b"headlight"  # of the schema's metadata
# The columns that come before the measures; `text` counts from 0, `source` is the text itself.
TEXT, SITE, HEAD, QUERIES, KEYS, SOURCE = "text", "site", "head", "queries", "keys", "source"
