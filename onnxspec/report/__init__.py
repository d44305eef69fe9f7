"""Reports in the formats that people and programs read: one module a format."""

from onnxspec.report.interface import BINARY, FORMATS, Formatter, binary_formatter, formatter

__all__ = ["BINARY", "FORMATS", "Formatter", "binary_formatter", "formatter"]
