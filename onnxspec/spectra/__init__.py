"""Eigenvalues, norms, ranks and singular vectors of weight matrices."""
