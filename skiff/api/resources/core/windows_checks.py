"""Validation of what only pods of Windows may say, and of what they may not.

Source: pkg/apis/core/validation/validation.go (validateWindows… and validateLinux).
"""

import re
from collections.abc import Iterator

from skiff.api import names
from skiff.api.resources.checks import ErrorList
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj

MAX_CREDENTIAL_KIB = 64
MAX_DOMAIN, MAX_USER = 256, 104
_POD_FIELDS = (
    "securityContext.appArmorProfile",
    "securityContext.seLinuxOptions",
    "hostUsers",
    "hostPID",
    "hostIPC",
    "securityContext.seccompProfile",
    "securityContext.fsGroup",
    "securityContext.fsGroupChangePolicy",
    "securityContext.sysctls",
    "shareProcessNamespace",
    "securityContext.runAsUser",
    "securityContext.runAsGroup",
    "securityContext.supplementalGroups",
    "securityContext.supplementalGroupsPolicy",
    "securityContext.seLinuxChangePolicy",
)
_OFF_IS_UNSET = ("hostPID", "hostIPC", "securityContext.sysctls")
_CONTAINER_FIELDS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NET_BIOS = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}\Z')
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
_FORBIDDEN_IN_USERS = re.compile(r'["/\\:;|=,+*?<>@\[\]]')


def check_windows_options(options: Obj | None, path: str, errors: ErrorList) -> None:
    """Of a pod's or a container's security context."""
    if options is None:
        return
    name, spec = options.get("gmsaCredentialSpecName"), options.get("gmsaCredentialSpec")
    if name is not None:
        errors.rule(f"{path}.gmsaCredentialSpecName", name, names.is_dns1123_subdomain(name))
    if spec == "":
        errors.invalid(f"{path}.gmsaCredentialSpec", spec, "gmsaCredentialSpec cannot be an empty string")
    elif spec is not None and len(spec.encode()) > MAX_CREDENTIAL_KIB * 1024:
        why = f"gmsaCredentialSpec size must be under {MAX_CREDENTIAL_KIB} KiB"
        errors.invalid(f"{path}.gmsaCredentialSpec", spec, why)
    if options.get("runAsUserName") is not None:
        user = options["runAsUserName"]
        errors.rule(f"{path}.runAsUserName", user, [f"runAsUserName{why}" for why in _user_errors(user)])


def _user_errors(name: str) -> Iterator[str]:
    """Of "user" or "domain\\user"; each goes on the field's name."""
    domain, backslash, user = name.rpartition("\\")
    if not name:
        yield " cannot be an empty string"
    elif _CONTROL.search(name):
        yield " cannot contain control characters"
    elif "\\" in domain:
        yield " cannot contain more than one backslash"
    else:
        if len(domain.encode()) >= MAX_DOMAIN:
            yield f"'s Domain length must be under {MAX_DOMAIN} characters"
        if backslash and not _NET_BIOS.match(domain) and not _DOMAIN.match(domain):
            yield "'s Domain doesn't match the NetBios nor the DNS format"
        if not user:
            yield "'s User cannot be empty"
        elif len(user.encode()) > MAX_USER:
            yield f"'s User length must not be longer than {MAX_USER} characters"
        if user and not user.strip(". "):
            yield "'s User cannot contain only periods or spaces"
        if _FORBIDDEN_IN_USERS.search(user):
            yield "'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"


def _contexts(spec: Obj, path: str) -> Iterator[tuple[str, Obj]]:
    """The security context of every container."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for i, container in enumerate(items(spec, field)):
            yield f"{path}.{field}[{i}].securityContext", container.get("securityContext") or {}


def check_host_process(spec: Obj, path: str, errors: ErrorList) -> None:
    """All containers of a pod run as processes of the host, or none."""
    of_pod = get(spec, "securityContext", "windowsOptions", "hostProcess")
    on_host: list[bool] = []
    for here, context in _contexts(spec, path):
        own = get(context, "windowsOptions", "hostProcess")
        if of_pod is not None and own is not None and own != of_pod:
            why = f"pod hostProcess value must be identical if both are specified, was {'true' if of_pod else 'false'}"
            errors.invalid(f"{here}.windowsOptions.hostProcess", own, why)
        on_host.append(bool(of_pod if own is None else own))
    if not any(on_host):
        return
    if not all(on_host):
        why = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        errors.invalid(path, "", why)
    if not spec.get("hostNetwork"):
        why = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.invalid(f"{path}.hostNetwork", False, why)


def check_system(spec: Obj, path: str, errors: ErrorList) -> None:
    """A pod that names its operating system has no fields of the other."""
    if spec["os"].get("name") == "windows":
        why = "cannot be set for a windows pod"
        for field in _POD_FIELDS:
            value = get(spec, *field.split("."))
            if value or (value is not None and field not in _OFF_IS_UNSET):
                errors.forbidden(f"{path}.{field}", why)
        for here, context in _contexts(spec, path):
            for field in _CONTAINER_FIELDS:
                if context.get(field) is not None:
                    errors.forbidden(f"{here}.{field}", why)
    elif spec["os"].get("name") == "linux":
        why = "windows options cannot be set for a linux pod"
        for here, context in ((f"{path}.securityContext", spec.get("securityContext") or {}), *_contexts(spec, path)):
            if context.get("windowsOptions") is not None:
                errors.forbidden(f"{here}.windowsOptions", why)
