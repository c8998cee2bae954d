"""Data: bars, labels, splits, and the windows that a model is shown."""
