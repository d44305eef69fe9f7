#!/bin/sh
# Make the environment /opt/onnxspec from the sources in the current folder, trim it, and compile all kernels.
set -eu
prefix=/opt/onnxspec
python3 -m venv "$prefix/env"
"$prefix/env/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check .
packages=$("$prefix/env/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$prefix/env/bin/python" tools/trim_site_packages.py "$packages"
"$prefix/env/bin/python" -m compileall -q "$packages" || true  # templates of other versions of Python do not compile

# The same instructions on every machine: a cache compiled for the builder's processor is useless on another.
export NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES= NUMBA_CACHE_DIR="$prefix/cache"
mkdir -p "$NUMBA_CACHE_DIR"
if "$prefix/env/bin/onnxspec" cache warm --help >/dev/null 2>&1; then
    "$prefix/env/bin/onnxspec" cache warm
else
    "$prefix/env/bin/onnxspec" analyze --effort full fixtures/models/lenet5.onnx >/dev/null
fi
chmod -R a+rX "$prefix"
install -m 0755 container/entrypoint.sh "$prefix/entrypoint.sh"
du -sm "$packages" "$NUMBA_CACHE_DIR"
