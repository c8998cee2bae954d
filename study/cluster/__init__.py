"""Cluster: a phase's runs on other machines, through executors that exist (docs/cluster.md)."""
