#!/usr/bin/env bash
# Makes target/prometheus/ hold `prometheus` and `promtool`, which tests/prometheus runs.
#
# Takes those on the PATH; else Debian's or Ubuntu's package `prometheus`, unpacked there and not
# installed, so that no service is started. Does nothing when both are there already.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
home="$root/target/prometheus"

is_there() {
  [[ -x "$home/prometheus" && -x "$home/promtool" ]]
}

if is_there; then
  exit 0
fi
mkdir -p "$home"

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
  ln -sf "$(command -v prometheus)" "$home/prometheus"
  ln -sf "$(command -v promtool)" "$home/promtool"
  exit 0
fi

fail() {
  echo "prometheus.sh: $1: install Prometheus, with promtool, so that both are on the PATH" >&2
  exit 1
}

command -v apt-get >/dev/null || fail "there is no prometheus on the PATH and no apt-get"
work="$(mktemp -d "$home/.fetch.XXXXXX")"
trap 'rm -rf "$work"' EXIT

# Without the lists of packages, which a new machine does not have, nothing can be downloaded.
download() {
  (cd "$work" && apt-get download prometheus >/dev/null 2>"$work/said")
}
as_root() {
  if [[ "$(id -u)" == 0 ]]; then "$@"; else sudo -n "$@"; fi
}
echo "prometheus.sh: fetching the package prometheus" >&2
if ! download; then
  as_root apt-get update >/dev/null 2>&1 || true
  download || fail "apt-get cannot download the package ($(tail -n 1 "$work/said"))"
fi
dpkg -x "$work"/prometheus_*.deb "$work/unpacked"
for name in prometheus promtool; do
  mv "$work/unpacked/usr/bin/$name" "$home/$name"
done
# What it needs from the system beyond that would show here.
"$home/promtool" --version >/dev/null || fail "the package's promtool does not run"
is_there
