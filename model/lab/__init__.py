"""Training as a job: a process of its own, watched and controlled by anybody through the files in its folder."""
