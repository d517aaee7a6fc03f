"""Pictures and sounds as a model's input."""
