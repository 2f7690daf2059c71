"""Every refusal and failure, once: the same word in the planner, on the operation and in a problem response.

A code never changes its meaning. `status` is the HTTP status of the problem response, `title` what happened,
`remedy` what the reader can do next.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    # Refused before anything happened
    SANDBOX_NOT_FOUND = "sandbox_not_found"
    OPERATION_NOT_FOUND = "operation_not_found"
    WEBHOOK_NOT_FOUND = "webhook_not_found"
    POLICY_NOT_FOUND = "policy_not_found"
    SANDBOX_GONE = "sandbox_gone"
    SANDBOX_CREATING = "sandbox_creating"
    SANDBOX_DELETING = "sandbox_deleting"
    EPHEMERAL_WOULD_BE_DESTROYED = "ephemeral_would_be_destroyed"
    EPHEMERAL_CANNOT_ARCHIVE = "ephemeral_cannot_archive"
    EPHEMERAL_CANNOT_RESTART = "ephemeral_cannot_restart"
    AUTO_DELETE_WOULD_DESTROY = "auto_delete_would_destroy"
    OWNER_ON_HOLD = "owner_on_hold"
    SANDBOX_LIMIT_REACHED = "sandbox_limit_reached"
    SANDBOX_STOPPED_BY_USER = "sandbox_stopped_by_user"
    OPERATION_FINISHED = "operation_finished"
    OPERATION_NOT_CANCELLABLE = "operation_not_cancellable"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    WEBHOOK_LIMIT_REACHED = "webhook_limit_reached"
    NOT_CONFIGURED = "not_configured"
    # How an operation ended
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    CAPACITY_EXHAUSTED = "capacity_exhausted"
    QUOTA_TOO_SMALL = "quota_too_small"
    DISK_QUOTA_FULL = "disk_quota_full"
    SANDBOX_ERRORED = "sandbox_errored"
    SANDBOX_UNRECOVERABLE = "sandbox_unrecoverable"
    RECOVERY_COOLDOWN = "recovery_cooldown"
    NAME_TAKEN = "name_taken"
    DAYTONA_REJECTED = "daytona_rejected"
    NO_LONGER_DUE = "no_longer_due"
    # Requests that are not in order
    INVALID_REQUEST = "invalid_request"
    MALFORMED_BODY = "malformed_body"
    OWNER_REQUIRED = "owner_required"
    UNAUTHENTICATED = "unauthenticated"
    INVALID_TOKEN = "invalid_token"  # noqa: S105 - a code, not a secret
    PERMISSION_DENIED = "permission_denied"
    MISSING_SCOPE = "missing_scope"
    CSRF_FAILED = "csrf_failed"
    NETWORK_NOT_ALLOWED = "network_not_allowed"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    LENGTH_REQUIRED = "length_required"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    PRECONDITION_FAILED = "precondition_failed"
    CURSOR_EXPIRED = "cursor_expired"
    HEAD_TOO_LARGE = "head_too_large"
    REQUEST_TIMEOUT = "request_timeout"
    RATE_LIMITED = "rate_limited"
    TOO_MANY_BULK_REQUESTS = "too_many_bulk_requests"
    OPERATION_BUDGET_SPENT = "operation_budget_spent"
    REQUEST_IN_PROGRESS = "request_in_progress"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    INTERNAL_ERROR = "internal_error"
    SERVICE_UNAVAILABLE = "service_unavailable"
    DATABASE_UNAVAILABLE = "database_unavailable"
    IDENTITY_PROVIDER_UNAVAILABLE = "identity_provider_unavailable"


FOR_LACK_OF_ROOM = (Code.CAPACITY_EXHAUSTED, Code.QUOTA_TOO_SMALL, Code.DISK_QUOTA_FULL)


@dataclass(frozen=True, slots=True)
class CodeMeaning:
    status: int
    title: str
    remedy: str


_M = CodeMeaning
MEANINGS: dict[Code, CodeMeaning] = {
    Code.SANDBOX_NOT_FOUND: _M(404, "There is no such sandbox", "Check the id; it is ours or Daytona's."),
    Code.OPERATION_NOT_FOUND: _M(404, "There is no such operation", "Check the id in the Location header."),
    Code.WEBHOOK_NOT_FOUND: _M(404, "There is no such webhook", "List the webhooks of your key."),
    Code.POLICY_NOT_FOUND: _M(
        404, "There is nothing that this lifecycle policy could be about",
        "Name `default`, `tier:` a tier, `owner:` an owner, or `sandbox:` a sandbox.",
    ),
    Code.SANDBOX_GONE: _M(410, "The sandbox no longer exists", "Create a new one."),
    Code.SANDBOX_CREATING: _M(
        409, "The sandbox is still being created", "Wait for the create, or delete the sandbox."
    ),
    Code.SANDBOX_DELETING: _M(
        409, "The sandbox is being deleted", "Nothing overrules a delete. Create a new sandbox."
    ),
    Code.EPHEMERAL_WOULD_BE_DESTROYED: _M(
        409, "Stopping this ephemeral sandbox destroys it", "Send force to destroy it, or leave it running."
    ),
    Code.EPHEMERAL_CANNOT_ARCHIVE: _M(
        409, "An ephemeral sandbox cannot be archived", "Delete it, or leave it running."
    ),
    Code.EPHEMERAL_CANNOT_RESTART: _M(
        409, "Stopping an ephemeral sandbox destroys it, so it cannot be restarted",
        "Leave it running, or delete it and create a new one.",
    ),
    Code.AUTO_DELETE_WOULD_DESTROY: _M(
        409, "Daytona would delete the sandbox within a day of this stop",
        "Set auto_delete_minutes to -1 first, or send force to let it be deleted.",
    ),
    Code.OWNER_ON_HOLD: _M(409, "The owner is on hold", "Staff can lift the hold on the owner's page."),
    Code.SANDBOX_LIMIT_REACHED: _M(
        409, "The owner is at their sandbox limit", "Delete one, or ask staff for a higher limit."
    ),
    Code.SANDBOX_STOPPED_BY_USER: _M(
        409, "A person stopped this sandbox", "Do not start it on your own; ask its owner to start it."
    ),
    Code.OPERATION_FINISHED: _M(409, "The operation has already finished", "Nothing is left to cancel."),
    Code.OPERATION_NOT_CANCELLABLE: _M(
        409, "The operation has already reached Daytona", "Request the opposite action instead."
    ),
    Code.ADDRESS_NOT_ALLOWED: _M(
        400, "Nothing may be sent to this address", "Name an https address on the public internet, or ask staff."
    ),
    Code.WEBHOOK_LIMIT_REACHED: _M(409, "The key has as many webhooks as it may", "Delete one that is not needed."),
    Code.NOT_CONFIGURED: _M(
        503, "This part of the service is not configured", "Ask the operator to run `manage.py doctor`."
    ),
    Code.SUPERSEDED: _M(409, "A newer request took this one's place", "See the newer operation."),
    Code.CANCELLED: _M(409, "The operation was cancelled", "Request it again if it is still wanted."),
    Code.TIMEOUT: _M(
        504, "Daytona did not finish in time", "The status shows what Daytona says now; try again."
    ),
    Code.CAPACITY_EXHAUSTED: _M(
        409, "No capacity is free and nothing may be stopped for it", "Stop a sandbox, or try again later."
    ),
    Code.QUOTA_TOO_SMALL: _M(
        409, "The organisation's quota is smaller than this sandbox", "Choose a smaller tier, or raise the quota."
    ),
    Code.DISK_QUOTA_FULL: _M(
        409, "The organisation's disk quota is full", "Archive or delete sandboxes; stopping frees no disk."
    ),
    Code.SANDBOX_ERRORED: _M(409, "The sandbox is in an error state", "Recover it, or delete it."),
    Code.SANDBOX_UNRECOVERABLE: _M(
        409, "The sandbox is in an error state that Daytona cannot recover", "Delete it and create a new one."
    ),
    Code.RECOVERY_COOLDOWN: _M(
        409, "Daytona tried to recover this sandbox recently", "Try again in an hour."
    ),
    Code.NAME_TAKEN: _M(
        409, "Daytona has a sandbox of this name that is not ours", "Delete that one in Daytona, or create again."
    ),
    Code.DAYTONA_REJECTED: _M(502, "Daytona refused the request", "Staff can read Daytona's words in the admin."),
    Code.NO_LONGER_DUE: _M(
        409, "The lifecycle policy does not ask for it any more", "Nothing: it was used, protected or wanted again."
    ),
    Code.INVALID_REQUEST: _M(400, "The request is not valid", "Correct the fields named in `errors`."),
    Code.MALFORMED_BODY: _M(400, "The body could not be read", "Send a JSON object."),
    Code.OWNER_REQUIRED: _M(
        400, "The key must say for which owner it acts", "Send X-On-Behalf-Of with the owner's id."
    ),
    Code.UNAUTHENTICATED: _M(401, "Credentials are missing", "Send Authorization: Bearer with a token or key."),
    Code.INVALID_TOKEN: _M(401, "The credentials are not valid", "Get a new token, or ask staff for a new key."),
    Code.PERMISSION_DENIED: _M(403, "You may not do this", "Ask an administrator for the permission."),
    Code.MISSING_SCOPE: _M(403, "The key lacks a scope", "Use a key that has the scope named in `detail`."),
    Code.CSRF_FAILED: _M(403, "The CSRF check failed", "Reload the page and send its CSRF token."),
    Code.NETWORK_NOT_ALLOWED: _M(
        403, "The key may not be used from this network", "Call from an allowed network, or change the key's."
    ),
    Code.NOT_FOUND: _M(404, "There is nothing here", "See /api/v1/docs for what there is."),
    Code.METHOD_NOT_ALLOWED: _M(405, "This method is not allowed here", "Use a method of the Allow header."),
    Code.NOT_ACCEPTABLE: _M(406, "No representation fits the Accept header", "Accept application/json."),
    Code.UNSUPPORTED_MEDIA_TYPE: _M(
        415, "This media type is not understood", "Send application/json, uncompressed."
    ),
    Code.LENGTH_REQUIRED: _M(411, "The body came without its length", "Send Content-Length, not chunks."),
    Code.PAYLOAD_TOO_LARGE: _M(413, "The body is too large", "Send less."),
    Code.PRECONDITION_FAILED: _M(
        412, "The sandbox is no longer as If-Match says", "Get it again, and decide anew with its new ETag."
    ),
    Code.CURSOR_EXPIRED: _M(
        410, "Events after this cursor are not kept", "Ask with `after=latest`, list all sandboxes, then go on."
    ),
    Code.HEAD_TOO_LARGE: _M(431, "The request line and headers are too large", "Send fewer or shorter ones."),
    Code.REQUEST_TIMEOUT: _M(408, "The request was not complete in time", "Send it again, and faster."),
    Code.RATE_LIMITED: _M(429, "Too many requests", "Wait as long as Retry-After says."),
    Code.TOO_MANY_BULK_REQUESTS: _M(
        429, "Two of your bulk requests are still running", "Send the next one when one of them has its answer."
    ),
    Code.OPERATION_BUDGET_SPENT: _M(
        429, "The owner has no operations left in this hour", "Wait as long as Retry-After says, or ask staff."
    ),
    Code.REQUEST_IN_PROGRESS: _M(
        409, "The first request with this Idempotency-Key is still running", "Repeat it in a moment."
    ),
    Code.IDEMPOTENCY_KEY_REUSED: _M(
        422, "This Idempotency-Key came with another request before", "Use a new key for a new request."
    ),
    Code.INTERNAL_ERROR: _M(500, "Something broke on our side", "Try again; tell staff the request id."),
    Code.SERVICE_UNAVAILABLE: _M(503, "No web process answers", "Try again in a moment."),
    Code.DATABASE_UNAVAILABLE: _M(503, "The database cannot be used now", "Try again in a moment."),
    Code.IDENTITY_PROVIDER_UNAVAILABLE: _M(
        503, "The identity provider does not answer", "Try again in a moment."
    ),
}  # fmt: skip


class Refused(Exception):
    """A service says no. Carries a code, a message for people, and facts for programs; changes nothing."""

    def __init__(self, code: Code, detail: str = "", **extra: Any) -> None:
        self.code = code
        self.detail = detail or MEANINGS[code].title
        self.extra = extra
        super().__init__(f"{code}: {self.detail}")

    @property
    def meaning(self) -> CodeMeaning:
        return MEANINGS[self.code]


def invalid(field: str, message: str) -> Refused:
    """A refusal of one field, by the name that the API has for it."""
    return Refused(Code.INVALID_REQUEST, message, errors=[{"field": field, "message": message, "code": "invalid"}])


class NoticeCode(StrEnum):
    """Conditions of the whole installation that staff must know: one open row each, never one per sandbox."""

    DAYTONA_UNAUTHORIZED = "daytona_unauthorized"
    DAYTONA_NOT_CONFIGURED = "daytona_not_configured"
    ORG_SUSPENDED = "org_suspended"
    UNKNOWN_STATE = "unknown_state"
    UNKNOWN_ANSWER = "unknown_answer"
    SETTINGS_DIFFER = "settings_differ"
    CONVEX_PAUSED = "convex_paused"
    CONVEX_UNAUTHORIZED = "convex_unauthorized"
    CONVEX_FUNCTION_MISSING = "convex_function_missing"
    CONVEX_REFUSED = "convex_refused"
    CONVEX_FOREIGN_OWNER = "convex_foreign_owner"
    CONVEX_DIFFERS = "convex_differs"
    SWEEP_REFUSED = "sweep_refused"
    SWEEP_STALE = "sweep_stale"
    DELETE_STUCK = "delete_stuck"
    SANDBOX_STUCK = "sandbox_stuck"
    WORKER_SILENT = "worker_silent"
    ROWS_FAILING = "rows_failing"
    CLOCK_STEPPED_BACK = "clock_stepped_back"
    ORPHANS = "orphans"
    WEBHOOK_DISABLED = "webhook_disabled"


REMEDIES: dict[NoticeCode, str] = {
    NoticeCode.DAYTONA_UNAUTHORIZED: "Put a valid key into DAYTONA_API_KEY and restart the workers.",
    NoticeCode.DAYTONA_NOT_CONFIGURED: "Set DAYTONA_API_URL and DAYTONA_API_KEY for the workers.",
    NoticeCode.ORG_SUSPENDED: "Settle it with Daytona; operations wait until it is lifted.",
    NoticeCode.UNKNOWN_STATE: "Daytona reports a state this version does not know; look for an update.",
    NoticeCode.UNKNOWN_ANSWER: "Daytona refuses in words this version does not know; look for an update.",
    NoticeCode.SETTINGS_DIFFER: "Open the sandbox: tell Daytona again, or ask for the value that it holds.",
    NoticeCode.CONVEX_PAUSED: "Resume the deployment on Convex's dashboard; pushes wait.",
    NoticeCode.CONVEX_UNAUTHORIZED: "Put a valid key into CONVEX_DEPLOY_KEY and restart the workers.",
    NoticeCode.CONVEX_FUNCTION_MISSING: "Deploy the missing Convex function; `manage.py doctor` names it.",
    NoticeCode.CONVEX_REFUSED: "Open the sandbox to read what Convex said; it is tried again slowly.",
    NoticeCode.CONVEX_FOREIGN_OWNER: "A Convex row names another owner; correct it in Convex by hand.",
    NoticeCode.CONVEX_DIFFERS: "See `reconcile_sandboxes --verify-convex`, which says of each what differs.",
    NoticeCode.SWEEP_REFUSED: "Check whether Daytona lost them; then run reconcile_sandboxes --force.",
    NoticeCode.SWEEP_STALE: "Run `manage.py reconcile_sandboxes`, by cron or with --every.",
    NoticeCode.DELETE_STUCK: "Daytona does not finish a delete; ask its support with the sandbox's id.",
    NoticeCode.SANDBOX_STUCK: "Open them in Daytona; sync, or ask its support with the sandbox's id.",
    NoticeCode.WORKER_SILENT: "Start `manage.py run_worker`; nothing moves without one.",
    NoticeCode.ROWS_FAILING: "Report it with the error that the notice names; the others go on.",
    NoticeCode.CLOCK_STEPPED_BACK: "Look at the time service of the database's host; everything was made due.",
    NoticeCode.WEBHOOK_DISABLED: "Tell its program; enable it on the webhook's page when it answers again.",
    NoticeCode.ORPHANS: "Decide on each under Orphans; `manage.py reconcile_sandboxes --adopt` takes over all.",
}
