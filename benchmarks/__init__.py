"""Timings of the app, printed as Markdown tables. Ratios within one run travel to other machines; milliseconds do not."""
