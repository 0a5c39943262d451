"""Validation of security contexts. Source: pkg/apis/core/validation/validation.go (…SecurityContext and below)."""

import re
from typing import Any

from skiff.api import names
from skiff.api.resources.checks import MAX_INT32, ErrorList
from skiff.api.resources.core.windows_checks import check_windows_options
from skiff.api.resources.fields import get
from skiff.api.types import Obj

PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
_SYSCTL = "([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_sysctl = re.compile(rf"{_SYSCTL}\Z")


def check_container_security(context: Obj, path: str, errors: ErrorList, *, host_users: bool) -> None:
    _check_ids(context, path, errors, "runAsUser", "runAsGroup")
    mount = context.get("procMount")
    if mount is not None:
        errors.one_of(f"{path}.procMount", mount, ("Default", "Unmasked"))
        if host_users and mount == "Unmasked":
            errors.invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`")
    check_seccomp(context.get("seccompProfile"), f"{path}.seccompProfile", errors)
    if context.get("allowPrivilegeEscalation") is False:
        start = "cannot set `allowPrivilegeEscalation` to false and"
        if context.get("privileged"):
            errors.invalid(path, context, f"{start} `privileged` to true")
        if "CAP_SYS_ADMIN" in (get(context, "capabilities", "add") or ()):
            errors.invalid(path, context, f"{start} `capabilities.Add` CAP_SYS_ADMIN")
    check_windows_options(context.get("windowsOptions"), f"{path}.windowsOptions", errors)
    check_app_armor(context.get("appArmorProfile"), f"{path}.appArmorProfile", errors)


def check_pod_security(spec: Obj, path: str, errors: ErrorList) -> None:
    context = spec.get("securityContext") or {}
    here = f"{path}.securityContext"
    _check_ids(context, here, errors, "fsGroup", "runAsUser", "runAsGroup")
    for i, group in enumerate(context.get("supplementalGroups") or ()):
        errors.rule(f"{here}.supplementalGroups[{i}]", group, names.between(group, 0, MAX_INT32))
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.invalid(f"{here}.shareProcessNamespace", True, why)
    _check_sysctls(context.get("sysctls") or (), spec, f"{here}.sysctls", errors)
    for name, allowed in (
        ("fsGroupChangePolicy", ("Always", "OnRootMismatch")),
        ("supplementalGroupsPolicy", ("Merge", "Strict")),
        ("seLinuxChangePolicy", ("Recursive",)),
    ):
        if context.get(name) is not None:
            errors.one_of(f"{here}.{name}", context[name], allowed)
    check_windows_options(context.get("windowsOptions"), f"{here}.windowsOptions", errors)
    check_seccomp(context.get("seccompProfile"), f"{here}.seccompProfile", errors)
    check_app_armor(context.get("appArmorProfile"), f"{here}.appArmorProfile", errors)


def _check_ids(context: Obj, path: str, errors: ErrorList, *fields: str) -> None:
    for name in fields:
        if context.get(name) is not None:
            errors.rule(f"{path}.{name}", context[name], names.between(context[name], 0, MAX_INT32))


def check_seccomp(profile: Obj | None, path: str, errors: ErrorList) -> None:
    if profile is None:
        return
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        errors.required(f"{path}.type", "type is required when seccompProfile is set")
    else:
        errors.one_of(f"{path}.type", kind, PROFILE_TYPES)
    if kind == "Localhost":
        if local is None:
            errors.required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost")
        elif local.startswith("/"):
            errors.invalid(f"{path}.localhostProfile", local, "must be a relative path")
        elif ".." in local.split("/"):
            errors.invalid(f"{path}.localhostProfile", local, "must not contain '..'")
    elif local is not None:
        shown = {"Type": kind, "LocalhostProfile": local}
        errors.invalid(f"{path}.localhostProfile", shown, "can only be set when seccomp type is Localhost")


def check_app_armor(profile: Obj | None, path: str, errors: ErrorList) -> None:
    if profile is None:
        return
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    if kind == "Localhost":
        if not local:
            errors.required(f"{path}.localhostProfile", "must be set when AppArmor type is Localhost")
        elif local != local.strip():
            errors.invalid(f"{path}.localhostProfile", local, "must not be padded with whitespace")
    elif not kind:
        errors.required(f"{path}.type", "type is required when appArmorProfile is set")
    else:
        errors.one_of(f"{path}.type", kind, PROFILE_TYPES)
        if kind in PROFILE_TYPES and local is not None:
            errors.invalid(f"{path}.localhostProfile", local, "can only be set when AppArmor type is Localhost")


def _check_sysctls(sysctls: Any, spec: Obj, path: str, errors: ErrorList) -> None:
    seen: set[str] = set()
    for i, sysctl in enumerate(sysctls):
        here, name = f"{path}[{i}].name", sysctl.get("name", "")
        if not name:
            errors.required(here)
        elif len(name) > 253 or not _sysctl.match(name):
            errors.invalid(here, name, f"must have at most 253 characters and match regex ^{_SYSCTL}$")
        elif name in seen:
            errors.duplicate(here, name)
        seen.add(name)
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith("net."):
            errors.invalid(here, name, "may not be specified when 'hostNetwork' is true")
        elif spec.get("hostIPC") and dotted.startswith(("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")):
            errors.invalid(here, name, "may not be specified when 'hostIPC' is true")
