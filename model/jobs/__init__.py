"""Long work: progress, Stop, and sub-layers side by side on the free cores."""
