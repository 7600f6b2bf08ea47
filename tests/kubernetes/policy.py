"""What every rendering of the manifests holds to, beyond what the API server checks.

Each rule is a function from all documents of a rendering to its faults.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import yaml
from manifests import (
    Document,
    configuration,
    container,
    environment,
    of_kind,
    pod_templates,
    title,
)

Found = list[Document]

NAME = "app.kubernetes.io/name"
VERSION = "flowgate.io/model-version"
CAUSE = "kubernetes.io/change-cause"
# The namespace that Prometheus is in.
SCRAPES = {"kubernetes.io/metadata.name": "monitoring"}
# The node's disk, for the log of a container that writes nothing else there.
LOG_BYTES_MAX = 2**30
# How long the kubelet and the runtime may take for their part of a pod's end.
SPARE_SECONDS = 5
# `-` and the hash that kustomize makes of a ConfigMap's content.
HASHED = re.compile(r"-[0-9a-z]{10}$")


def matched(pattern: str, text: str) -> tuple[str, ...]:
    """The groups of a text that has the form."""
    found = re.fullmatch(pattern, text)
    assert found, f"{text!r} is not {pattern}"
    return found.groups()


def quantity(text: str | int) -> Fraction:
    """`2`, `100m`, `1Gi` as a number."""
    units = {"": Fraction(1), "m": Fraction(1, 1000)}
    units |= {"Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30)}
    number, unit = matched(r"([0-9.]+)([A-Za-z]*)", str(text))
    return Fraction(number) * units[unit]


def size(text: str) -> int:
    """`2GiB` of flowgate's settings, in bytes."""
    number, unit = matched(r"([0-9]+)(MiB|GiB|TiB)", text)
    return int(number) * {"MiB": 2**20, "GiB": 2**30, "TiB": 2**40}[unit]


def seconds(text: str) -> float:
    """`1m30s`, `500ms` or `60` of flowgate's settings."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "": 1}
    return sum(
        float(number) * units[unit] for number, unit in re.findall(r"([0-9.]+)([a-z]*)", text)
    )


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())


def deployments(found: Found) -> Iterator[tuple[str, Document]]:
    for each in of_kind(found, "Deployment"):
        yield title(each), each


def labels_of(deployment: Document) -> dict[str, str]:
    return deployment["spec"]["template"]["metadata"]["labels"]


def selected(found: Found, selector: dict[str, str]) -> Found:
    return [each for _, each in deployments(found) if selects(selector, labels_of(each))]


def ports_of(deployment: Document) -> dict[str, int]:
    its = container(deployment["spec"]["template"])
    return {each["name"]: each["containerPort"] for each in its["ports"]}


def tags(found: Found) -> list[str]:
    """An image is one that is named, not whatever is the latest."""
    images = [(name, container(template)["image"]) for name, template in pod_templates(found)]
    return [f"{name}: image {image}" for name, image in images
            if not re.search(r":(?!latest$)[\w.-]+$", image)]  # fmt: skip


def resources(found: Found) -> list[str]:
    """Threads follow the limit of CPU, and what may be loaded that of memory, so both are there;
    and memory is not promised twice."""
    faults = []
    for name, template in pod_templates(found):
        its = container(template).get("resources", {})
        faults += [f"{name}: no {part} of {what}" for part in ("requests", "limits")
                   for what in ("cpu", "memory") if what not in its.get(part, {})]  # fmt: skip
        requests, limits = its.get("requests", {}), its.get("limits", {})
        if requests.get("memory") != limits.get("memory"):
            faults.append(f"{name}: less memory is requested than may be taken")
        faults += [f"{name}: more {what} is requested than may be taken" for what in requests
                   if what in limits and quantity(requests[what]) > quantity(limits[what])
                   ]  # fmt: skip
    return faults


def token(found: Found) -> list[str]:
    """Nobody here asks the API server anything."""
    faults = [title(each) for each in of_kind(found, "ServiceAccount")
              if each.get("automountServiceAccountToken") is not False]  # fmt: skip
    faults += [name for name, each in deployments(found)
               if each["spec"]["template"]["spec"].get("automountServiceAccountToken") is not False
               ]  # fmt: skip
    return [f"{name}: a token is mounted" for name in faults]


def pod_basics(found: Found) -> list[str]:
    """A service's variables would look like settings; and the reason of an end is kept."""
    faults = []
    for name, each in deployments(found):
        spec = each["spec"]["template"]["spec"]
        if spec.get("enableServiceLinks") is not False:
            faults.append(f"{name}: variables of services")
    for name, template in pod_templates(found):
        if container(template).get("terminationMessagePolicy") != "FallbackToLogsOnError":
            faults.append(f"{name}: the reason of an end is lost")
    return faults


