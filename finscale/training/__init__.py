"""Training: device and precision, the loop, and checkpoints."""
