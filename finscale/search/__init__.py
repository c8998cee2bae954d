"""Hyper-parameter search (SPEC 9): spaces, studies, objective and what a study found."""
