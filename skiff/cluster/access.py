"""The administrator's client of a cluster, for the commands that look at it from outside."""

from skiff.client.kubeconfig import ConfigError, transport_from_kubeconfig
from skiff.client.rest import Client
from skiff.cluster.kubeconfig import admin
from skiff.cluster.layout import Layout
from skiff.cluster.problem import Problem


def admin_client(layout: Layout) -> Client:
    """To be closed by the caller (`client.transport.close()`). Raises Problem."""
    path = admin(layout)
    try:
        return Client(transport_from_kubeconfig(path), user_agent="skiff")
    except (ConfigError, ValueError) as err:  # ValueError: what is in it is no text, or no certificate
        raise Problem("the administrator's kubeconfig is damaged", f"{path}: {err}", "skiff up makes it anew") from err
