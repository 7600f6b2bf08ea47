"""The Pod Security Standards, profile `restricted`, which contains `baseline`.

Each rule is a function from a pod's spec to its faults, in the order of the documentation of
Kubernetes ("Pod Security Standards").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Spec = dict[str, Any]

BASELINE_CAPABILITIES = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
SAFE_SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}  # fmt: skip
SAFE_SELINUX_TYPES = {
    "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t",
}  # fmt: skip
SAFE_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
    "projected", "secret",
}  # fmt: skip
HANDLERS = ("httpGet", "tcpSocket")


def containers(spec: Spec) -> list[Spec]:
    kinds = ("containers", "initContainers", "ephemeralContainers")
    return [each for kind in kinds for each in spec.get(kind, [])]


def contexts(spec: Spec) -> Iterator[tuple[str, Spec]]:
    """The security context of the pod, and of each container."""
    yield "pod", spec.get("securityContext", {})
    for each in containers(spec):
        yield each["name"], each.get("securityContext", {})


def effective(spec: Spec, field: str) -> Iterator[tuple[str, Any]]:
    """What holds for each container: its own, else the pod's."""
    of_pod = spec.get("securityContext", {}).get(field)
    for each in containers(spec):
        yield each["name"], each.get("securityContext", {}).get(field, of_pod)


def host_process(spec: Spec) -> list[str]:
    return [f"{name}: a host process" for name, its in contexts(spec)
            if its.get("windowsOptions", {}).get("hostProcess")]  # fmt: skip


def host_namespaces(spec: Spec) -> list[str]:
    return [f"{field} is set" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]


def privileged(spec: Spec) -> list[str]:
    return [f"{name}: privileged" for name, its in contexts(spec) if its.get("privileged")]


def capabilities(spec: Spec) -> list[str]:
    found = []
    for each in containers(spec):
        its = each.get("securityContext", {}).get("capabilities", {})
        if "ALL" not in its.get("drop", []):
            found.append(f"{each['name']}: does not drop ALL capabilities")
        added = set(its.get("add", []))
        if added - BASELINE_CAPABILITIES or added - {"NET_BIND_SERVICE"}:
            found.append(f"{each['name']}: adds {sorted(added)}")
    return found


def volumes(spec: Spec) -> list[str]:
    """`hostPath` is among what is refused."""
    return [f"volume {each['name']}: {kind}" for each in spec.get("volumes", [])
            for kind in set(each) - {"name"} - SAFE_VOLUMES]  # fmt: skip


def host_ports(spec: Spec) -> list[str]:
    return [f"{each['name']}: host port {port['hostPort']}" for each in containers(spec)
            for port in each.get("ports", []) if port.get("hostPort")]  # fmt: skip


def probe_hosts(spec: Spec) -> list[str]:
    """Probes and hooks ask the pod and nobody else."""
    found = []
    for each in containers(spec):
        hooks = [each.get(kind, {}) for kind in ("startupProbe", "readinessProbe", "livenessProbe")]
        hooks += each.get("lifecycle", {}).values()
        found += [f"{each['name']}: a probe or hook of another host" for hook in hooks
                  for handler in HANDLERS if hook.get(handler, {}).get("host")]  # fmt: skip
    return found


def app_armor(spec: Spec) -> list[str]:
    return [f"{name}: AppArmor is off" for name, its in contexts(spec)
            if its.get("appArmorProfile", {}).get("type") == "Unconfined"]  # fmt: skip


def selinux(spec: Spec) -> list[str]:
    found = []
    for name, its in contexts(spec):
        options = its.get("seLinuxOptions", {})
        if options.get("type", "") not in SAFE_SELINUX_TYPES:
            found.append(f"{name}: SELinux type {options['type']}")
        found += [f"{name}: SELinux {key}" for key in ("user", "role") if options.get(key)]
    return found


def proc_mount(spec: Spec) -> list[str]:
    return [f"{name}: procMount {its['procMount']}" for name, its in contexts(spec)
            if its.get("procMount", "Default") != "Default"]  # fmt: skip


def sysctls(spec: Spec) -> list[str]:
    its = spec.get("securityContext", {}).get("sysctls", [])
    return [f"sysctl {each['name']}" for each in its if each["name"] not in SAFE_SYSCTLS]


def escalation(spec: Spec) -> list[str]:
    return [f"{each['name']}: allowPrivilegeEscalation is not false" for each in containers(spec)
            if each.get("securityContext", {}).get("allowPrivilegeEscalation") is not False
            ]  # fmt: skip


def non_root(spec: Spec) -> list[str]:
    return [f"{name}: runAsNonRoot is not true"
            for name, value in effective(spec, "runAsNonRoot") if value is not True]  # fmt: skip


def user(spec: Spec) -> list[str]:
    return [f"{name}: runs as root" for name, its in contexts(spec) if its.get("runAsUser") == 0]


def seccomp(spec: Spec) -> list[str]:
    return [f"{name}: no seccomp profile" for name, value in effective(spec, "seccompProfile")
            if (value or {}).get("type") not in ("RuntimeDefault", "Localhost")]  # fmt: skip


RULES: tuple[Callable[[Spec], list[str]], ...] = (
    host_process, host_namespaces, privileged, capabilities, volumes, host_ports, probe_hosts,
    app_armor, selinux, proc_mount, sysctls, escalation, non_root, user, seccomp,
)  # fmt: skip


def faults(spec: Spec) -> list[str]:
    return [fault for rule in RULES for fault in rule(spec)]
