#!/bin/sh
# What both stages need of the system: python3, and with "build" what makes an environment.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
if [ "${1:-}" = build ]; then
    apt-get install -qq -y --no-install-recommends python3 python3-venv
else
    apt-get install -qq -y --no-install-recommends python3
fi
rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
