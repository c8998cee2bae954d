"""finscale: the library behind the stages. Pure functions: no paths, no argparse, no tracking.

The modules follow the data: sources -> validation -> bars -> indicators -> labels -> splits ->
dataset -> windows -> model -> training -> evaluation -> scaling -> reporting.
"""
