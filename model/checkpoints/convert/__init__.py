"""Weights in other formats, converted once into a folder that the library opens."""
