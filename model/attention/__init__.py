"""One head's weights at any length: rows, tiles, downsampled pictures, the largest weights, variants and masks."""
