"""A series of models: whether capacity metrics rank them by accuracy.

::

  capacity.py      the metrics of a model, and the sign that the theory expects
  correlations.py  rank and linear correlations with p-values and intervals
  stratified.py    the trend within groups
  paradox.py       Simpson's paradox
  ranking.py       the series as a whole
"""
