"""What every picture is made of: axes, colours, numbers, payloads, and files."""
