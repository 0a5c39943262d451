"""The texts of a pod's /etc/hosts and resolv.conf, and its host name. Pure. Source: Kubernetes docs, "DNS for Services and
Pods"; the comments in the hosts file are upstream's."""

from collections.abc import Sequence
from dataclasses import dataclass

from skiff.api.types import Obj
from skiff.kubelet.environment import ConfigError
from skiff.kubelet.pods import is_host_network

MAX_SEARCHES = 32
MAX_NAMESERVERS = 3


@dataclass(frozen=True, slots=True)
class Resolver:
    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def parse_resolv_conf(text: str) -> Resolver:
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        fields = line.split()
        if not fields or fields[0][0] in "#;":
            continue
        if fields[0] == "nameserver" and len(fields) > 1:
            servers.append(fields[1])
        elif fields[0] == "search":
            searches = [s.rstrip(".") or "." for s in fields[1:]]
        elif fields[0] == "options":
            options = fields[1:]
    return Resolver(tuple(servers), tuple(searches), tuple(options))


def resolver(pod: Obj, cluster_dns: Sequence[str], domain: str, host: Resolver) -> Resolver:
    """What the pod's resolv.conf says: by dnsPolicy, then dnsConfig on top."""
    policy = pod["spec"].get("dnsPolicy") or "ClusterFirst"
    if policy == "ClusterFirst" and is_host_network(pod):
        policy = "Default"
    base = host
    if policy == "None":
        base = Resolver()
    elif policy in ("ClusterFirst", "ClusterFirstWithHostNet") and cluster_dns:
        namespace = pod["metadata"].get("namespace", "default")
        own = (f"{namespace}.svc.{domain}", f"svc.{domain}", domain) if domain else ()
        base = Resolver(tuple(cluster_dns), _unique([*own, *host.searches]), ("ndots:5",))
    config = pod["spec"].get("dnsConfig") or {}
    options = dict(_option(o) for o in base.options)
    for o in config.get("options") or []:
        options[o["name"]] = o.get("value") or ""
    return Resolver(
        _unique([*base.servers, *(config.get("nameservers") or [])])[:MAX_NAMESERVERS],
        _unique([*base.searches, *(config.get("searches") or [])])[:MAX_SEARCHES],
        tuple(f"{k}:{v}" if v else k for k, v in options.items()),
    )


def _option(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    return name, value


def _unique(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def hostname(pod: Obj, domain: str) -> tuple[str, str]:
    """(host name, domain behind it or ""). Raises ConfigError when the fully qualified one does not fit the kernel."""
    spec = pod["spec"]
    if spec.get("hostnameOverride"):
        return spec["hostnameOverride"], ""
    name = (spec.get("hostname") or pod["metadata"]["name"])[:63].rstrip("-.")
    if not spec.get("subdomain"):
        return name, ""
    behind = f"{spec['subdomain']}.{pod['metadata'].get('namespace', 'default')}.svc.{domain}"
    if spec.get("setHostnameAsFQDN") and len(f"{name}.{behind}") > 64:
        full = f"{name}.{behind}"
        raise ConfigError(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long "
            f"(64 characters is the max, {len(full)} characters requested)"
        )
    return name, behind


def kernel_hostname(pod: Obj, domain: str) -> str:
    """What `hostname` prints inside; "" for pods in the host's network."""
    if is_host_network(pod) and not pod["spec"].get("hostnameOverride"):
        return ""
    name, behind = hostname(pod, domain)
    return f"{name}.{behind}" if behind and pod["spec"].get("setHostnameAsFQDN") else name


def hosts_file(pod: Obj, pod_ips: Sequence[str], domain: str, host_text: str) -> str:
    """The managed /etc/hosts. host_text: the node's own, taken over by pods in the host's network."""
    if is_host_network(pod):
        text = "# Kubernetes-managed hosts file (host network).\n" + host_text
    else:
        name, behind = hostname(pod, domain)
        lines = [
            "# Kubernetes-managed hosts file.",
            "127.0.0.1\tlocalhost",
            "::1\tlocalhost ip6-localhost ip6-loopback",
            "fe00::0\tip6-localnet",
            "fe00::0\tip6-mcastprefix",
            "fe00::1\tip6-allnodes",
            "fe00::2\tip6-allrouters",
        ]
        lines += [f"{ip}\t{name}.{behind}\t{name}" if behind else f"{ip}\t{name}" for ip in pod_ips]
        text = "\n".join(lines) + "\n"
    aliases = pod["spec"].get("hostAliases") or []
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join(f"{a['ip']}\t" + "\t".join(a.get("hostnames") or []) + "\n" for a in aliases)
    return text
