"""Units: a file for each module or claim of the library, on real data where it can be."""
