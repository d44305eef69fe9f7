#!/bin/sh
# numba reads compiled kernels only from a folder that it can write to, and the root is read-only: it gets a copy,
# where there is room for one. Without it the kernels are compiled anew, which takes some seconds and is all the same.
if cache=$(mktemp -d "${TMPDIR:-/tmp}/onnxspec.XXXXXX" 2>/dev/null); then
    if cp -R /opt/onnxspec/cache/. "$cache" 2>/dev/null; then
        export NUMBA_CACHE_DIR="$cache"
    fi
fi
exec /opt/onnxspec/env/bin/onnxspec "$@"
