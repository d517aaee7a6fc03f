"""Small untrained models of a family, made when asked for."""
