"""Charts of how the next token is chosen."""
