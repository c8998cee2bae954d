"""Evaluation: calibration, metrics with block-bootstrap intervals, and baselines on the same days."""
