"""From a parsed graph to its weight matrices: what is constant, where it is used, how it becomes a matrix."""

from onnxspec.graph.options import SurveyOptions
from onnxspec.graph.surveying import Survey, survey
from onnxspec.graph.weights import WeightMatrix

__all__ = ["Survey", "SurveyOptions", "WeightMatrix", "survey"]
