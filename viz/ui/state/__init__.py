"""What a session looks at, and what is kept for it: the view, the address bar, runs, models, caches."""
