"""Fine-tune a little: a few steps of any open model on a handful of pairs or lines, what changes, and the result as a folder.

What is learned is what `model.evaluation` measures, so that the loss before and after is of the same kind.
"""
