"""The text itself, coloured by attention."""
