"""Files that strangers hand over: only regular ones, of a size that can be read, are read."""
