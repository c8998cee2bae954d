"""The model: PatchTST, and the solver that gives a budget its shape."""
