"""Position encodings as recorded: tables, biases and rotary embeddings."""
