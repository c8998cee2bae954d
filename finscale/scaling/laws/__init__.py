"""Laws: the mathematics of fits, intervals and choices alone; it knows no ledger and no file."""
