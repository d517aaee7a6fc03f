"""Many visitors at once: how long a switch of the page takes them, and whether anything goes wrong."""
