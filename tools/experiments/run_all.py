"""Run every experiment, one after the other; finished runs are taken from their files.

python tools/experiments/run_all.py [--quick] [--limit N]

Exit code 0: all done; 3: the data sets are not here.
"""

from __future__ import annotations

import importlib
import sys
import time

import lab

SCRIPTS = (
    "mlp3_entropy",
    "lenet5_spikes",
    "batch_size",
    "localisation",
    "regularisation",
    "compression",
    "pretrained",
    "contradictions",
)
WITHOUT_DATA = 3


def main() -> int:
    data = lab.data_folder()
    wanted = (data / "mnist.npz", data / "cifar10_jpeg.npz", lab.resnet("resnet20_ts_nofold_op11"))
    if gone := [path.name for path in wanted if not path.is_file()]:
        print(f"experiments: no {', '.join(gone)} in {data} and beside it; set ONNXSPEC_DATA", file=sys.stderr)
        return WITHOUT_DATA
    for name in SCRIPTS:
        start = time.monotonic()
        importlib.import_module(name).main()
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
