"""Tests and bench of training on a GPU, with a driver that ends in time."""
