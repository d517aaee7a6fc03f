"""The page Variants."""
