#!/usr/bin/env bash
# Creates target/kubernetes-venv, which tests/kubernetes runs in. Does nothing when the environment
# already holds exactly what kubernetes-requirements.txt names.
#
# PYTHON names the interpreter (default python3, 3.11 or later). Packages come from whatever index pip
# is configured to use.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="${PYTHON:-python3}"
list="$root/scripts/kubernetes-requirements.txt"
venv="$root/target/kubernetes-venv"
stamp="$venv/.requirements"

fingerprint="$(sha256sum <"$list" | cut -d' ' -f1)"
if [[ -x "$venv/bin/python" && "$(cat "$stamp" 2>/dev/null)" == "$fingerprint" ]]; then
  exit 0
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "kubernetes-venv: $python is too old; set PYTHON to a Python 3.11 or later" >&2
  exit 1
fi
echo "kubernetes-venv: installing scripts/kubernetes-requirements.txt" >&2
rm -rf "$venv"
mkdir -p "$(dirname "$venv")"
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$list"
"$venv/bin/python" -m pip check >&2
echo "$fingerprint" >"$stamp"
