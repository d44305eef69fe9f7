"""Random-matrix laws: densities, quantiles, edges and samplers."""
