"""From a parsed graph to its weight matrices: what is constant, where it is used, how it becomes a matrix."""

from onnxspec.graph.options import SurveyOptions
from onnxspec.graph.weights import Survey, WeightMatrix, survey

__all__ = ["Survey", "SurveyOptions", "WeightMatrix", "survey"]
