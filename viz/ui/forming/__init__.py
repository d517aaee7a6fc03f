"""The page Forming."""
