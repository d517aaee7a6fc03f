"""Evaluation of any model that opens, on a file: loss, perplexity, accuracy, and BLEU and chrF where there are references.

`evaluate` in run.py is the door. What a model is asked depends on what it does: a decoder alone predicts each token from
those before it; an encoder–decoder predicts its target's tokens (teacher forcing) and writes its own answer; a masked model
predicts each token from all others, one masked at a time (the pseudo-perplexity of Salazar et al. 2020, equation 1).
"""
