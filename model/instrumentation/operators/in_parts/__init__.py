"""Attention that a module computes in parts: heads one by one, runs of queries, blocks of keys."""
