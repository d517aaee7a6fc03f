"""A small trained model of every family on the page of families: the library's classes and objectives on our grammar.

One file an objective, with the families that are trained by it; `registry` lists them, `train` makes one. Nothing here is
needed to open what it made.
"""