def references(found: Found) -> list[str]:
    """What a pod refers to is there: ConfigMaps by the hash of their content, so that a change
    rolls; Secrets are not part of this and may be absent."""
    faults = []
    maps = {each["metadata"]["name"] for each in of_kind(found, "ConfigMap")}
    for name, each in deployments(found):
        spec = each["spec"]["template"]["spec"]
        its = container(each["spec"]["template"])
        used = {volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume}
        sources = its.get("envFrom", [])
        used |= {one["configMapRef"]["name"] for one in sources if "configMapRef" in one}
        if not used:
            faults.append(f"{name}: no configuration")
        faults += [f"{name}: ConfigMap {one} is not there" for one in used - maps]
        faults += [f"{name}: ConfigMap {one} keeps its name when it changes" for one in used
                   if not HASHED.search(one)]  # fmt: skip
        faults += [f"{name}: Secret {one['secretRef']['name']} has to be there" for one in sources
                   if "secretRef" in one and not one["secretRef"].get("optional")]  # fmt: skip
        volumes = {volume["name"] for volume in spec["volumes"]}
        mounts = {mount["name"] for mount in its["volumeMounts"]}
        faults += [f"{name}: volume {one} is not there, or not mounted" for one in volumes ^ mounts]
        account = spec.get("serviceAccountName")
        known = {one["metadata"]["name"] for one in of_kind(found, "ServiceAccount")}
        if account not in known:
            faults.append(f"{name}: ServiceAccount {account} is not there")
    return faults


def own_selectors(found: Found) -> list[str]:
    """A Deployment selects its own pods, all of them and no other's."""
    faults = []
    for name, each in deployments(found):
        selector = each["spec"]["selector"]["matchLabels"]
        matched = [title(other) for other in selected(found, selector)]
        if matched != [name]:
            faults.append(f"{name}: selects the pods of {matched}")
        if VERSION in selector:
            faults.append(f"{name}: a selector cannot change, and the version does")
        for spread in each["spec"]["template"]["spec"]["topologySpreadConstraints"]:
            if selected(found, spread["labelSelector"]["matchLabels"]) != [each]:
                faults.append(f"{name}: spreads other pods than its own")
    return faults


def other_selectors(found: Found) -> list[str]:
    """Whatever selects pods finds some. Budget, policy and scrape are for the pods of all tracks
    that have their own name, and each pod is in one of each."""
    faults = []
    for each in of_kind(found, "Service"):
        if not selected(found, each["spec"]["selector"]):
            faults.append(f"{title(each)}: selects nothing")
    where: dict[str, Callable[[Document], dict[str, str]]] = {
        "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"],
        "NetworkPolicy": lambda spec: spec["podSelector"]["matchLabels"],
        "PodMonitor": lambda spec: spec["selector"]["matchLabels"],
    }
    for kind, selector in where.items():
        those = of_kind(found, kind)
        for each in those:
            label = each["metadata"]["labels"][NAME]
            alike = [one for _, one in deployments(found) if labels_of(one)[NAME] == label]
            if not alike or selected(found, selector(each["spec"])) != alike:
                faults.append(f"{title(each)}: does not select the pods of {label}, and no others")
        for name, each in deployments(found):
            count = sum(selects(selector(one["spec"]), labels_of(each)) for one in those)
            # Not every cluster has the operator.
            if count != 1 and (those or kind != "PodMonitor"):
                faults.append(f"{name}: is in {count} of {kind}")
    return faults


def service_ports(found: Found) -> list[str]:
    """A service leads to the data port of its pods, by its name, and never to the admin port."""
    faults = []
    for each in of_kind(found, "Service"):
        for port in each["spec"]["ports"]:
            for deployment in selected(found, each["spec"]["selector"]):
                if port["targetPort"] not in ports_of(deployment):
                    faults.append(f"{title(each)}: {title(deployment)} has no {port['targetPort']}")
            if port["targetPort"] != "http":
                faults.append(f"{title(each)}: leads to {port['targetPort']}")
    return faults


