"""Attribution methods, one file each with a `METHOD`; `model.attribution.registry` collects them."""
