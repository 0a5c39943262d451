"""Resources that are answered rather than stored: reviews of tokens and of access, bindings, component statuses.

VIRTUAL: (group, plural) → verb → function, asked before the generic verbs.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import orjson

from skiff.api.errors import method_not_supported, not_found
from skiff.api.types import Obj
from skiff.apiserver import components, options, selection
from skiff.apiserver.authn.bearer import Bearer
from skiff.apiserver.authn.openid import OpenIDDiscovery
from skiff.apiserver.authn.reviews import self_subject_review, token_review
from skiff.apiserver.authn.tokens import TokenIssuer
from skiff.apiserver.authz import reviews
from skiff.apiserver.authz.rbac import RBAC
from skiff.apiserver.call import Call
from skiff.apiserver.entries import Entry
from skiff.apiserver.subresources import binding
from skiff.apiserver.subresources.bodies import admit
from skiff.wire.messages import Response

Verb = Callable[[Call], Awaitable[Response]]
Answer = Callable[[Call, Obj], Awaitable[Obj]]


@dataclass(slots=True)
class Identity:
    """What the server knows about tokens and roles beyond the chains of access control; None: it has no such thing.

    audiences: the API's own, for token reviews."""

    issuer: TokenIssuer | None = None
    bearer: Bearer = field(default_factory=lambda: Bearer([]))
    audiences: tuple[str, ...] = ()
    rbac: RBAC | None = None
    openid: OpenIDDiscovery | None = None


def _review(answer: Answer) -> Verb:
    """POST of an object that comes back with its status."""

    async def create(call: Call) -> Response:
        wanted = options.write_options(call.params, "CreateOptions")
        obj = call.decode(call.body(), wanted.field_validation, call.raw_json())
        obj = await admit(call, obj, wanted, obj["metadata"].get("name", ""))
        return call.answer_obj(await answer(call, obj), 201)

    return create


async def _token(call: Call, obj: Obj) -> Obj:
    identity = call.server.identity
    return await token_review(identity.bearer, identity.audiences, obj)


async def _self_subject(call: Call, obj: Obj) -> Obj:
    return self_subject_review(call.user, obj)


async def _access(call: Call, obj: Obj) -> Obj:
    return await reviews.subject_access_review(call.server.authorization, obj)


async def _self_access(call: Call, obj: Obj) -> Obj:
    return await reviews.self_subject_access_review(call.server.authorization, call.user, obj)


async def _local_access(call: Call, obj: Obj) -> Obj:
    return await reviews.local_subject_access_review(call.server.authorization, call.namespace, obj)


async def _self_rules(call: Call, obj: Obj) -> Obj:
    rbac = call.server.identity.rbac
    if rbac is None:
        raise method_not_supported(call.served.gvr, "create")
    return reviews.self_subject_rules_review(rbac, call.user, obj)


# --- component statuses


async def _get_component(call: Call) -> Response:
    if call.info.name not in components.NAMES:
        raise not_found(call.served.gvr, call.info.name)
    return call.answer_obj(await call.server.components.status(call.info.name))


async def _list_components(call: Call) -> Response:
    from skiff.apiserver import tables

    how = call.accepted()
    labels, fields = (options.first(call.params, name) for name in ("labelSelector", "fieldSelector"))
    matches = selection.select(call.served, "", "", labels, fields).matches
    found = [o for o in await call.server.components.statuses() if call.info.name in ("", o["metadata"]["name"])]
    objects = [o for o in found if matches is None or matches(Entry("", o["metadata"]["name"], 0, b"", {}, ()))]
    if how.plain:
        items = [call.served.item(o) for o in objects]
        listed = {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items}
        return call.answer(orjson.dumps(listed))
    return tables.answer_objects(call, how, objects, {})


VIRTUAL: Mapping[tuple[str, str], Mapping[str, Verb]] = {
    ("authentication.k8s.io", "tokenreviews"): {"create": _review(_token)},
    ("authentication.k8s.io", "selfsubjectreviews"): {"create": _review(_self_subject)},
    ("authorization.k8s.io", "subjectaccessreviews"): {"create": _review(_access)},
    ("authorization.k8s.io", "selfsubjectaccessreviews"): {"create": _review(_self_access)},
    ("authorization.k8s.io", "localsubjectaccessreviews"): {"create": _review(_local_access)},
    ("authorization.k8s.io", "selfsubjectrulesreviews"): {"create": _review(_self_rules)},
    ("", "bindings"): {"create": binding.create_unnamed},
    ("", "componentstatuses"): {"get": _get_component, "list": _list_components},
}
