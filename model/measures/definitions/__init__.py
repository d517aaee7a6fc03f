"""The measures, one file for those that are made alike. A new file here is a new measure; see `model.measures.measure`."""
