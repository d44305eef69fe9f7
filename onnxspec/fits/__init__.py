"""Fits of eigenvalue spectra: power laws with their error bars, and the random bulk."""
