"""Files of texts that users bring: pairs in two columns, or plain text; read from a path or bytes, checked, and split.

`DataFile.open` finds out what a file is, and iterating it gives its lines one after the other; `check` says what is odd in
it, with line numbers, and `cleaned` gives the lines as a person chose. Nothing is held whole, and whatever is read is
bounded by what it unfolds to.
"""
