"""Long work: progress, Stop, sub-layers side by side on the free cores, and the device that a model runs on."""
