"""What the values of two matrices show: arrays in, statistics out; `comparing.decide` says what they mean.

::

  elements.py    one pass over the values: equality, casts, zeros, relative change
  precision.py   what rounding to a stored type may change
  grids.py       evenly spaced values, as quantisation leaves them
  stores.py      the grid or type that a layer was stored on, and whether it explains the change
  scaling.py     one factor, or one for each channel
  zeros.py       pruning and its patterns; updates of few elements
  orders.py      permuted neurons
  difference.py  spectrum of the difference; leading singular vectors
  strangers.py   whether two matrices have anything to do with each other
"""
