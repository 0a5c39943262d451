"""rbac.authorization.k8s.io/v1. Defaults: pkg/apis/rbac/v1/defaults.go."""

from collections.abc import Sequence

from skiff.api import names
from skiff.api.resources import Resource
from skiff.api.resources import other_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.define import builtin
from skiff.api.resources.fields import each, rules, struct, zero
from skiff.api.types import Obj

GROUP = "rbac.authorization.k8s.io"


def _subject(subject: Obj) -> None:
    if subject.get("kind") in ("User", "Group"):
        zero(apiGroup=GROUP)(subject)


default_binding = rules(struct("roleRef", zero(apiGroup=GROUP)), each("subjects", _subject))


def default_role(obj: Obj) -> None:
    """Rules are always written, null when there are none."""
    obj.setdefault("rules", None)


RESOURCES: Sequence[Resource] = (
    builtin(
        GROUP,
        "v1",
        "clusterrolebindings",
        "ClusterRoleBinding",
        validate=validator(checks.check_binding(namespaced=False)),
        validate_update=update_validator(checks.check_binding_update),
        name_rule=names.is_path_segment,
        namespaced=False,
        default=default_binding,
        create_on_update=True,
    ),
    builtin(
        GROUP,
        "v1",
        "clusterroles",
        "ClusterRole",
        validate=validator(checks.check_role(namespaced=False)),
        name_rule=names.is_path_segment,
        namespaced=False,
        default=default_role,
        create_on_update=True,
    ),
    builtin(
        GROUP,
        "v1",
        "rolebindings",
        "RoleBinding",
        validate=validator(checks.check_binding(namespaced=True)),
        validate_update=update_validator(checks.check_binding_update),
        name_rule=names.is_path_segment,
        default=default_binding,
        create_on_update=True,
    ),
    builtin(
        GROUP,
        "v1",
        "roles",
        "Role",
        validate=validator(checks.check_role(namespaced=True)),
        name_rule=names.is_path_segment,
        default=default_role,
        create_on_update=True,
    ),
)
