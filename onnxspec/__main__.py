"""``python -m onnxspec``."""

from onnxspec.cli import main

main()
