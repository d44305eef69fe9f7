"""Reports in the formats that people and programs read: one module a format."""

from onnxspec.report.interface import FORMATS, Formatter, formatter

__all__ = ["FORMATS", "Formatter", "formatter"]
