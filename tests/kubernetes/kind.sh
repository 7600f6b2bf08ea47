#!/usr/bin/env bash
# The local overlay in a real cluster: versions are rolled out, and taken back, under load.
#
#   make image && tests/kubernetes/kind.sh
#
# Needs docker, kind, kubectl, curl (7.84 or later) and the image flowgate:demo. Makes a cluster and
# deletes it at the end; KEEP=1 keeps it. Environment:
#
#   CLUSTER        the cluster's name (default flowgate-test)
#   PORT           where requests are sent, on 127.0.0.1 (default 18080)
#   IMAGE          the image (default flowgate:demo)
#   FLOWGATE_CRDS  a directory of custom resource definitions: then the API server is asked about
#                  everything under k8s/, without keeping it
#
# What is shown: pods are admitted by the profile `restricted`; a rollout to version 2 fails no request;
# one to a version that is not there ends with an error, its pod says why, and the pods before serve on;
# an undo takes back variable, label and change-cause; nothing failed in all that time.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
cluster="${CLUSTER:-flowgate-test}"
port="${PORT:-18080}"
image="${IMAGE:-flowgate:demo}"
node_port=30080
where=(--context "kind-$cluster" --namespace flowgate)
work="$(mktemp -d)"
loops=()

say() {
  echo "kind.sh: $*"
}
fail() {
  echo "kind.sh: $*" >&2
  kubectl "${where[@]}" get pods,replicasets --output wide >&2 || true
  kubectl "${where[@]}" describe pods --selector app.kubernetes.io/name=flowgate >&2 || true
  exit 1
}
kube() {
  kubectl "${where[@]}" "$@"
}

end() {
  touch "$work/stop"
  for loop in "${loops[@]}"; do
    wait "$loop" || true
  done
  if [[ "${KEEP:-}" != 1 ]]; then
    kind delete cluster --name "$cluster" || true
  fi
  rm -rf "$work"
}

# `STATUS VERSION` of one answer; `000` where there was none. Every request has a connection of its own,
# so each finds its pod anew.
ask() {
  curl --silent --output /dev/null --max-time 10 \
    --header 'Content-Type: application/json' \
    --data "@$root/models/wine-quality/1/serving_input_example.json" \
    --write-out '%{http_code} %header{x-model-version}\n' \
    "http://127.0.0.1:$port/invocations" || true
}

load() {
  local deadline=$((SECONDS + 900))
  while [[ ! -e "$work/stop" ]] && ((SECONDS < deadline)); do
    ask >>"$work/answers.$1"
    sleep 0.02
  done
}

# Waits until the last answers are of this version alone.
serves() {
  for _ in {1..60}; do
    if [[ "$(for _ in {1..10}; do ask; done | sort -u)" == "200 $1" ]]; then
      return 0
    fi
    sleep 1
  done
  fail "version $1 does not serve: $(ask)"
}

# Variable, label and change-cause of the Deployment are of this version.
is_at() {
  local found
  found="$(kube get deployment flowgate --output 'jsonpath='\
'{.spec.template.spec.containers[0].env[?(@.name=="MODEL_VERSION")].value} '\
'{.spec.template.metadata.labels.flowgate\.io/model-version} '\
'{.metadata.annotations.kubernetes\.io/change-cause}')"
  [[ "$found" == "$1 $1 model version $1" ]] || fail "not all at version $1: $found"
}

make_cluster() {
  kind create cluster --name "$cluster" --wait 120s --config - <<EOF
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
  - role: control-plane
    extraPortMappings:
      - containerPort: $node_port
        hostPort: $port
        listenAddress: 127.0.0.1
EOF
  kind load docker-image "$image" --name "$cluster"
}

install() {
  kube apply -k "$root/k8s/overlays/local"
  # From outside of the cluster, by the way that a service's clients come.
  kube apply --filename - <<EOF
apiVersion: v1
kind: Service
metadata:
  name: outside
spec:
  type: NodePort
  selector:
    app.kubernetes.io/name: flowgate
  ports:
    - port: 80
      targetPort: http
      nodePort: $node_port
EOF
  kube rollout status deployment flowgate --timeout 180s || fail "it does not come up"
}

# What the API server says to everything else; strictly, and nothing is kept.
ask_about_everything() {
  local place
  kube create --dry-run=server --validate=strict -k "$root/k8s/overlays/canary"
  for place in pinned hot-swap; do
    kube apply --dry-run=server --validate=strict -k "$root/k8s/overlays/$place"
  done
  [[ -n "${FLOWGATE_CRDS:-}" ]] || return 0
  kube apply --server-side --filename "$FLOWGATE_CRDS"
  kube wait --for condition=Established --timeout 60s customresourcedefinitions --all
  for place in overlays/canary-gateway kserve kserve/example monitoring; do
    kube create --dry-run=server --validate=strict -k "$root/k8s/$place"
  done
  kube create --dry-run=server --validate=strict \
    --filename "$root/k8s/components/scrape/pod-monitor.yaml" \
    --filename "$root/k8s/kserve/pod-monitor.yaml"
}

roll_out() {
  "$root/k8s/rollout.sh" "$1" "${where[@]}"
}

refuse() {
  if roll_out 3 2>"$work/said"; then
    fail "a version that is not there was rolled out"
  fi
  cat "$work/said"
  grep -q 'said: flowgate: cannot serve .*wine-quality/3' "$work/said" ||
    fail "the pods did not say why"
  [[ "$(kube get deployment flowgate --output 'jsonpath={.status.availableReplicas}')" == 2 ]] ||
    fail "pods of the version before are gone"
}

report() {
  touch "$work/stop"
  for loop in "${loops[@]}"; do
    wait "$loop"
  done
  loops=()
  say "answers, by status and version:"
  sort "$work"/answers.* | uniq -c
  if grep -qv '^200 [12]$' "$work"/answers.*; then
    fail "requests failed"
  fi
  (($(cat "$work"/answers.* | wc -l) > 500)) || fail "there was hardly any load"
}

for tool in docker kind kubectl curl; do
  command -v "$tool" >/dev/null || {
    echo "kind.sh: $tool is not on the PATH" >&2
    exit 1
  }
done
docker image inspect "$image" >/dev/null || {
  echo "kind.sh: there is no image $image: make image" >&2
  exit 1
}

trap end EXIT
make_cluster
install
is_at 1
serves 1
say "version 1 serves"
ask_about_everything

for number in 1 2 3 4; do
  load "$number" &
  loops+=("$!")
done

roll_out 2 || fail "version 2 was not rolled out"
is_at 2
serves 2
say "version 2 serves"

refuse
is_at 3
serves 2
say "version 3 is refused, and version 2 serves"

kube rollout undo deployment flowgate
kube rollout status deployment flowgate --timeout 120s || fail "nothing was taken back"
is_at 2
serves 2
say "version 3 is taken back"

kube apply -k "$root/k8s/overlays/local"
kube rollout status deployment flowgate --timeout 120s || fail "version 1 is not back"
is_at 1
serves 1
kube rollout history deployment flowgate
report
say "no request failed"
