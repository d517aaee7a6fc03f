"""How the next token is chosen: greedy, beam search, sampling, temperature, and what a cache of keys and values saves."""
