"""The page Output."""
