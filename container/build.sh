#!/bin/sh
# Make the environment /opt/onnxspec from the sources in the current folder, trim it, and compile all kernels.
set -eu
prefix=/opt/onnxspec
python3 -m venv "$prefix/env"
"$prefix/env/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check .
packages=$("$prefix/env/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$prefix/env/bin/python" tools/trim_site_packages.py "$packages"
"$prefix/env/bin/python" -m compileall -q "$packages" || true  # templates of other versions of Python do not compile

# The same instructions on every machine: code for the builder's processor is compiled anew on another.
NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES='' "$prefix/env/bin/onnxspec" cache warm
chmod -R a+rX "$prefix"
du -sm "$packages"
