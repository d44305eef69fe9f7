"""Several models at once: a series with its accuracies, and the checkpoints of one training."""

from onnxspec.studies.checkpoints import track
from onnxspec.studies.ranking import series

__all__ = ["series", "track"]
