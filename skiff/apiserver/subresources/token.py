"""serviceaccounts/token: hands a TokenRequest to the issuer of service account tokens."""

from skiff.api.errors import not_found
from skiff.apiserver import options
from skiff.apiserver.call import Call
from skiff.apiserver.subresources.bodies import TOKEN_REQUEST, admit
from skiff.wire.messages import Response


async def create(call: Call) -> Response:
    wanted = options.write_options(call.params, "CreateOptions")
    issuer = call.server.identity.issuer
    if issuer is None:
        raise not_found(call.served.gvr, call.info.name)
    request = TOKEN_REQUEST.decode(call, call.body("TokenRequest"))
    request = await admit(call, request, wanted, call.info.name)
    return call.answer_obj(await issuer.create(call.namespace, call.info.name, request), 201)
