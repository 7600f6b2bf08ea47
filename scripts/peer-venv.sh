#!/usr/bin/env bash
# Creates target/peers/<name>-venv from benches/peers/requirements/<name>.txt, for the benchmarks.
# Does nothing when the environment already holds exactly what the file names.
#
#   scripts/peer-venv.sh mlserver
#
# PYTHON names the interpreter (default python3, which must be 3.11: the versions are pinned to it).
# Packages come from whatever index pip is configured to use.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="${PYTHON:-python3}"
list="$root/benches/peers/requirements/${1:-}.txt"
if [[ $# -ne 1 || ! -f "$list" ]]; then
  echo "usage: scripts/peer-venv.sh NAME, a file of benches/peers/requirements" >&2
  exit 2
fi
venv="$root/target/peers/$1-venv"
stamp="$venv/.requirements"

fingerprint="$(sha256sum <"$list" | cut -d' ' -f1)"
if [[ -x "$venv/bin/python" && "$(cat "$stamp" 2>/dev/null)" == "$fingerprint" ]]; then
  exit 0
fi

version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
if [[ "$version" != 3.11 ]]; then
  echo "peer-venv: $python is Python $version; set PYTHON to a Python 3.11" >&2
  exit 1
fi
echo "peer-venv: installing benches/peers/requirements/$1.txt" >&2
rm -rf "$venv"
mkdir -p "$(dirname "$venv")"
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$list"
"$venv/bin/python" -m pip check >&2
echo "$fingerprint" >"$stamp"
