"""The spectra of 10,000 slices against a bare compiled loop over LAPACK on the ready Gram matrices.

python tools/bench/slices.py    JSON: CPU seconds of both, interleaved, and the largest difference
"""

from __future__ import annotations

import ctypes
import json
import time

import numpy as np
from models import SIDE, SLICES, trained_like
from numba import njit, types
from numba.extending import get_cython_function_address
from threadpoolctl import threadpool_limits

from onnxspec.spectra.eigen import spectrum

RUNS = 5

_POINTERS = [ctypes.c_void_p] * 10
_DSYEVD = ctypes.CFUNCTYPE(None, *_POINTERS, ctypes.c_void_p)(
    get_cython_function_address("scipy.linalg.cython_lapack", "dsyevd")
)


@njit(types.int64(types.float64[:, :, ::1], types.float64[:, ::1]))  # type: ignore[untyped-decorator]
def solve(grams: np.ndarray, evals: np.ndarray) -> int:
    """Call LAPACK's dsyevd, without vectors, on one matrix after the other."""
    n = grams.shape[1]
    job, part = np.array([ord("N")], np.uint8), np.array([ord("L")], np.uint8)
    size, info = np.array([n], np.int32), np.zeros(1, np.int32)
    lwork = np.array([(2 + 32) * n + n * n], np.int32)
    liwork = np.array([5 * n + 3], np.int32)
    work, iwork = np.empty(lwork[0]), np.empty(liwork[0], np.int32)
    failed = 0
    for i in range(len(grams)):
        _DSYEVD(
            job.ctypes,
            part.ctypes,
            size.ctypes,
            grams[i].ctypes,
            size.ctypes,
            evals[i].ctypes,
            work.ctypes,
            lwork.ctypes,
            iwork.ctypes,
            liwork.ctypes,
            info.ctypes,
        )
        failed += info[0] != 0
    return failed


def main() -> None:
    """Time both, in turn."""
    stack = np.ascontiguousarray(trained_like(SIDE, SIDE * SLICES, 3).reshape(SIDE, SIDE, SLICES).transpose(2, 0, 1))
    wide = stack.astype(np.float64)
    grams = wide.swapaxes(1, 2) @ wide
    ours, bare = [], []
    difference = 0.0
    with threadpool_limits(limits=1, user_api="blas"):
        for _ in range(RUNS):
            before = time.process_time()
            found = spectrum(stack).singular_values
            ours.append(time.process_time() - before)
            copy, evals = grams.copy(), np.empty((SLICES, SIDE))
            before = time.process_time()
            failed = solve(copy, evals)
            bare.append(time.process_time() - before)
            assert not failed
            expected = np.sort(np.sqrt(np.maximum(evals, 0.0)).ravel())[::-1]
            difference = max(difference, float(np.max(np.abs(found - expected))) / float(expected[0]))
    print(json.dumps({"onnxspec": ours, "bare loop": bare, "difference": difference}))


if __name__ == "__main__":
    main()
