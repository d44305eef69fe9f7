"""Take out of an environment what a program at run time never reads, and say how much that was.

``python tools/trim_site_packages.py SITE-PACKAGES [--dry-run]``

Safe, and removed: test suites, type stubs, C and Cython sources and headers, static
libraries, sample data, pip itself, and parts of a few libraries that only their own tools
import. Kept: every shared library as the wheel brought it (stripping breaks some), all
licences and metadata, and compiled bytecode, since a read-only root could not write it anew.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

TEST_FOLDERS = frozenset({"tests", "test"})
ENDINGS = (".pyi", ".pyx", ".pxd", ".pxi", ".a", ".lib", ".h", ".hpp", ".c", ".cc", ".cpp", ".f", ".f90", ".cuh")
KEPT_TESTS = frozenset({"numpy/_core/tests"})
"""numpy.testing imports a module from here, and scipy imports numpy.testing."""

PARTS = (
    "pip",  # nothing is installed at run time
    "setuptools",
    "pkg_resources",
    "_distutils_hack",
    "distutils-precedence.pth",
    "matplotlib/mpl-data/sample_data",
    "onnx/backend",  # test data of other backends
    "onnx/bin",
    "onnxruntime/transformers",  # converters, never imported by onnxruntime itself
    "onnxruntime/tools",
    "onnxruntime/quantization",
    "onnxruntime/datasets",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    folder: Path = options.folder
    if not (folder / "onnxspec").is_dir() and not list(folder.glob("onnxspec-*.dist-info")):
        parser.error(f"{folder} holds no onnxspec; give the site-packages folder of its environment")
    before = size_of(folder)
    gone = trim(folder, dry_run=options.dry_run)
    print(f"site-packages: {before / 2**20:.1f} MiB before, {(before - gone) / 2**20:.1f} MiB after")


def trim(folder: Path, *, dry_run: bool = False) -> int:
    """Remove what is not needed, and give its bytes."""
    gone = 0
    for path in candidates(folder):
        if not path.exists() and not path.is_symlink():
            continue  # it went with its folder
        gone += size_of(path)
        if dry_run:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return gone


def candidates(folder: Path) -> Iterator[Path]:
    """Give what can go; nothing of it twice."""
    whole = [folder / part for part in PARTS if (folder / part).exists()]
    whole += [info for name in ("pip", "setuptools") for info in folder.glob(f"{name}-*.dist-info")]
    for name in TEST_FOLDERS:
        for path in sorted(folder.rglob(name)):
            inside = path.relative_to(folder).as_posix()
            nested = any(above in path.parents for above in whole)
            if path.is_dir() and len(path.relative_to(folder).parts) > 1 and inside not in KEPT_TESTS and not nested:
                whole.append(path)
    yield from whole
    for path in sorted(folder.rglob("*")):
        if path.suffix in ENDINGS and path.is_file() and not any(above in path.parents for above in whole):
            yield path


def size_of(path: Path) -> int:
    """Give the bytes of a file, or of all files below a folder."""
    if path.is_file() or path.is_symlink():
        return path.lstat().st_size
    return sum(one.lstat().st_size for one in path.rglob("*") if not one.is_dir() or one.is_symlink())


if __name__ == "__main__":
    main()
