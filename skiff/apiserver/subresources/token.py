"""serviceaccounts/token: hands a TokenRequest to the issuer of service account tokens."""

from skiff.api.errors import not_found
from skiff.apiserver import options
from skiff.apiserver.call import Call
from skiff.apiserver.subresources.bodies import TOKEN_REQUEST
from skiff.wire.messages import Response


async def create(call: Call) -> Response:
    wanted = options.write_options(call.params, "CreateOptions")
    issuer = call.server.identity.issuer
    if issuer is None:
        raise not_found(call.served.gvr, call.info.name)
    request = TOKEN_REQUEST.decode(call, call.body("TokenRequest"))
    attrs = call.attributes(
        "CREATE", request, None, wanted.as_object("CreateOptions"), dry_run=wanted.dry_run, name=call.info.name
    )
    await call.server.admission.mutate(attrs)
    await call.server.admission.validate(attrs)
    return call.answer_obj(await issuer.create(call.namespace, call.info.name, request), 201)
