"""The page Block."""
