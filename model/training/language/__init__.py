"""The small grammar that the translator is trained on: English, Chinese and French from one plan."""