def scrape_ports(found: Found) -> list[str]:
    """What is scraped is the admin port of the pods, and the policy lets Prometheus in."""
    faults = []
    for each in of_kind(found, "PodMonitor"):
        for endpoint in each["spec"]["podMetricsEndpoints"]:
            if endpoint["port"] != "admin" or endpoint["path"] != "/metrics":
                faults.append(f"{title(each)}: {endpoint}")
            faults += [f"{title(each)}: {title(pod)} does not let Prometheus in"
                       for pod in selected(found, each["spec"]["selector"]["matchLabels"])
                       if not admits(found, pod, endpoint["port"])]  # fmt: skip
        # The alerts look for the word in the job, which is NAMESPACE/NAME.
        if "flowgate" not in each["metadata"]["name"]:
            faults.append(f"{title(each)}: the alerts do not know such a job")
    return faults


def admits(found: Found, deployment: Document, port: str) -> bool:
    """Whether a policy of these pods lets Prometheus' namespace reach a port."""
    peer = {"namespaceSelector": {"matchLabels": SCRAPES}}
    return any(
        peer in rule.get("from", []) and {"port": port} in rule["ports"]
        for each in of_kind(found, "NetworkPolicy")
        if selects(each["spec"]["podSelector"]["matchLabels"], labels_of(deployment))
        for rule in each["spec"]["ingress"]
    )


def probe_ports(found: Found) -> list[str]:
    """Probes ask the admin port: readiness at `/ready`, liveness at `/live`."""
    paths = {"startupProbe": "/ready", "readinessProbe": "/ready", "livenessProbe": "/live"}
    faults = []
    for name, template in pod_templates(found):
        its = container(template)
        for probe, path in paths.items():
            asked = its.get(probe, {}).get("httpGet", {})
            if asked.get("path") != path:
                faults.append(f"{name}: {probe} asks {asked.get('path')}")
            # A runtime of KServe has no name for the port.
            known = {port.get("name") for port in its["ports"]}
            wanted = "admin" if "admin" in known else 8082
            if asked.get("port") != wanted:
                faults.append(f"{name}: {probe} asks port {asked.get('port')}")
    return faults


def budget(found: Found) -> list[str]:
    """A node can be drained while all pods are well, and not all of them at once."""
    faults = []
    for each in of_kind(found, "PodDisruptionBudget"):
        spec = each["spec"]
        pods = sum(replicas_min(found, one)
                   for one in selected(found, spec["selector"]["matchLabels"]))  # fmt: skip
        allowed = spec.get("maxUnavailable", pods - spec.get("minAvailable", 0))
        if not 1 <= allowed < pods:
            faults.append(f"{title(each)}: {allowed} of {pods} pods may be missing")
    return faults


