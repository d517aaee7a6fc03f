"""Text to tokens of our own models, and how much of a long text a model reads."""
