#!/usr/bin/env bash
# Rolls pods that are pinned to a version (k8s/components/pinned-version) to another one.
#
#   k8s/rollout.sh 4
#   k8s/rollout.sh --deployment flowgate-canary 4 --namespace models
#
# What comes after the version is given to kubectl. One patch changes the variable MODEL_VERSION,
# the pods' label and the change-cause, so that all three are of one revision and `kubectl rollout
# undo` takes them back together. Then waits for the rollout. When it fails, the pods that served
# before serve on. What the new pods said, which versions serve, and how to go back to them is
# printed, and the exit code is 1.
set -euo pipefail

deployment=flowgate
usage() {
  echo "usage: k8s/rollout.sh [--deployment NAME] VERSION [KUBECTL-OPTION...]" >&2
  exit 2
}

if [[ "${1:-}" == --deployment ]]; then
  [[ $# -ge 2 ]] || usage
  deployment="$2"
  shift 2
fi
[[ $# -ge 1 ]] || usage
version="$1"
# The rest is kubectl's. It stays in `$@`: bash 3.2 takes an empty array for a variable that is not
# set.
shift
# A version is a number; the leading zero of `03` would make another label of the same version.
[[ "$version" =~ ^[1-9][0-9]*$ ]] || usage

container='.spec.template.spec.containers[?(@.name=="flowgate")]'
before="$(kubectl get deployment "$deployment" "$@" \
  --output "jsonpath={${container}.env[?(@.name==\"MODEL_VERSION\")].value}")"
if [[ -z "$before" ]]; then
  echo "rollout: $deployment is not pinned to a version: it has no variable MODEL_VERSION" >&2
  exit 1
fi

# What the template says, which is not what serves if the rollout before has failed.
echo "rollout: the template of $deployment goes from version $before to version $version"
kubectl patch deployment "$deployment" "$@" --type strategic --patch "
metadata:
  annotations:
    kubernetes.io/change-cause: model version $version
spec:
  template:
    metadata:
      labels:
        flowgate.io/model-version: \"$version\"
    spec:
      containers:
        - name: flowgate
          env:
            - name: MODEL_VERSION
              value: \"$version\"
"

if kubectl rollout status deployment "$deployment" "$@"; then
  exit 0
fi

# From here on everything is done to tell more: what cannot be asked for is left out.
selector="{{range \$key, \$value := .spec.selector.matchLabels}}{{\$key}}={{\$value}},{{end}}"
own="$(kubectl get deployment "$deployment" "$@" --output "go-template=$selector")" || own=""

# The message of a container that has ended is the end of its log. The last line is the sentence.
message='{{range .status.containerStatuses}}{{if eq .name "flowgate"}}'
message+='{{with .lastState.terminated}}{{with .message}}{{.}}{{end}}{{end}}{{end}}{{end}}'
pods="$(kubectl get pods "$@" --output name \
  --selector "${own}flowgate.io/model-version=$version")" || pods=""
for pod in $pods; do
  # It may be gone by now.
  said="$(kubectl get "$pod" "$@" --output "go-template=$message" 2>/dev/null |
    tail -n 1)" || said=""
  [[ -z "$said" ]] || echo "rollout: $pod said: $said" >&2
done

# The revisions with ready pods, the newest first, as lines `REVISION VERSION`. By the variable: a
# label may be of another version (`kubectl set env`).
ready='{{range .items}}{{if .status.readyReplicas}}'
ready+='{{index .metadata.annotations "deployment.kubernetes.io/revision"}} '
ready+='{{range .spec.template.spec.containers}}{{if eq .name "flowgate"}}{{range .env}}'
ready+='{{if eq .name "MODEL_VERSION"}}{{.value}}{{end}}{{end}}{{end}}{{end}}{{"\n"}}{{end}}{{end}}'
serving="$(kubectl get replicasets "$@" --selector "${own%,}" \
  --output "go-template=$ready" | sort -rn)" || serving=""
versions="$(awk '{ print $2 }' <<<"$serving" | sort -un | xargs)"
# The newest is the one that has failed, of which some pods may be ready.
newest="$(kubectl get deployment "$deployment" "$@" \
  --output 'jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}')" || newest=""
back="$(awk -v newest="$newest" '$1 != "" && $1 != newest { print; exit }' <<<"$serving")"
{
  echo "rollout: not all pods serve version $version; versions of the ready pods: ${versions:-none}"
  if [[ -n "$newest" && -n "$back" ]]; then
    echo "rollout: to go back to version ${back#* }: kubectl rollout undo deployment $deployment" \
      "--to-revision ${back% *}${*:+ $*}"
  else
    echo "rollout: no revision before has ready pods;" \
      "which there are: kubectl rollout history deployment $deployment${*:+ $*}"
  fi
} >&2
exit 1
