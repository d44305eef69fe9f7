"""From a weight matrix to a layer of the report, and from its layers to the numbers of a model.

::

  blank.py           what is known without reading the values
  value_facts.py     one pass over the values: finite, largest, denormals, hash
  analyze.py         the whole numerical job of one layer
  estimated.py       the same where the matrix is too large for its eigenvalues
  verdicts.py        error bars, bulk, trained verdict and phase, by effort
  verdict_fields.py  which fields those are
  summary.py         means over the layers, and coverage
"""
