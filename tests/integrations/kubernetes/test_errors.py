"""What an API server's answers mean, in the words of its own sources: k8s.io/apiserver 1.36."""

from __future__ import annotations

import pytest

from bot.core.kubernetes import PatchType
from bot.integrations.kubernetes.errors import ApiErrorKind, classify

_CONFLICT = (
    'Operation cannot be fulfilled on deployments.apps "api": the object has been modified;'
    " please apply your changes to the latest version and try again"
)
_UNFIT = "the server rejected our request due to an error in our request"
_HOOK = 'admission webhook "no-friday.example.com" denied the request: not today'
_DOWN = (
    'Internal error occurred: failed calling webhook "no-friday.example.com": failed to call webhook: Post'
    ' "https://hooks.ops.svc:443/validate?timeout=10s": context deadline exceeded'
)
_POLICY = (
    "deployments.apps \"api\" is forbidden: ValidatingAdmissionPolicy 'no-friday' with binding 'no-friday' denied"
    " request: not today"
)
_RBAC = 'deployments.apps "api" is forbidden: User "vakhta" cannot patch resource "deployments" in API group "apps"'
_QUOTA = 'pods "api-1" is forbidden: exceeded quota: team, requested: pods=1, used: pods=4, limited: pods=4'
_SECURITY = 'pods "api-1" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
_LIMIT = 'pods "api-1" is forbidden: maximum cpu usage per Container is 1, but limit is 2'


@pytest.mark.parametrize(
    ("status", "reason", "said", "meant"),
    [
        (409, "Conflict", _CONFLICT, ApiErrorKind.CONFLICT),
        (
            409,
            "Conflict",
            'Operation cannot be fulfilled on Pod "a": the UID in the precondition',
            ApiErrorKind.CONFLICT,
        ),
        (409, "Conflict", 'Apply failed with 1 conflict: conflict with "helm": .spec.replicas', ApiErrorKind.CONFLICT),
        (422, "Invalid", _UNFIT, ApiErrorKind.CONFLICT),
        (409, "Conflict", _HOOK, ApiErrorKind.DENIED),
        (409, "", _HOOK, ApiErrorKind.DENIED),
        (422, "Invalid", _HOOK, ApiErrorKind.DENIED),
        (403, "Forbidden", _HOOK, ApiErrorKind.DENIED),
        (500, "", _HOOK, ApiErrorKind.DENIED),
        (503, "", 'admission webhook "x" denied the request without explanation', ApiErrorKind.DENIED),
        (500, "InternalError", f"Internal error occurred: {_HOOK}", ApiErrorKind.DENIED),
        (403, "Forbidden", f'deployments.apps "api" is forbidden: {_HOOK}', ApiErrorKind.DENIED),
        (422, "Invalid", _POLICY, ApiErrorKind.DENIED),
        (403, "Forbidden", _POLICY, ApiErrorKind.DENIED),
        (403, "Forbidden", _QUOTA, ApiErrorKind.DENIED),
        (403, "Forbidden", _SECURITY, ApiErrorKind.DENIED),
        (403, "Forbidden", _LIMIT, ApiErrorKind.DENIED),
        (500, "InternalError", _DOWN, ApiErrorKind.WEBHOOK_FAILED),
        (400, "BadRequest", 'admission webhook "x" does not support dry run', ApiErrorKind.NO_DRY_RUN),
        (403, "Forbidden", _RBAC, ApiErrorKind.NO_ENTRY),
        (403, "", "", ApiErrorKind.NO_ENTRY),
        (401, "Unauthorized", "Unauthorized", ApiErrorKind.NO_ENTRY),
        (422, "Invalid", 'Deployment.apps "api" is invalid: spec.replicas: Invalid value: -1', ApiErrorKind.REFUSED),
        (
            422,
            "Invalid",
            '"" is invalid: patch: Invalid value: "{}": it cannot be read as a Scale',
            ApiErrorKind.REFUSED,
        ),
        (409, "AlreadyExists", 'pods "api" already exists', ApiErrorKind.EXISTS),
        (409, "", "", ApiErrorKind.REFUSED),
        (429, "TooManyRequests", "too many requests", ApiErrorKind.REFUSED),
        (500, "InternalError", "Internal error occurred: etcdserver: leader changed", ApiErrorKind.UNKNOWN),
        (500, "InternalError", f"conversion webhook said: {_HOOK}", ApiErrorKind.UNKNOWN),
        (504, "Timeout", "Timeout: request did not complete within requested timeout", ApiErrorKind.UNKNOWN),
        (503, "", "", ApiErrorKind.UNKNOWN),
    ],
)
def test_what_an_answer_means_is_told_by_whoever_begins_it(
    status: int, reason: str, said: str, meant: ApiErrorKind
) -> None:
    told = {"kind": "Status", "status": "Failure", "reason": reason, "message": said, "code": status}

    found = classify(status, told, "otherwise", PatchType.JSON)

    assert (found.kind, found.message) == (meant, said or "otherwise")


def test_a_patch_that_is_no_json_patch_has_no_test_that_could_fail() -> None:
    assert classify(422, {"reason": "Invalid", "message": _UNFIT}, "", PatchType.MERGE).kind is ApiErrorKind.REFUSED


@pytest.mark.parametrize("told", [None, [], "denied", {"message": 5}, {"message": ["a"]}])
def test_a_body_that_is_no_status_is_told_by_its_code_alone(told: object) -> None:
    assert (classify(409, told, "Conflict").kind, classify(409, told, "Conflict").message) == (
        ApiErrorKind.REFUSED,
        "Conflict",
    )
    assert classify(409, told, "").message == "no reason given"
