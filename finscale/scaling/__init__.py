"""Scaling: the ledger of experiments, the law fitted to it, and its figure."""
