"""What to try first with a model of which no card tells: usual texts by its architecture, and by its task."""

from __future__ import annotations

# By the architecture of `model.checkpoints.disk.families.Family`; a family outside the registry is taken for a decoder.
EXAMPLES = {
    "encoder": ("The capital of France is [MASK].", "The animal didn't cross the street because it was too tired."),
    "decoder": ("Once upon a time", "The cat sat on the mat. The cat sat on the"),
    "encoder-decoder": ("The quick brown fox jumps over the lazy dog.", "I like cats."),
}
# (text, second text) by a task that is about two texts.
TWO_TEXTS = {
    "question_answering": (
        ("What did the cat sit on?", "The cat sat on the mat. The dog slept on the sofa."),
        ("Why didn't the animal cross the street?", "The animal didn't cross the street because it was too tired."),
    ),
    "next_sentence": (
        ("The man went to the store.", "He bought a gallon of milk."),
        ("She opened the window.", "Penguins are birds that cannot fly."),
    ),
    "multiple_choice": (
        ("Marie dropped the glass on the floor.", "It broke.\nIt sang.\nIt was delicious."),
        ("The sun has set.", "It is getting dark.\nIt is getting light."),
    ),
}
