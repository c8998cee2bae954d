"""Tests: units, whole runs, what must be impossible, a GPU, and measurements that are no tests."""
