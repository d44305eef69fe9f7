"""The power-law fit of one tool on samples of several sizes; runs in the tool's own environment.

python tools/bench/fit_peer.py onnxspec|powerlaw|powerlawrs|plfit    JSON: size -> [CPU seconds of one fit, alpha]
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

SIZES = (512, 1024, 4096)
RUNS = 5


def sample(n: int) -> np.ndarray:
    """Draw a body and a tail, as the eigenvalues of a trained layer have."""
    random = np.random.default_rng(n)
    return np.sort(np.concatenate([random.random(n - n // 5) + 0.01, 1.0 + random.pareto(2.0, n // 5)]))


def fitter(tool: str) -> Callable[[np.ndarray], float]:
    """Give the function that fits alpha with xmin chosen."""
    if tool == "onnxspec":
        import onnxspec

        return lambda x: onnxspec.fit_power_law(x, min_tail=2).alpha or 0.0
    if tool == "powerlaw":
        import powerlaw

        return lambda x: powerlaw.Fit(x, verbose=False).alpha
    if tool == "powerlawrs":
        import powerlawrs

        return lambda x: float(powerlawrs.fit(x.tolist()).ParetoFit.alpha) + 1.0
    import plfit

    return lambda x: float(plfit.plfit(x, usefortran=False, usecy=False, quiet=True, verbose=False)._alpha)


def main() -> None:
    """Fit every sample several times."""
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(io.StringIO()):
        fit = fitter(sys.argv[1])
        fit(sample(128))
        found = {}
        for n in SIZES:
            x = sample(n)
            times = []
            for _ in range(RUNS):
                before = time.process_time()
                alpha = fit(x)
                times.append(time.process_time() - before)
                if times[-1] > 2.0:
                    break
            found[n] = [statistics.median(times), alpha]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
