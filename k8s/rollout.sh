#!/usr/bin/env bash
# Rolls pods that are pinned to a version (k8s/components/pinned-version) to another one.
#
#   k8s/rollout.sh 4
#   k8s/rollout.sh --deployment flowgate-canary 4 --namespace models
#
# What comes after the version is given to kubectl. One patch changes the variable MODEL_VERSION, the
# pods' label and the change-cause, so that all three are of one revision and `kubectl rollout undo`
# takes them back together. Then waits for the rollout. When it fails, the pods of the version before
# serve on; what the new pods said is printed, and the exit code is 1.
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
options=("${@:2}")
# A version is a number; the leading zero of `03` would make another label of the same version.
[[ "$version" =~ ^[1-9][0-9]*$ ]] || usage

container='.spec.template.spec.containers[?(@.name=="flowgate")]'
before="$(kubectl get deployment "$deployment" "${options[@]}" \
  --output "jsonpath={${container}.env[?(@.name==\"MODEL_VERSION\")].value}")"
if [[ -z "$before" ]]; then
  echo "rollout: $deployment is not pinned to a version: it has no variable MODEL_VERSION" >&2
  exit 1
fi

echo "rollout: $deployment from version $before to version $version"
kubectl patch deployment "$deployment" "${options[@]}" --type strategic --patch "
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

if kubectl rollout status deployment "$deployment" "${options[@]}"; then
  exit 0
fi

# The message of a container that has ended is the end of its log. The last line is the sentence.
message='{{range .status.containerStatuses}}{{with .lastState.terminated}}'
message+='{{with .message}}{{.}}{{end}}{{end}}{{end}}'
template="{{range \$key, \$value := .spec.selector.matchLabels}}{{\$key}}={{\$value}},{{end}}"
own="$(kubectl get deployment "$deployment" "${options[@]}" --output "go-template=$template")"
pods="$(kubectl get pods "${options[@]}" --output name \
  --selector "${own}flowgate.io/model-version=$version")"
for pod in $pods; do
  said="$(kubectl get "$pod" "${options[@]}" --output "go-template=$message" | tail -n 1)"
  [[ -z "$said" ]] || echo "rollout: $pod said: $said" >&2
done
{
  echo "rollout: version $version does not serve; pods of version $before do"
  echo "rollout: to go back: kubectl rollout undo deployment $deployment${options[*]:+ ${options[*]}}"
} >&2
exit 1
