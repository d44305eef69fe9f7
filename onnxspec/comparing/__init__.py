"""More than one model: what happened to each layer between two, and what goes with accuracy in a series.

::

  between two models
    align.py      pairs of layers, by what they hold before what they are called
    decide.py     the order in which explanations are tried on one pair
    elements.py   one pass over the values: equality, casts, zeros, relative change
    precision.py  what rounding to a stored type may change
    grids.py      evenly spaced values, as quantisation leaves them
    scaling.py    one factor, or one for each channel
    zeros.py      pruning and its patterns; updates of few elements
    orders.py     permuted neurons
    difference.py spectrum of the difference; leading singular vectors
    strangers.py  whether two matrices have anything to do with each other
    audit.py      what quantisation cost
    measures.py   metrics side by side
    assemble.py   the comparison as a whole; saved reports

  over a series
    capacity.py correlations.py paradox.py series.py    do metrics rank models by accuracy?
    tracking.py transitions.py                          layers over checkpoints

Everything here takes NumPy arrays and layers of reports; nothing opens a file.
"""
