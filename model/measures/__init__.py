"""Measures of attention heads: one row a head, and two tests that need a run of their own.

`head_statistics` measures the heads of a sub-layer in one pass over their weights; `table` puts a run's heads one below
the other and names those that earn it. `induction` measures on random repeats, `cross_alignment` against a gold alignment.
"""
