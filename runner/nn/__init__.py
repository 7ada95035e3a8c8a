"""The network core: plain NumPy, from the activation functions up to training."""
