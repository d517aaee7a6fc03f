"""Errors of files of texts that users bring."""

from __future__ import annotations

from model.errors.base import HeadlightError


class DataFileRefused(HeadlightError):
    code = "data_file"
    sentence = (
        "The file {path} cannot be used: {reason}. Pairs come as .tsv, .csv, .jsonl or .parquet with two columns, plain text "
        "as .txt with an example a line."
    )


class TooManyLines(HeadlightError):
    code = "too_many_lines"
    sentence = "The file {path} has more than {allowed} lines, which are not checked at once: give a part of it."


class NothingLeft(HeadlightError):
    code = "nothing_left"
    sentence = (
        "Of the {got} lines of {path} none is left: keep some of what its check leaves out, or give another file."
    )
