"""finscale: the library behind the stages. Pure functions: no paths, no argparse, no tracking.

The modules follow the data: sources -> validation -> bars -> indicators -> labels -> splits ->
dataset -> windows -> model -> training -> evaluation -> scaling -> reporting.
"""

import os

# Threads of OpenMP wait for each other by spinning; on a busy machine they spin in the place of the one they wait for,
# and two do a third of what one does. It is read once, when torch is loaded; what the user has set stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
