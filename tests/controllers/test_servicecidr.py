"""Ranges of cluster IPs and the objects of the addresses in them, in a cluster on the virtual clock."""

import asyncio
import ipaddress

import pytest

from skiff.api.errors import StatusError, is_conflict, is_not_found
from skiff.api.gvr import IPADDRESSES, SERVICECIDRS, SERVICES
from skiff.api.meta import get_condition
from skiff.controllers.servicecidr import FINALIZER, IN_USE, READY, is_needed
from skiff.testing.builders import service

pytestmark = pytest.mark.cluster(nodes=0, controllers=["service-cidr-controller"], scheduler=False)


def cidr(name, *cidrs):
    return {"metadata": {"name": name}, "spec": {"cidrs": list(cidrs)}}


async def state(cluster, name):
    """The Ready condition as (status, reason, message)."""
    ready = get_condition(await cluster.client.get(SERVICECIDRS, name), "Ready") or {}
    return tuple(ready.get(field, "") for field in ("status", "reason", "message"))


async def reaches(cluster, name, wanted):
    async def reached():
        return await state(cluster, name) == wanted

    await cluster.until(reached)


async def exists(client, gvr, name, namespace=""):
    try:
        await client.get(gvr, name, namespace)
    except StatusError as error:
        assert is_not_found(error)
        return False
    return True


async def test_the_default_range_is_ready(cluster):
    await reaches(cluster, "kubernetes", READY)
    found = await cluster.client.get(SERVICECIDRS, "kubernetes")
    assert found["spec"]["cidrs"] == ["10.96.0.0/12"]
    assert found["metadata"]["finalizers"] == [FINALIZER]


