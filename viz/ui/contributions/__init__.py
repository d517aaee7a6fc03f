"""The page Contributions."""
