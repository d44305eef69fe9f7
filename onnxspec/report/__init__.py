"""Reports in the formats that people and programs read: one module a format."""

from onnxspec.report.interface import BINARY, FORMATS, FleetLine, Formatter, binary_formatter, formatter

__all__ = ["BINARY", "FORMATS", "FleetLine", "Formatter", "binary_formatter", "formatter"]
