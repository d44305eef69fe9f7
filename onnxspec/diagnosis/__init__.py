"""Verdicts on one matrix, each with the numbers that led to it: trained, phase, traps, health."""
