"""diffract-core on the same matrices; runs in an environment of its own, with Python 3.12 or newer.

python tools/bench/diffract_peer.py WEIGHTS.npz
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
from diffract import Session

FIELDS = [
    *("stable_rank", "hard_rank", "effective_rank", "frob_norm", "log_norm", "log_spectral_norm"),
    *("pl_alpha", "pl_ks", "pl_esd_xmin", "pl_alpha_weighted", "pl_alpha_norm"),
]
"""What corresponds to the fast effort. Its truncated power law took more than 8 minutes for four layers."""


def main() -> None:
    """Analyse the matrices of the file."""
    warnings.simplefilter("ignore")
    stored = np.load(sys.argv[1])
    matrices = {}
    for i, name in enumerate(stored.files):
        groups, outputs, inputs, positions = stored[name].shape
        if groups == positions == 1:
            matrices[f"layer{i}.weight"] = stored[name].reshape(outputs, inputs)
    with Session(profile="ram") as session:
        session.models.add(matrices, model_id="model")
        session.compute.apply(*FIELDS)
        print(len(session.results.export_metrics("pl_alpha", export_format="list")))


if __name__ == "__main__":
    main()
