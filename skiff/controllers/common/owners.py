"""Controlling owners: reading the reference, making one, and claiming objects by selector (adopting and releasing).

Source: upstream pkg/controller/controller_ref_manager.go.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from skiff.api.errors import StatusError, is_not_found, is_reason
from skiff.api.meta import controller_of, is_being_deleted, name, namespace, new_controller_ref, uid
from skiff.api.types import GVR, Obj
from skiff.client.rest import Client


@dataclass(frozen=True, slots=True)
class Claims:
    """What an owner does about objects it may own. owned: its already, and matching."""

    owned: tuple[Obj, ...] = ()
    adopt: tuple[Obj, ...] = ()
    release: tuple[Obj, ...] = ()


def plan_claims(owner: Obj, matches: Callable[[Obj], bool], objects: Iterable[Obj]) -> Claims:
    """An owner that is being deleted neither adopts nor releases; an object that is being deleted is not adopted."""
    owned, adopt, release = [], [], []
    for obj in objects:
        ref = controller_of(obj)
        if ref is not None and ref.get("uid") != uid(owner):
            continue
        matching = matches(obj)
        if ref is not None and matching:
            owned.append(obj)
        elif is_being_deleted(owner):
            continue
        elif ref is not None:
            release.append(obj)
        elif matching and not is_being_deleted(obj) and namespace(obj) == namespace(owner):
            adopt.append(obj)
    return Claims(tuple(owned), tuple(adopt), tuple(release))


async def claim(
    client: Client, owner: Obj, owner_gvr: GVR, gvr: GVR, matches: Callable[[Obj], bool], objects: Iterable[Obj]
) -> list[Obj]:
    """Carries out `plan_claims`; returns what is owned afterwards, adopted objects as the server now has them."""
    plan = plan_claims(owner, matches, objects)
    for obj in plan.release:
        await _release(client, owner, gvr, obj)
    claimed = list(plan.owned)
    if plan.adopt:
        await _recheck_alive(client, owner, owner_gvr)
    for obj in plan.adopt:
        try:
            claimed.append(await _adopt(client, owner, owner_gvr, gvr, obj))
        except StatusError as err:
            if not is_not_found(err):
                raise
    return claimed


async def _recheck_alive(client: Client, owner: Obj, gvr: GVR) -> None:
    """Asks the server, not a cache: an owner that has just been deleted must not adopt."""
    fresh = await client.get(gvr, name(owner), namespace(owner))
    if uid(fresh) != uid(owner):
        raise RuntimeError(f"original {gvr.kind} {namespace(owner)}/{name(owner)} is gone")
    if is_being_deleted(fresh):
        raise RuntimeError(f"{namespace(owner)}/{name(owner)} has just been deleted")


async def _adopt(client: Client, owner: Obj, owner_gvr: GVR, gvr: GVR, obj: Obj) -> Obj:
    patch = {"metadata": {"ownerReferences": [new_controller_ref(owner, owner_gvr)], "uid": uid(obj)}}
    return await client.patch(gvr, name(obj), patch, namespace(obj), type="strategic")


async def _release(client: Client, owner: Obj, gvr: GVR, obj: Obj) -> None:
    patch = {"metadata": {"ownerReferences": [{"$patch": "delete", "uid": uid(owner)}], "uid": uid(obj)}}
    try:
        await client.patch(gvr, name(obj), patch, namespace(obj), type="strategic")
    except StatusError as err:
        # Gone, replaced by another of the same name, or without the reference already: nothing is left to release.
        if not is_reason(err, "NotFound", "Invalid"):
            raise
