#!/bin/sh
# Puts the pinned ONNX Runtime library into <target>/onnxruntime/<version>/ and prints its path.
#
# The library comes out of the Python wheel named, with its hashes, in onnxruntime.txt. Python is
# needed for `pip download` and for unpacking only (PYTHON names another interpreter). A second
# call finds the file and does nothing; the file appears by rename, so never by halves.
set -eu

scripts=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
version=$(sed -n 's/^onnxruntime==\([0-9.]*\).*/\1/p' "$scripts/onnxruntime.txt")
directory=${CARGO_TARGET_DIR:-$scripts/../target}/onnxruntime/$version
name=libonnxruntime.so.$version

fail() {
    echo "onnxruntime.sh: $1" >&2
    exit 1
}

if [ -s "$directory/$name" ]; then
    echo "$(CDPATH='' cd -- "$directory" && pwd)/$name"
    exit 0
fi

case "$(uname -s) $(uname -m)" in
    'Linux x86_64') platform=manylinux_2_28_x86_64 ;;
    'Linux aarch64' | 'Linux arm64') platform=manylinux_2_28_aarch64 ;;
    *) fail "no library is pinned for $(uname -s) $(uname -m): install onnxruntime >= $version \
yourself and set ORT_DYLIB_PATH to its libonnxruntime" ;;
esac

python=${PYTHON:-python3}
"$python" -m pip --version >/dev/null 2>&1 ||
    fail "'$python -m pip' does not work: install Python 3 with pip, or name an interpreter that \
has it in PYTHON"

mkdir -p "$directory"
directory=$(CDPATH='' cd -- "$directory" && pwd)
# Beside the goal, so that the last step is a rename within one file system.
work=$(mktemp -d "$directory/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

echo "fetching ONNX Runtime $version ($platform)" >&2
"$python" -m pip --disable-pip-version-check --quiet download --no-deps --only-binary :all: \
    --platform "$platform" --python-version 3.11 --implementation cp --abi cp311 \
    --require-hashes --requirement "$scripts/onnxruntime.txt" --dest "$work" >&2 ||
    fail "pip could not download onnxruntime $version: see its message above"

"$python" - "$work" "onnxruntime/capi/$name" <<'PYTHON' || fail "the wheel holds no $name"
import pathlib, sys, zipfile
work = pathlib.Path(sys.argv[1])
(wheel,) = work.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    for name in (sys.argv[2], "onnxruntime/LICENSE", "onnxruntime/ThirdPartyNotices.txt"):
        archive.extract(name, work)
PYTHON

# Whoever passes the library on passes these on with it.
mv "$work/onnxruntime/LICENSE" "$work/onnxruntime/ThirdPartyNotices.txt" "$directory/"
chmod 755 "$work/onnxruntime/capi/$name"
mv "$work/onnxruntime/capi/$name" "$directory/$name"
echo "$directory/$name"
