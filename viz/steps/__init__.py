"""Equations as pictures: matrices between operators, and LaTeX."""
