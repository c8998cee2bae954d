"""The stages, in the order of the flow (dvc.yaml). Each runs as `python -m stages.<name>`."""
