"""The campaign of faults, `make faults`: kills, signals, full disks, damaged files, servers' answers."""
