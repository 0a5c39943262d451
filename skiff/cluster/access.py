"""The administrator's client of a cluster, for the commands that look at it from outside."""

from skiff.client.kubeconfig import transport_from_kubeconfig
from skiff.client.rest import Client
from skiff.cluster.kubeconfig import admin
from skiff.cluster.layout import Layout


def admin_client(layout: Layout) -> Client:
    """To be closed by the caller (`client.transport.close()`)."""
    return Client(transport_from_kubeconfig(admin(layout)), user_agent="skiff")
