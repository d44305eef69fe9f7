"""Several models at once: a series with its accuracies, and the checkpoints of one training."""

from onnxspec.studies.ranking import series

__all__ = ["series"]
