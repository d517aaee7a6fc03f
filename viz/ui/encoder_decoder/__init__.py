"""The page Encoder decoder."""
