"""The model of Vaswani et al. 2017: attention, masks, positions, layers and both stacks, its hook points and its cache."""
