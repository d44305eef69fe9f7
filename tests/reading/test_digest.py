from __future__ import annotations

import numpy as np
import pytest

from onnxspec._digest import TensorDigest
from onnxspec.reading import StoredTensor

# test_vectors.json of the BLAKE3 reference implementation: bytes 0, 1, ..., 250, 0, 1, ...
VECTORS = {
    0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
}


@pytest.mark.parametrize("count", VECTORS)
def test_the_published_vectors(count: int) -> None:
    digest = TensorDigest("")
    digest.update((np.arange(count) % 251).astype(np.uint8))
    assert digest.name() == f"blake3:{VECTORS[count]}"


def test_parts_and_shapes_change_nothing() -> None:
    values = np.arange(6000, dtype="<f4").reshape(60, 100)
    whole, parts = TensorDigest("x"), TensorDigest("x")
    whole.update(values)
    for start in range(0, 60, 7):
        parts.update(values[start : start + 7])
    assert parts.name() == whole.name()
    assert TensorDigest("y").name() != TensorDigest("x").name()


def test_the_content_hash_covers_type_and_shape_and_bytes() -> None:
    values = np.arange(64, dtype="<f4").reshape(8, 8)
    digest = TensorDigest("float32[8, 8]\n")
    digest.update(values)
    assert StoredTensor.from_array("a", values).content_hash() == digest.name()
    others = [values.reshape(4, 16), values.view("<i4"), values + 1]
    assert len({StoredTensor.from_array("a", other).content_hash() for other in others} | {digest.name()}) == 4
