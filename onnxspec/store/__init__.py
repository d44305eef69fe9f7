"""Results of layers that were analysed before, kept in a file by the content of their weights.

::

    key.py        what a result depends on: weight, settings, code, libraries
    row.py        a layer's numbers as bytes and back, checked
    database.py   the sqlite file
    results.py    the store that an analysis uses

Whatever is wrong with a store costs its use, never the analysis and never a number
(docs/decisions/010).
"""

from __future__ import annotations

from onnxspec.store.database import DEFAULT_NAME, StoreError, StoreInfo, clear, describe, located
from onnxspec.store.key import code_version
from onnxspec.store.results import ResultStore, StoreWarning

__all__ = [
    "DEFAULT_NAME",
    "ResultStore",
    "StoreError",
    "StoreInfo",
    "StoreWarning",
    "clear",
    "code_version",
    "describe",
    "located",
]
