"""Attention to keys of one kind, whatever the query: the first token, special tokens, punctuation."""

from __future__ import annotations

from model.measures.measure import SHARE, KeyMass, Measure, Need, Place

FIRST_TOKEN = Measure(
    "first",
    r"\frac{1}{q} \sum_i A_{i0}",
    KeyMass(lambda layer: layer.first),
    bounds=SHARE,
    role=True,
    orderable=True,
    place=Place(screen=9, table=8, profile=8),
)
SPECIAL_TOKENS = Measure(
    "special",
    r"\frac{1}{q} \sum_i \sum_{j \in S} A_{ij}",
    KeyMass(lambda layer: layer.special),
    bounds=SHARE,
    needs=(Need.SPECIAL,),
    role=True,
    place=Place(screen=10, table=9, profile=9),
)
PUNCTUATION = Measure(
    "punctuation",
    r"\frac{1}{q} \sum_i \sum_{j \in P} A_{ij}",
    KeyMass(lambda layer: layer.punctuation),
    bounds=SHARE,
    needs=(Need.PUNCTUATION,),
    role=True,
    place=Place(screen=11, table=10, profile=10),
)