def autoscaler_of(found: Found, deployment: Document) -> Document | None:
    for each in of_kind(found, "HorizontalPodAutoscaler"):
        target = each["spec"]["scaleTargetRef"]
        if (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"]):
            return each
    return None


def replicas_min(found: Found, deployment: Document) -> int:
    autoscaler = autoscaler_of(found, deployment)
    return (
        autoscaler["spec"]["minReplicas"] if autoscaler else deployment["spec"].get("replicas", 1)
    )


def autoscaling(found: Found) -> list[str]:
    """An autoscaler has a target, and owns its number of pods alone: a Deployment that said one as
    well would set it back at every `kubectl apply`."""
    faults = []
    owned = []
    for name, each in deployments(found):
        autoscaler = autoscaler_of(found, each)
        if autoscaler is None:
            continue
        owned.append(autoscaler)
        if "replicas" in each["spec"]:
            faults.append(f"{name}: says a number of pods, and so does its autoscaler")
    for each in of_kind(found, "HorizontalPodAutoscaler"):
        spec = each["spec"]
        if each not in owned:
            faults.append(f"{title(each)}: its target is not there")
        if not 1 <= spec["minReplicas"] <= spec["maxReplicas"]:
            faults.append(f"{title(each)}: from {spec['minReplicas']} to {spec['maxReplicas']}")
        # What the others may come to lack.
        if not any(one["type"] == "Resource" for one in spec["metrics"]):
            faults.append(f"{title(each)}: does not look at the CPU")
    return faults


def policy_ports(found: Found) -> list[str]:
    """Everybody reaches the data port, one namespace the admin port; pods reach names, and MLflow
    where they are told of one. Nothing else."""
    faults = []
    for each in of_kind(found, "NetworkPolicy"):
        name, spec = title(each), each["spec"]
        if sorted(spec["policyTypes"]) != ["Egress", "Ingress"]:
            faults.append(f"{name}: is for {spec['policyTypes']}")
        admitted = {(port["port"], "from" in rule) for rule in spec.get("ingress", [])
                    for port in rule.get("ports", [{"port": "any"}])}  # fmt: skip
        if admitted != {("http", False), ("admin", True)}:
            faults.append(f"{name}: admits {sorted(admitted, key=str)}")
        for deployment in selected(found, spec["podSelector"]["matchLabels"]):
            faults += [f"{name}: {title(deployment)} has no port {port}" for port, _ in admitted
                       if port not in ports_of(deployment)]  # fmt: skip
            faults += [f"{name}: {title(deployment)} cannot reach {port}"
                       for port in needed(deployment)
                       if not any(port == one.get("port") for rule in spec["egress"]
                                  for one in rule["ports"])]  # fmt: skip
    return faults


def needed(deployment: Document) -> list[int]:
    """Ports of others that a pod asks."""
    uri = environment(container(deployment["spec"]["template"])).get("MLFLOW_TRACKING_URI")
    return [53] + ([int(matched(r"https?://[\w.-]+:(\d+)", uri)[0])] if uri else [])


def rolling(found: Found) -> list[str]:
    """A rollout never has fewer pods than before, and ends when a pod has had the time that it may
    take to start."""
    faults = []
    for name, each in deployments(found):
        spec = each["spec"]
        update = spec.get("strategy", {}).get("rollingUpdate", {})
        if (update.get("maxUnavailable"), update.get("maxSurge")) != (0, 1):
            faults.append(f"{name}: rolls with {update}")
        start = startup_seconds(container(spec["template"]))
        deadline = spec.get("progressDeadlineSeconds", 600)
        if deadline < start + spec.get("minReadySeconds", 0):
            faults.append(f"{name}: {deadline} s of progress, {start} s to start")
        if spec.get("revisionHistoryLimit", 10) < 2:
            faults.append(f"{name}: nothing to go back to")
    return faults


def startup_seconds(its: Document) -> int:
    probe = its["startupProbe"]
    return probe["periodSeconds"] * probe["failureThreshold"]


def ending(found: Found) -> list[str]:
    """A pod has the time that it takes to end well: to be forgotten, and to finish the longest
    request."""
    faults = []
    for name, each in deployments(found):
        template = each["spec"]["template"]
        server = yaml.safe_load(configuration(found, template))["server"]
        faults += [f"{name}: {fault}" for fault in end_faults(
            template["spec"]["terminationGracePeriodSeconds"], container(template),
            *(seconds(str(server.get(key, 0)))
              for key in ("lame_duck", "shutdown_timeout", "request_timeout")),
        )]  # fmt: skip
    return faults


def end_faults(
    grace: int, its: Document, lame_duck: float, shutdown: float, request: float
) -> list[str]:
    hook = its.get("lifecycle", {}).get("preStop", {})
    pause = hook.get("sleep", {}).get("seconds", 0)
    faults = []
    if hook and not pause:
        faults.append("a hook, of which it is not known how long it takes")
    if lame_duck + pause < 5:
        faults.append(f"endpoints have {lame_duck + pause} s to forget the pod")
    if grace < pause + lame_duck + shutdown + SPARE_SECONDS:
        faults.append(f"{grace} s of grace for {pause} + {lame_duck} + {shutdown} s and the end")
    if shutdown < request:
        faults.append(f"{shutdown} s to finish requests that may take {request} s")
    return faults


def cache(found: Found) -> list[str]:
    """The cache is writable, has room for one version beyond its bound, and not much more, and that
    is accounted for. Temporary files find a place as well."""
    faults = []
    for name, each in deployments(found):
        template = each["spec"]["template"]
        settings = yaml.safe_load(configuration(found, template))["cache"]
        mounted = {one["mountPath"]: one["name"] for one in container(template)["volumeMounts"]
                   if not one.get("readOnly")}  # fmt: skip
        volume = mounted.get(settings["dir"])
        if volume is None:
            faults.append(f"{name}: the cache is nowhere")
            continue
        if environment(container(template)).get("TMPDIR", "/tmp") not in mounted:
            faults.append(f"{name}: temporary files have no place")
        (its,) = (one for one in template["spec"]["volumes"] if one["name"] == volume)
        # A variable goes before the file.
        bound = size(environment(container(template)).get(
            "FLOWGATE_CACHE_BYTES_MAX", settings["bytes_max"]))  # fmt: skip
        if "emptyDir" in its:
            room = quantity(its["emptyDir"].get("sizeLimit", 0))
            limit = container(template)["resources"]["limits"].get("ephemeral-storage", room)
            if quantity(limit) < room:
                faults.append(f"{name}: {limit} of the node's disk for a cache of {room}")
        else:
            claim = its["ephemeral"]["volumeClaimTemplate"]["spec"]
            room = quantity(claim["resources"]["requests"]["storage"])
            disk = container(template)["resources"]["limits"].get("ephemeral-storage", 0)
            if quantity(disk) > LOG_BYTES_MAX:
                faults.append(f"{name}: {disk} of the node's disk, and the cache is on a volume")
        if room < bound * Fraction(5, 4):
            faults.append(f"{name}: room for {room} bytes, and a cache of up to {bound}")
        if room > bound * 2:
            faults.append(f"{name}: a cache of up to {bound} uses little of {room} bytes")
    return faults


def pinned(found: Found) -> list[str]:
    """Variable, label and change-cause name one version, and the arguments use it."""
    faults = []
    for name, each in deployments(found):
        its = container(each["spec"]["template"])
        version = environment(its).get("MODEL_VERSION")
        label = labels_of(each).get(VERSION)
        cause = each["metadata"].get("annotations", {}).get(CAUSE)
        if (version, label, cause) == (None, None, None):
            continue
        if (label, cause) != (version, f"model version {version}"):
            faults.append(f"{name}: serves {version}, is labelled {label}, since `{cause}`")
        if not any("$(MODEL_VERSION)" in argument for argument in its["args"]):
            faults.append(f"{name}: the arguments do not name the version")
    return faults


def route(found: Found) -> list[str]:
    """A route leads to services that are there, and to all of what it is given."""
    faults = []
    known = {(each["metadata"]["name"], port["port"]) for each in of_kind(found, "Service")
             for port in each["spec"]["ports"]}  # fmt: skip
    for each in of_kind(found, "HTTPRoute"):
        for rule in each["spec"]["rules"]:
            behind = rule["backendRefs"]
            faults += [f"{title(each)}: {one['name']}:{one['port']} is not there" for one in behind
                       if (one["name"], one["port"]) not in known]  # fmt: skip
            if sum(one["weight"] for one in behind) != 100:
                faults.append(f"{title(each)}: the weights are no percentages")
            pods = [title(pod) for service in of_kind(found, "Service")
                    if service["metadata"]["name"] in {one["name"] for one in behind}
                    for pod in selected(found, service["spec"]["selector"])]  # fmt: skip
            if len(pods) != len(set(pods)):
                faults.append(f"{title(each)}: pods that are in two services")
    return faults


def identities(found: Found) -> list[str]:
    """No object is there twice: what is applied last would win, and what is deleted first."""
    seen: set[tuple[str, Any]] = set()
    faults = []
    for each in found:
        key = (title(each), each["metadata"].get("namespace"))
        if key in seen:
            faults.append(f"{title(each)} is there twice")
        seen.add(key)
    return faults


def namespace(found: Found) -> list[str]:
    """All objects are in one namespace, and a namespace takes only restricted pods."""
    faults = []
    places: set[Any] = set()
    for each in found:
        if each["kind"] == "Namespace":
            places.add(each["metadata"]["name"])
            level = each["metadata"]["labels"].get("pod-security.kubernetes.io/enforce")
            if level != "restricted":
                faults.append(f"{title(each)}: takes pods that are {level}")
        elif each["kind"] != "ClusterServingRuntime":
            places.add(each["metadata"].get("namespace"))
    return faults + ([f"in {len(places)} namespaces"] if len(places) > 1 else [])


RULES: tuple[Callable[[Found], list[str]], ...] = (
    tags, resources, token, pod_basics, references, own_selectors, other_selectors, service_ports,
    scrape_ports, probe_ports, budget, autoscaling, policy_ports, rolling, ending, cache, pinned,
    route, identities, namespace,
)  # fmt: skip
