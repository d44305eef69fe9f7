"""Names for files that are no ONNX models, from their first bytes."""

from __future__ import annotations

import codecs

__all__ = ["HEAD", "describe"]

HEAD = 1024

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PK\x03\x04", "a zip archive; unpack it and give the .onnx file in it"),
    (0, b"PK\x05\x06", "an empty zip archive; give an .onnx file"),
    (0, b"\x1f\x8b", "a gzip file; unpack it first"),
    (0, b"BZh", "a bzip2 file; unpack it first"),
    (0, b"\xfd7zXZ\x00", "an xz file; unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd file; unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (257, b"ustar", "a tar archive; unpack it and give the .onnx file in it"),
    (4, b"ORTM", "an .ort file of ONNX Runtime; give the .onnx file that it was made from"),
    (4, b"TFL3", "a TensorFlow Lite model; convert it to ONNX first"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file; export the model to ONNX first"),
    (0, b"GGUF", "a GGUF file; export the model to ONNX first"),
    (0, b"\x93NUMPY", "a NumPy array; export the model to ONNX first"),
    (0, b"%PDF", "a PDF document; give an .onnx file"),
    (0, b"\x7fELF", "a program; give an .onnx file"),
)
_PICKLE_PROTOCOLS = (2, 3, 4, 5)
_TEXT_CONTROLS = frozenset("\t\n\r\f\x1b")


def describe(head: bytes) -> str | None:
    """Say what a file is that is no ONNX model, and what to do.

    Parameters
    ----------
    head : bytes
        Its first `HEAD` bytes.

    Returns
    -------
    str or None
        Continues the sentence "... is"; None where nothing is recognised.
    """
    for offset, magic, name in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return name
    if head.startswith(b"version https://git-lfs.github.com/spec"):
        return "a git-LFS pointer, not the model itself; fetch it with 'git lfs pull'"
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 2**32:
        return "a safetensors file; export the model to ONNX first"
    if len(head) > 2 and head[0] == 0x80 and head[1] in _PICKLE_PROTOCOLS:
        return "a Python pickle (a PyTorch checkpoint?); export the model to ONNX first"
    return _describe_text(head)


def _describe_text(head: bytes) -> str | None:
    """Recognise text and HTML."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return None
    start = text.lstrip()[:15].lower()
    if start.startswith(("<!doctype html", "<html")):
        return "an HTML page (an error page that was downloaded?); download the model again"
    if text and all(char.isprintable() or char in _TEXT_CONTROLS for char in text):
        return "a text file; give an .onnx file"
    return None
