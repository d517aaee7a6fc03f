"""Errors of edited runs: an edit that cannot be read, what it names is not there, a model that cannot be edited so."""

from __future__ import annotations

from model.errors.base import HeadlightError


class BadEdit(HeadlightError):
    code = "bad_edit"
    sentence = "The edit “{got}” cannot be read ({reason}): write it like {example}."


class NothingToEdit(HeadlightError):
    code = "nothing_to_edit"
    sentence = "The edit “{got}” finds nothing to change in this run: {reason}."


class NotEditable(HeadlightError):
    code = "not_editable"
    sentence = "“{got}” cannot be done in this model ({reason}): what can be is {allowed}."


class OtherLength(HeadlightError):
    code = "other_length"
    sentence = (
        "The other text has {got} tokens in the {side}, and this one {allowed}: a patch needs as many, "
        "so choose texts of equal length."
    )
