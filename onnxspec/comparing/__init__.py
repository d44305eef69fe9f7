"""More than one model: what happened to each layer between two, and what goes with accuracy in a series.

::

  two models
    align.py      pairs of layers, by what they hold before what they are called
    decide.py     the order in which explanations are tried on one pair
    explain.py    their sentences, evidence and background
    residue.py    what is left once the cheap explanations are done
    pairs.py      one pair as a whole
    audit.py      what quantisation cost
    measures.py   metrics side by side
    assemble.py   the comparison as a whole; saved reports
    evidence/     what the values of two matrices show
  series/         a series of models: do metrics rank them by accuracy?
  checkpoints/    the checkpoints of one training: which layer is which, and what changed

Everything here takes NumPy arrays and layers of reports; nothing opens a file.
"""
