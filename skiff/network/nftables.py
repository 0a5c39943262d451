"""The table `ip skiff-network` as text: host ports, masquerading, protection of the loopback. Pure.

It is small and made anew in one transaction at every change; connections live in conntrack and do not notice.
A firewall of the host whose FORWARD policy is drop (as Docker sets it) has the last word over forwarded packets, also
over ours: it must accept what comes from and goes to `skiff-cni0`. nftables knows no accept that binds other tables.
"""

from collections.abc import Sequence

from skiff.network.host import POD_BRIDGE, TABLE
from skiff.network.hostports import HostPort

_TEXT = """\
add table ip {table}
delete table ip {table}
table ip {table} {{
    map host-ports {{
        type inet_proto . inet_service : ipv4_addr . inet_service
{any_elements}
    }}
    map host-ip-ports {{
        type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
{own_elements}
    }}
    set hairpin {{
        type ipv4_addr . ipv4_addr
{hairpin_elements}
    }}
    chain host-ports-dnat {{
        fib daddr type != local return
        dnat ip addr . port to ip daddr . meta l4proto . th dport map @host-ip-ports
        dnat ip addr . port to meta l4proto . th dport map @host-ports
    }}
    chain prerouting {{
        # After the Services, which have their NodePorts on the same addresses.
        type nat hook prerouting priority -99; policy accept;
        jump host-ports-dnat
    }}
    chain output {{
        type nat hook output priority -99; policy accept;
        jump host-ports-dnat
    }}
    chain loopback {{
        # The bridges route 127.0.0.0/8 for NodePorts; nobody else gets at this node's loopback through them.
        type filter hook prerouting priority -300; policy accept;
        iifname {{ {bridges} }} ip daddr 127.0.0.0/8 drop
    }}
    chain postrouting {{
        type nat hook postrouting priority 100; policy accept;
        ct status dnat ip saddr . ip daddr @hairpin masquerade
        ip saddr 127.0.0.0/8 oifname {{ {bridges} }} masquerade
        ip saddr {pod_cidr} ip daddr {cluster_cidr} return
        ip saddr {pod_cidr} ip daddr 224.0.0.0/4 return
        ip saddr {pod_cidr} oifname != "{pod_bridge}" masquerade
    }}
}}
"""


def table(pod_cidr: str, cluster_cidr: str, ports: Sequence[HostPort], node_bridge: str = "skiff0") -> str:
    """For `nft -f -`: replaces the table. pod_cidr: of this node; cluster_cidr: of all pods."""
    everywhere = [f"{p.protocol} . {p.port} : {p.pod_ip} . {p.pod_port}" for p in ports if not p.host_ip]
    own = [f"{p.host_ip} . {p.protocol} . {p.port} : {p.pod_ip} . {p.pod_port}" for p in ports if p.host_ip]
    return _TEXT.format(
        table=TABLE,
        any_elements=_elements(everywhere),
        own_elements=_elements(own),
        hairpin_elements=_elements(sorted({f"{p.pod_ip} . {p.pod_ip}" for p in ports})),
        bridges=", ".join(f'"{b}"' for b in (POD_BRIDGE, node_bridge)),
        pod_bridge=POD_BRIDGE,
        pod_cidr=pod_cidr,
        cluster_cidr=cluster_cidr,
    )


def _elements(items: Sequence[str]) -> str:
    return f"        elements = {{ {', '.join(items)} }}" if items else ""
