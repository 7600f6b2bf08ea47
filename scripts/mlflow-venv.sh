#!/usr/bin/env bash
# Creates target/mlflow-venv: the pinned real MLflow that the differential and client tests need.
# Does nothing when the environment already holds exactly what the requirements files name.
#
#   scripts/mlflow-venv.sh            what the tests need
#   scripts/mlflow-venv.sh --train    also what models/train.py needs
#
# PYTHON names the interpreter (default python3, which must be 3.11: the versions are pinned to it).
# Packages come from whatever index pip is configured to use.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="${PYTHON:-python3}"
venv="$root/target/mlflow-venv"
stamp="$venv/.requirements"

lists=("$root/scripts/mlflow-requirements.txt")
case "${1:-}" in
  "") ;;
  --train) lists+=("$root/models/requirements.txt") ;;
  *)
    echo "usage: scripts/mlflow-venv.sh [--train]" >&2
    exit 2
    ;;
esac

version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
if [[ "$version" != 3.11 ]]; then
  echo "mlflow-venv: $python is Python $version; set PYTHON to a Python 3.11" >&2
  exit 1
fi

# `HASH scripts/mlflow-requirements.txt`: the line that says a list is installed.
fingerprint() {
  echo "$(sha256sum <"$1" | cut -d' ' -f1) ${1#"$root"/}"
}

missing=()
for list in "${lists[@]}"; do
  if [[ ! -x "$venv/bin/python" ]] ||
    ! grep -qxF "$(fingerprint "$list")" "$stamp" 2>/dev/null; then
    missing+=("$list")
  fi
done
if ((${#missing[@]} == 0)); then
  exit 0
fi

# A change of the first list means a fresh environment; the second is installed into it.
if [[ "${missing[0]}" == "${lists[0]}" ]]; then
  missing=("${lists[@]}")
  rm -rf "$venv"
  "$python" -m venv "$venv"
fi
rm -f "$stamp"
for list in "${missing[@]}"; do
  echo "mlflow-venv: installing ${list#"$root"/}" >&2
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$list"
done
"$venv/bin/python" -c 'import mlflow.onnx, mlflow.pyfunc.scoring_server'
for list in "${lists[@]}"; do
  fingerprint "$list"
done >"$stamp"
