"""Whole runs: the real stages under the real DVC, in clones of this repository."""
