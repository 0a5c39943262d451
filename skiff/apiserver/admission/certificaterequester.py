"""CertificateRequester: a certificate signing request says who makes it, and only the server can know that.

Not a plugin upstream (the registry's strategy does it), so it cannot be switched off. Approvers and signers rely on it.
"""

from skiff.apiserver.admission import Attributes, Plugin


class CertificateRequester(Plugin):
    name = "CertificateRequester"
    last = True
    operations = frozenset(("CREATE",))
    resources = frozenset(("certificatesigningrequests.certificates.k8s.io",))

    async def mutate(self, attrs: Attributes) -> None:
        assert attrs.obj is not None
        user, spec = attrs.user, attrs.obj.setdefault("spec", {})
        told = {
            "username": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {key: list(values) for key, values in user.extra.items()},
        }
        for field, value in told.items():
            if value:
                spec[field] = value
            else:
                spec.pop(field, None)
