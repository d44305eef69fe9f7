"""Which weights are the same bytes under two names, taken apart and put together in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from onnxspec.errors import TensorError
from onnxspec.graph.costs import FEW
from onnxspec.graph.fingerprint import fingerprint

if TYPE_CHECKING:
    from onnxspec.graph.weights import WeightMatrix
    from onnxspec.reading import StoredTensor

__all__ = ["merge_equal"]


def merge_equal(weights: list[WeightMatrix]) -> list[WeightMatrix]:
    """Make one of the weights whose stored bytes are equal; the first stands for all.

    Whole payloads are read only where shape, type, use and a sample of the values
    are equal already.
    """
    dropped: set[int] = set()
    for alike in _groups(weights, _outline):
        for sampled in _groups(alike, _sample):
            for same in _groups(sampled, _digest):
                first = same[0]
                names = dict.fromkeys(name for weight in same for name in (weight.tensor, *weight.copies))
                for weight in same[1:]:
                    first.used_by.extend(weight.used_by)
                    first.slots += weight.slots
                    first.small_slots += weight.small_slots
                    weight.merged_into = first
                    dropped.add(id(weight))
                first.copies[:] = [name for name in names if name != first.tensor]
    return [weight for weight in weights if id(weight) not in dropped]


def _groups(weights: Iterable[WeightMatrix], key: Callable[[WeightMatrix], object]) -> Iterator[list[WeightMatrix]]:
    """Give the groups of two or more weights with one key; an unreadable weight is in none."""
    found: dict[object, list[WeightMatrix]] = {}
    for weight in weights:
        try:
            found.setdefault(key(weight), []).append(weight)
        except TensorError:
            continue
    return (group for group in found.values() if len(group) > 1)


def _outline(weight: WeightMatrix) -> object:
    """Give what is known without reading."""
    if weight.problem is not None or weight.constant.steps > FEW:
        raise weight.problem or TensorError("over_limit", "too many steps lie below it")
    slot = weight.slot
    return weight.shape, weight.dtype, weight.constant.chain(), slot.role, slot.form, slot.part


def _sample(weight: WeightMatrix) -> object:
    """Read a first, a middle and a last row of each stored tensor."""
    return tuple(_rows(leaf) for leaf in weight.constant.leaves())


def _rows(tensor: StoredTensor) -> tuple[object, ...]:
    if not tensor.shape or tensor.size == 0:
        return tensor.shape, tensor.content_hash()
    rows = tensor.shape[0]
    return tensor.shape, *(tensor.read_rows(row, row + 1).tobytes() for row in sorted({0, rows // 2, rows - 1}))


def _digest(weight: WeightMatrix) -> object:
    """Hash the stored bytes of everything that the weight is made of, and how it is made of them."""
    return fingerprint(weight)
