"""How the next token is chosen: greedy, beam search, sampling, temperature, and what a KV cache saves."""
