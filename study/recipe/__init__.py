"""The choice of the default recipe by the protocol that LOG.md holds: candidates, development rows, runs, decision."""
