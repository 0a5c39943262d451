"""kube-apiserver's flags, as far as there is something behind them."""

import argparse

from skiff.client.flags import boolean, duration


def add_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--bind-address", default="0.0.0.0", help="addresses to listen on, comma-separated")
    add("--secure-port", type=int, default=6443, help="port to serve HTTPS on")
    add("--advertise-address", default="", help="address under which the cluster reaches this server")
    add("--store", default="", help="memory, or sqlite:///path")
    add("--etcd-servers", default="", help="etcd URLs, comma-separated")
    add(
        "--etcd-compaction-interval",
        type=duration,
        default=300.0,
        help="how long past lists can be continued; 0: always",
    )
    add("--tls-cert-file", required=True)
    add("--tls-private-key-file", required=True)
    add("--client-ca-file", default="", help="CA whose client certificates are accepted")
    add("--anonymous-auth", type=boolean, default=True)
    add("--authorization-mode", default="Node,RBAC", help="Node, RBAC, comma-separated")
    add("--token-auth-file", default="", help="CSV file of static tokens")
    add("--service-cluster-ip-range", default="10.96.0.0/12")
    add("--service-node-port-range", default="30000-32767")
    add("--service-account-issuer", action="append", default=[])
    add("--service-account-key-file", action="append", default=[])
    add("--service-account-signing-key-file", default="")
    add("--service-account-jwks-uri", default="")
    add("--service-account-max-token-expiration", default="")
    add("--api-audiences", default="", help="comma-separated; default: the issuer")
    add("--kubelet-client-certificate", default="")
    add("--kubelet-client-key", default="")
    add("--kubelet-certificate-authority", default="")
    add("--enable-admission-plugins", default="", help="comma-separated")
    add("--disable-admission-plugins", default="", help="comma-separated")
    add("--enable-bootstrap-token-auth", nargs="?", const=True, type=boolean, default=False)
    _requestheader(parser)
    _limits(parser)
    add("--shutdown-grace-seconds", type=float, default=5.0, help="how long requests in flight may take at the end")


def _requestheader(parser: argparse.ArgumentParser) -> None:
    """Front proxies that name users to us, and we as one to extension servers."""
    add = parser.add_argument
    add("--requestheader-client-ca-file", default="", help="CA of the proxies that may name users in headers")
    add("--requestheader-allowed-names", default="", help="common names such a proxy may have, comma-separated")
    add("--requestheader-username-headers", default="X-Remote-User")
    add("--requestheader-uid-headers", default="X-Remote-Uid")
    add("--requestheader-group-headers", default="X-Remote-Group")
    add("--requestheader-extra-headers-prefix", default="X-Remote-Extra-")
    add("--proxy-client-cert-file", default="", help="our certificate towards extension servers")
    add("--proxy-client-key-file", default="", help="its key")
    add("--enable-aggregator-routing", nargs="?", const=True, type=boolean, default=False, help="to endpoints' IPs")


def _limits(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--enable-priority-and-fairness", nargs="?", const=True, type=boolean, default=True)
    add("--max-requests-inflight", type=int, default=400, help="with the next one: how many requests at a time")
    add("--max-mutating-requests-inflight", type=int, default=200)
    add("--request-timeout", type=duration, default=60.0, help="longest time of a request that is not a stream")
    add("--shutdown-delay-duration", type=duration, default=0.0, help="how long to serve on, not ready, before the end")
