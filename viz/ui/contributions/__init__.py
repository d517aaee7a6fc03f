"""The page Heads together."""
