"""The arithmetic of a head, step by step, on the recorded numbers."""
