"""Attention distance in tokens: i − j over all cells, weighted by attention."""

from __future__ import annotations

import math

from model.measures.measure import CellMean, Measure, Need, Place

DISTANCE = Measure(
    "distance",
    r"\sum_{ij} A_{ij}\,(i - j) \,\Big/ \sum_{ij} A_{ij}",
    CellMean(lambda block: block.offsets()),
    unit="tokens",
    bounds=(-math.inf, math.inf),
    needs=(Need.ONE_SEQUENCE,),
    orderable=True,
    column="mean_distance",
    place=Place(screen=3, table=2, profile=3),
)
RMS_DISTANCE = Measure(
    "rms_distance",
    r"\sqrt{\sum_{ij} A_{ij}\,(i - j)^2 \,\Big/ \sum_{ij} A_{ij}}",
    CellMean(lambda block: block.squared_offsets(), finish=lambda mean: mean.clamp(min=0).sqrt()),
    unit="tokens",
    needs=(Need.ONE_SEQUENCE,),
    drawn=False,
    place=Place(screen=4, table=3, profile=4),
)
