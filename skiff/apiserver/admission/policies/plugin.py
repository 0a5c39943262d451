"""What the plugins of both kinds of policy are made of."""

from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.admission.forms import Forms
from skiff.apiserver.admission.metrics import AdmissionMetrics
from skiff.apiserver.admission.policies.configuration import Configuration
from skiff.apiserver.admission.policies.invocations import UNSEEN, Invocations
from skiff.apiserver.authz import Authorization


class PolicyPlugin(Plugin):
    def __init__(
        self,
        configuration: Configuration,
        invocations: Invocations,
        forms: Forms,
        authorization: Authorization | None,
        metrics: AdmissionMetrics,
    ):
        self._configuration = configuration
        self._invocations = invocations
        self._forms = forms
        self._authorization = authorization
        self._metrics = metrics

    def _has_none(self, attrs: Attributes) -> bool:
        """Whether there is no policy at all that could mean the request."""
        return not self._configuration.policies or attrs.gvr.group_resource in UNSEEN
