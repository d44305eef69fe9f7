"""More than one model: what changed between two, and what goes with accuracy in a series."""
