"""Measures of every head over a corpus: streamed, resumed after a kill, one Parquet file in the end.

`run.profile` runs each text once and measures it (`model.measures`); `table` says what a row is and holds the pure
functions, map and merge, which `spread` hands to Ray Data unchanged; `parts` keeps finished work; `opened.Profile` reads
the file back, without torch.
"""
