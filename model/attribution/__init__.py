"""What a weight is worth: methods that say how much each edge, head and token has to do with what the model said."""
