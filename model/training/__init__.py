"""Training the small models that ship: our own grammar and Babel's dates as data, one loop for both.

Nothing here is needed to open a trained checkpoint.
"""
