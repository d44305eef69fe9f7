"""Fuzzing of all that reads untrusted bytes; ``python -m tests.fuzz.run`` starts it."""
