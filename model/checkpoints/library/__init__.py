"""Models of the transformers library: loading, describing, running and writing."""
