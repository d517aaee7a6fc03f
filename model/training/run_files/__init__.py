"""The files of a training run: where they lie, the log, and the state that a resume goes on from."""
