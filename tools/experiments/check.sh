#!/usr/bin/env bash
# Run all experiments with --quick, in an environment of their own: torch stays out of the package's.
# Skips, and says so, where torch or the data sets cannot be had; fails where an experiment fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=.venv-experiments
wanted="$(cat pyproject.toml tools/experiments/requirements.txt | sha256sum)"
if [ "$(cat $venv/.installed 2>/dev/null)" != "$wanted" ]; then
    test -x $venv/bin/python || "${PYTHON:-python3}" -m venv $venv
    if ! $venv/bin/python -m pip install --quiet --disable-pip-version-check -r tools/experiments/requirements.txt; then
        echo "experiments: SKIPPED, the packages of tools/experiments/requirements.txt cannot be installed here"
        exit 0
    fi
    $venv/bin/python -m pip install --quiet --disable-pip-version-check -e .
    echo "$wanted" > $venv/.installed
fi
work="$(mktemp -d)" # nothing of an earlier run may stand in for this one
trap 'rm -rf "$work"' EXIT
code=0
OPENBLAS_NUM_THREADS=1 $venv/bin/python -W ignore tools/experiments/run_all.py --quick --work "$work" || code=$?
if [ $code = 3 ]; then
    echo "experiments: SKIPPED, the data sets are not here"
    exit 0
fi
exit $code
