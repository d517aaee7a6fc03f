"""Measures of every head over a corpus: streamed, resumed after a kill, one Parquet file in the end.

`run.profile` runs each text once and measures it (`model.measures`); `table` says what a row is and holds the pure
functions, map and merge, which `ray` hands to Ray Data unchanged; `part_files` keeps finished work; `read.Profile` reads
the file back, without torch.
"""