async def test_a_cluster_ip_has_an_object_as_long_as_the_service(cluster):
    made = await cluster.client.create(SERVICES, service("web"))
    ip = made["spec"]["clusterIP"]
    address = await cluster.client.get(IPADDRESSES, ip)
    assert address["spec"] == {"parentRef": {"resource": "services", "namespace": "default", "name": "web"}}
    assert address["metadata"]["labels"] == {
        "ipaddress.kubernetes.io/ip-family": "IPv4",
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    }
    assert address["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]  # one transaction
    await cluster.client.delete(SERVICES, "web", "default")
    assert not await exists(cluster.client, IPADDRESSES, ip)


async def test_an_address_that_an_update_gives_up_loses_its_object(cluster):
    made = await cluster.client.create(SERVICES, service("web"))
    ip = made["spec"]["clusterIP"]
    spec = {"type": "ExternalName", "externalName": "example.org", "clusterIP": "", "clusterIPs": None}
    await cluster.client.patch(SERVICES, "web", {"spec": spec}, "default")
    assert not await exists(cluster.client, IPADDRESSES, ip)
    spec = {"type": "ClusterIP", "externalName": None}
    again = await cluster.client.patch(SERVICES, "web", {"spec": spec}, "default")
    assert await exists(cluster.client, IPADDRESSES, again["spec"]["clusterIP"])


async def test_a_dry_run_makes_no_object(cluster):
    before = len((await cluster.client.list(IPADDRESSES)).items)
    path = SERVICES.path("default")
    await cluster.client._json("POST", path, {"dryRun": "All"}, body=service("web"))
    assert len((await cluster.client.list(IPADDRESSES)).items) == before


async def test_an_object_made_in_the_same_moment_wins(cluster):
    """A write whose companion is there already is a conflict: nothing of it is stored."""
    ips = cluster.api.service_ips
    made = service("web", clusterIP="10.96.0.77", clusterIPs=["10.96.0.77"])
    (put,) = ips.companions(None, made)
    await cluster.store.txn([put])
    served = cluster.api.registry.served(SERVICES)
    served.companions = lambda old, new: [put]
    with pytest.raises(StatusError) as caught:
        await cluster.client.create(SERVICES, service("other"))
    assert is_conflict(caught.value)
    assert not await exists(cluster.client, SERVICES, "other", "default")


async def test_objects_are_put_right(cluster):
    made = await cluster.client.create(SERVICES, service("web"))
    ip = made["spec"]["clusterIP"]
    await cluster.client.delete(IPADDRESSES, ip)
    repair = asyncio.create_task(cluster.api.service_ips.run())
    try:
        await cluster.until(lambda: exists(cluster.client, IPADDRESSES, ip))
        await cluster.client.delete(IPADDRESSES, ip)
        await cluster.until(lambda: exists(cluster.client, IPADDRESSES, ip))
        stray = {**(await cluster.client.get(IPADDRESSES, ip)), "metadata": {"name": "10.96.9.9"}}
        labels = {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}
        await cluster.client.create(IPADDRESSES, {**stray, "metadata": {"name": "10.96.9.9", "labels": labels}})
        await cluster.client.create(IPADDRESSES, {**stray, "metadata": {"name": "10.96.9.8"}})

        async def gone():
            return not await exists(cluster.client, IPADDRESSES, "10.96.9.9")

        await cluster.until(gone)
        assert await exists(cluster.client, IPADDRESSES, "10.96.9.8")  # somebody else's
    finally:
        repair.cancel()
        await asyncio.gather(repair, return_exceptions=True)


async def test_a_restarted_server_leaves_objects_alone(cluster):
    for i in range(5):
        await cluster.client.create(SERVICES, service(f"web-{i}"))

    async def uids():
        return {a["metadata"]["name"]: a["metadata"]["uid"] for a in (await cluster.client.list(IPADDRESSES)).items}

    before = await uids()
    await cluster.restart_api()
    repair = asyncio.create_task(cluster.api.service_ips.run())
    try:
        await asyncio.sleep(5)
        assert await uids() == before
    finally:
        repair.cancel()
        await asyncio.gather(repair, return_exceptions=True)


async def test_a_range_stays_while_an_address_lies_in_it_alone(cluster):
    await cluster.client.create(SERVICECIDRS, cidr("more", "10.1.0.0/24"))
    await reaches(cluster, "more", READY)
    await cluster.client.create(SERVICES, service("web", clusterIP="10.1.0.9"))
    await cluster.client.delete(SERVICECIDRS, "more")
    await reaches(cluster, "more", IN_USE)
    with pytest.raises(StatusError, match="the provided network does not match the current range"):
        await cluster.client.create(SERVICES, service("late", clusterIP="10.1.0.10"))
    await cluster.client.delete(SERVICES, "web", "default")

    async def gone():
        return not await exists(cluster.client, SERVICECIDRS, "more")

    before = asyncio.get_running_loop().time()
    await cluster.until(gone)
    assert asyncio.get_running_loop().time() - before < 11


ADDRESSES = [ipaddress.ip_address(a) for a in ("10.0.0.5", "fd00::5")]


@pytest.mark.parametrize(
    ("own", "others", "needed"),
    [
        pytest.param(["10.0.0.0/24"], [], True, id="alone"),
        pytest.param(["10.2.0.0/24"], [], False, id="no address in it"),
        pytest.param(["10.0.0.0/24"], [["10.0.0.0/16"]], False, id="a larger range has it"),
        pytest.param(["10.0.0.0/24"], [["10.0.0.0/24"]], False, id="the same range twice"),
        pytest.param(["10.0.0.0/16"], [["10.0.0.0/24"]], False, id="the address lies in a smaller range too"),
        pytest.param(["10.0.0.0/16"], [["10.0.1.0/24"]], True, id="a smaller range without the address"),
        pytest.param(["10.0.0.0/24", "fd00::/112"], [["10.0.0.0/16"]], True, id="the other family has no other range"),
    ],
)
def test_is_needed(own, others, needed):
    assert is_needed(cidr("x", *own), [cidr("y", *o) for o in others], ADDRESSES) is needed
