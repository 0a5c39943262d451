"""Writes the decision: a Binding, which the API server turns into the pod's spec.nodeName."""

from skiff.api.gvr import PODS
from skiff.client.rest import Client
from skiff.scheduler import framework as fw
from skiff.scheduler.podinfo import PodInfo


class DefaultBinder:
    name = "DefaultBinder"

    def __init__(self, *, client: Client):
        self._client = client

    async def bind(self, state: fw.State, pod: PodInfo, node: str) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self._client.create(PODS, binding, pod.namespace, name=pod.name, subresource="binding")
