"""What the numbers of a layer depend on, as one key: weight, settings, code and libraries."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onnxspec import __version__
from onnxspec.graph.fingerprint import fingerprint

if TYPE_CHECKING:
    from onnxspec.graph import WeightMatrix
    from onnxspec.settings import Settings

__all__ = ["NOT_NUMERICAL", "code_version", "layer_key"]

NOT_NUMERICAL = frozenset({"catalogue", "cli", "distributed", "plots", "policy", "report", "studies"})
"""Parts of the package that decide no number; a change of any other makes new keys."""

SELECTING = frozenset({"gates", "include", "exclude", "roles"})
"""Settings that choose matrices and roles; what they chose stands in the weight's own digest."""

SOURCES = frozenset({".py", ".npy", ".npz"})
"""Endings of files that decide numbers: code, and tables of null laws."""

LIBRARIES = ("scipy", "numba", "powerlaw", "ml_dtypes")


def layer_key(weight: WeightMatrix, settings: Settings) -> bytes:
    """Give the key of a layer's numbers: 32 bytes.

    Raises
    ------
    TensorError
        The weight cannot be read, or has no digest.
    """
    chosen = {name: value for name, value in settings.canonical().items() if name not in SELECTING}
    text = json.dumps([code_version(), chosen, fingerprint(weight)], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=32).digest()


@cache
def code_version() -> str:
    """Name the code and the libraries that make the numbers: the package's version and a digest.

    The digest covers the sources and tables of the package (without `NOT_NUMERICAL`), the
    versions of the libraries, the linear algebra library with the kernels that it
    chose for this processor, and the vector instructions that NumPy found. Floating-point
    sums differ in their last bits where one of these does.

    Raises
    ------
    OSError
        The sources cannot be read.
    """
    digest = hashlib.blake2b(json.dumps(_environment(), sort_keys=True).encode(), digest_size=8)
    package = Path(__file__).resolve().parents[1]
    for path in sorted(path for path in package.rglob("*") if path.suffix in SOURCES):
        relative = path.relative_to(package)
        if relative.parts[0].removesuffix(".py") not in NOT_NUMERICAL:
            digest.update(relative.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{__version__}+{digest.hexdigest()}"


def _environment() -> dict[str, object]:
    """Say what else decides the last bits."""
    from threadpoolctl import threadpool_info

    blas = {
        (found.get("internal_api"), found.get("architecture"), _not_of_a_wheel(found))
        for found in threadpool_info()
        if found.get("user_api") == "blas"
    }
    built = np.show_config(mode="dicts")
    return {
        "python": sys.version_info[:2],
        "machine": (sys.platform, platform.machine()),
        "numpy": np.__version__,
        "vector": built.get("SIMD Extensions"),
        "built_with": built.get("Build Dependencies"),
        "blas": sorted(blas, key=str),
        "libraries": [(name, _version(name)) for name in LIBRARIES],
    }


def _not_of_a_wheel(found: dict[str, object]) -> object:
    """Give the version of a BLAS that several packages share.

    Wheels of NumPy and SciPy bring an OpenBLAS each, and SciPy's is loaded late or
    never; their versions follow from the packages' own.
    """
    return None if found.get("internal_api") == "openblas" else found.get("version")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
