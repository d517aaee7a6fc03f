"""Runs that are changed on purpose: what an edit is, its text form, and what it does to scores, contexts and activations.

An edit is plain data and never touches a weight: `model.trace(text, edits=["off:decoder.1.cross.1"])` runs the model with its
attention computed otherwise at the places that the edit names, and gives a Trace like any other. Of the rest of `model`
only errors and the softmax are imported here, so that every recorder may ask it.
"""
