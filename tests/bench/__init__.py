"""Measurements: how fast, how large, how often right. Each is a command, none is a test."""
