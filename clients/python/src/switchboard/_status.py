"""From the status of a call to the exception that says it."""

from __future__ import annotations

from collections.abc import Iterable

import grpc
from google.rpc import error_details_pb2, status_pb2

from switchboard.errors import BY_REASON, DeadlineExceeded, SwitchboardError

# Where a status keeps its details.
_DETAILS = "grpc-status-details-bin"

# What a connection that breaks, or that cannot be made, leaves of a call.
_BROKEN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.CANCELLED,
}


def from_status(
    code: grpc.StatusCode,
    text: str,
    trailers: Iterable[tuple[str, str | bytes]],
    url: str,
) -> SwitchboardError:
    """The exception for a status that came from `url`, or from the way there."""
    details = next((value for key, value in trailers if key == _DETAILS), b"")
    told = status_pb2.Status()
    if isinstance(details, bytes):
        try:
            told.ParseFromString(details)
        except Exception:  # Somebody else's bytes say nothing.
            told = status_pb2.Status()
    reason, metadata, retry_after = "", {}, None
    violations: dict[str, str] = {}
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    fields, preconditions = error_details_pb2.BadRequest(), error_details_pb2.PreconditionFailure()
    for detail in told.details:
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
        elif detail.Unpack(fields):
            found = fields.field_violations
            violations.update((each.field, each.description) for each in found)
        elif detail.Unpack(preconditions):
            found = preconditions.violations
            violations.update((each.subject, each.description) for each in found)
    if not reason:
        return _without_reason(code, text, url)
    return BY_REASON.get(reason, SwitchboardError)(
        text or f"the server answered {reason}",
        reason=reason,
        metadata=metadata,
        code=code,
        retry_after=retry_after,
        violations=violations,
    )


def _without_reason(code: grpc.StatusCode, text: str, url: str) -> SwitchboardError:
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        message = f"no answer came from {url} in the time that the call had"
        return DeadlineExceeded(message, reason="DEADLINE_EXCEEDED", code=code)
    if code is grpc.StatusCode.UNAVAILABLE:
        hint = "is it running? `switchboard serve`"
        if url.startswith("https:"):
            hint = "is it running, and is its certificate trusted?"
        message = f"no server answers at {url}: {text} ({hint})"
    else:
        message = f"the call to {url} failed on its way, with {code.name}: {text}"
    return SwitchboardError(message, code=code)


def silent(within: float, url: str) -> SwitchboardError:
    """What is raised where the other end of a stream should have said something for so long."""
    message = f"nothing came from {url} for {within:g} s"
    return SwitchboardError(message, code=grpc.StatusCode.DEADLINE_EXCEEDED)


def is_silent(error: SwitchboardError) -> bool:
    """Whether it is one that `silent` made."""
    return not error.reason and error.code is grpc.StatusCode.DEADLINE_EXCEEDED


def lost(error: SwitchboardError) -> str | None:
    """Why the same call may be made again: the server is away, or about to be.

    None where the server answered, and would answer the same again.
    """
    if error.reason == "SHUTTING_DOWN":
        return "it is shutting down"
    if error.reason == "OVERLOADED":
        return "it is overloaded"
    if not error.reason and error.code in _BROKEN:
        return "the connection is broken"
    if is_silent(error):
        return "it says nothing"
    return None
