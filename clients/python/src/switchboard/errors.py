"""What can go wrong, as exceptions that a program can act on.

There is one class for each reason that the server gives, and `SwitchboardError` above all of
them. They are made of the `google.rpc` details of a status and never of its text: a reason that
this version does not know is a `SwitchboardError` with that `reason`, and a status without
details, such as that of a refused connection or of a proxy, is one whose `reason` is empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from switchboard.types import ConfigDrift, Controls

__all__ = [
    "AgentNotFound",
    "AgentUnavailable",
    "AmbiguousId",
    "CodexVersionMismatch",
    "ConfigLockDrift",
    "ConfigLockInvalid",
    "CursorExpired",
    "DeadlineExceeded",
    "DefaultsLocked",
    "EtagMismatch",
    "EventsDamaged",
    "IdempotencyConflict",
    "InternalError",
    "InvalidArgument",
    "MisdirectedRequest",
    "NoActiveTurn",
    "Overloaded",
    "PayloadTooLarge",
    "PermissionDenied",
    "ProfileError",
    "SessionDeleted",
    "SessionExists",
    "SessionNotFound",
    "SessionReadOnly",
    "SessionRunning",
    "SettingNotFound",
    "ShuttingDown",
    "StorageFull",
    "SwitchboardError",
    "SystemSession",
    "TurnNotFound",
    "Unauthenticated",
    "Unimplemented",
    "WaitTimeout",
    "WorkingDirectoryInvalid",
]


class SwitchboardError(Exception):
    """What every exception of this package is.

    `reason` is what programs branch on, such as `"SESSION_NOT_FOUND"`; it is empty where nobody
    gave one. `metadata` has the server's details, and `code` is the status of the gRPC call.
    """

    reason: str
    metadata: Mapping[str, str]
    code: grpc.StatusCode

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        retry_after: float | None = None,
        violations: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.code = code
        #: When the server says that it may be tried again, in seconds.
        self.retry_after = retry_after
        #: The fields or subjects that the details name, each with what is wrong.
        self.violations = dict(violations or {})

    def __str__(self) -> str:
        return self.message

    def _number(self, key: str) -> int | None:
        text = self.metadata.get(key, "")
        return int(text) if text.isdecimal() else None


class InvalidArgument(SwitchboardError, ValueError):
    """A value is malformed or out of bounds; `field` names it, as the contract does."""

    @property
    def field(self) -> str:
        """The field of the request, dotted where nested."""
        return self.metadata.get("field") or next(iter(self.violations), "")


class WorkingDirectoryInvalid(InvalidArgument):
    """The directory is not one that an agent on the server's machine can work in."""

    @property
    def working_directory(self) -> str:
        """The directory, as it was given."""
        return self.metadata.get("working_directory", "")


class AgentNotFound(InvalidArgument):
    """There is no such kind of agent."""

    @property
    def agent(self) -> str:
        """The agent, as it was given."""
        return self.metadata.get("agent", "")


class Unauthenticated(SwitchboardError):
    """No valid token came with the call."""


class PermissionDenied(SwitchboardError):
    """The call came from a place that is not allowed."""


class MisdirectedRequest(SwitchboardError):
    """The call names a host that is not this server's."""


class _OfSession(SwitchboardError):
    @property
    def session_id(self) -> str:
        """The session that it is about."""
        return self.metadata.get("session_id", "")


class SystemSession(_OfSession):
    """The session is a system's, whose settings and controls are not for clients."""


class SessionNotFound(_OfSession):
    """No session has this id."""


class SessionDeleted(_OfSession):
    """The session was deleted, at `delete_time`."""

    @property
    def delete_time(self) -> datetime | None:
        """When it was deleted."""
        text = self.metadata.get("delete_time")
        return datetime.fromisoformat(text) if text else None

    @property
    def title(self) -> str:
        """Its title."""
        return self.metadata.get("title", "")


class SessionExists(_OfSession):
    """The id for the new session is taken."""


class _InState(_OfSession):
    @property
    def state(self) -> str:
        """What the session does, such as `"running"`."""
        return self.metadata.get("state", "").removeprefix("SESSION_STATE_").lower()


class SessionRunning(_InState):
    """A turn runs, so that another cannot start: wait for its end, or interrupt it."""


class NoActiveTurn(_InState):
    """No turn runs that could be stopped."""


class SessionReadOnly(_OfSession):
    """Nothing can be added to the session's events."""


class TurnNotFound(_OfSession):
    """The session has no such turn."""

    @property
    def turn_count(self) -> int:
        """How many turns there are."""
        return self._number("turn_count") or 0


class AmbiguousId(SwitchboardError):
    """Several sessions share the prefix."""

    @property
    def matches(self) -> list[str]:
        """The first ten of the sessions that match."""
        return [match for match in self.metadata.get("matches", "").split(",") if match]


class IdempotencyConflict(SwitchboardError):
    """The request's id was used for another request."""


class EtagMismatch(_OfSession):
    """Something is not what the caller saw; `etag` is what there is."""

    @property
    def etag(self) -> str:
        """Names what there is."""
        return self.metadata.get("etag", "")


class DefaultsLocked(SwitchboardError):
    """The defaults are the operator's; `controls` and `settings` are what they are."""

    _settings: dict[str, Any] | None = None

    @property
    def controls(self) -> Controls:
        """The controls that new sessions begin with."""
        from switchboard.types import Controls

        told: Mapping[str, Any] = self.metadata
        return Controls(
            model=told.get("model") or None,
            approval_policy=told.get("approval_policy") or None,
            network_access=told.get("network_access") or None,
            filesystem_sandbox=told.get("filesystem_sandbox") or None,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that new sessions begin with."""
        if self._settings is None:
            self._settings = self._told() or {}
        return self._settings

    def _told(self) -> dict[str, Any] | None:
        """The settings as the details have them; none where they were too many for those."""
        try:
            told = json.loads(self.metadata.get("settings", ""))
        except ValueError:
            return None
        return told if isinstance(told, dict) else None


class PayloadTooLarge(SwitchboardError):
    """Something in the request is larger than allowed."""

    @property
    def size(self) -> int | None:
        """Its size, where it is known."""
        return self._number("size")

    @property
    def limit(self) -> int | None:
        """The most that is allowed, where it is known."""
        return self._number("limit")

    @property
    def unit(self) -> str:
        """What both count: `"bytes"` or `"characters"`."""
        return self.metadata.get("unit", "")


class CursorExpired(SwitchboardError):
    """The events before `oldest_seq` have expired."""

    @property
    def oldest_seq(self) -> int:
        """The oldest event that is there."""
        return self._number("oldest_seq") or 0


class EventsDamaged(SwitchboardError):
    """An event cannot be read any more; `next_seq` is the next that can."""

    @property
    def seq(self) -> int:
        """The event."""
        return self._number("seq") or 0

    @property
    def next_seq(self) -> int | None:
        """The next one that can be read, where there is one."""
        return self._number("next_seq")


class Overloaded(SwitchboardError):
    """The server is at a limit; `retry_after` says when to try again."""


class AgentUnavailable(SwitchboardError):
    """The agent cannot be started on the server's machine as it is."""


class ShuttingDown(SwitchboardError):
    """The server is going down. Its turns go on."""


class StorageFull(SwitchboardError):
    """There is no room left on the server's disk."""


class InternalError(SwitchboardError):
    """A fault of the server or of its machine; its log has the details."""


class Unimplemented(SwitchboardError):
    """The server has no such operation: it is older than this client."""


class DeadlineExceeded(SwitchboardError, TimeoutError):
    """The time for the call was up. Whether it did what was asked is not known."""


class ConfigLockDrift(SwitchboardError):
    """What would run is not what the config lock has.

    `keys` are those that differ, `diff` shows how, and `drift` has each with where it comes from.
    All are whole, however much it is, but for a fork that is to run with something of its own:
    where that is more than an error can carry, `is_truncated` says so.
    """

    _whole: list[ConfigDrift] | None = None

    @property
    def diff(self) -> str:
        """What differs, as a unified diff; its head where `is_truncated`."""
        return self.metadata.get("diff", "")

    @property
    def keys(self) -> list[str]:
        """The keys that differ, dotted; the first of them where `is_truncated`."""
        # A comma in quotes is a part of a key, such as that of a file's name.
        return re.findall(r'(?:"(?:\\.|[^"\\])*"|[^,"])+', self.metadata.get("keys", ""))

    @property
    def drift(self) -> list[ConfigDrift]:
        """What differs, key by key; empty where `is_truncated`."""
        if self._whole is None:
            self._whole = self._told()
        return self._whole

    def _told(self) -> list[ConfigDrift]:
        from switchboard.types import ConfigDrift

        try:
            return [
                ConfigDrift(
                    key=str(each["key"]),
                    locked=each["locked"] or "",
                    actual=each["actual"] or "",
                    origin=str(each["origin"]),
                )
                for each in json.loads(self.metadata.get("drift", "[]"))
            ]
        except (ValueError, TypeError, KeyError):
            # It was cut.
            return []

    def _set(self, drift: list[ConfigDrift], diff: str) -> None:
        """Tell all of it, as it was asked for."""
        self._whole = drift
        told = dict(self.metadata)
        for cut in ("truncated", "drift"):
            told.pop(cut, None)
        self.metadata = {**told, "keys": ",".join(each.key for each in drift), "diff": diff}

    @property
    def is_truncated(self) -> bool:
        """Whether there was more to tell than an error can carry."""
        return self.metadata.get("truncated") == "true"


class ConfigLockInvalid(InvalidArgument):
    """A config lock is of no use as it is, or cannot be made."""

    @property
    def rule(self) -> str:
        """Which of its rules is broken, for programs."""
        return self.metadata.get("rule", "")

    @property
    def key(self) -> str:
        """The key that breaks it, dotted; empty where there is none."""
        return self.metadata.get("key", "")


class CodexVersionMismatch(SwitchboardError):
    """A config lock was made with another version of codex than the server starts."""

    @property
    def locked(self) -> str:
        """The version in the lock."""
        return self.metadata.get("locked", "")

    @property
    def actual(self) -> str:
        """The version that the server starts."""
        return self.metadata.get("actual", "")


class SettingNotFound(_OfSession, KeyError):
    """Nothing is at this key or path."""

    @property
    def key(self) -> str:
        """The key or the path, as it was given."""
        return self.metadata.get("key", "")


class WaitTimeout(_InState, TimeoutError):
    """The session did not come into a wanted state in time; `state` is the one it is in."""


class ProfileError(SwitchboardError, ValueError):
    """The profile, or a variable of the environment, does not say where a server is."""


#: The class of each reason that the server gives over gRPC.
BY_REASON: Mapping[str, type[SwitchboardError]] = {
    "AGENT_NOT_FOUND": AgentNotFound,
    "AGENT_UNAVAILABLE": AgentUnavailable,
    "AMBIGUOUS_ID": AmbiguousId,
    "CODEX_VERSION_MISMATCH": CodexVersionMismatch,
    "CONFIG_LOCK_DRIFT": ConfigLockDrift,
    "CONFIG_LOCK_INVALID": ConfigLockInvalid,
    "CURSOR_EXPIRED": CursorExpired,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "DEFAULTS_LOCKED": DefaultsLocked,
    "ETAG_MISMATCH": EtagMismatch,
    "EVENTS_DAMAGED": EventsDamaged,
    "IDEMPOTENCY_CONFLICT": IdempotencyConflict,
    "INTERNAL": InternalError,
    "INVALID_ARGUMENT": InvalidArgument,
    "MISDIRECTED_REQUEST": MisdirectedRequest,
    "NO_ACTIVE_TURN": NoActiveTurn,
    "OVERLOADED": Overloaded,
    "PAYLOAD_TOO_LARGE": PayloadTooLarge,
    "PERMISSION_DENIED": PermissionDenied,
    "SESSION_DELETED": SessionDeleted,
    "SESSION_EXISTS": SessionExists,
    "SESSION_NOT_FOUND": SessionNotFound,
    "SESSION_READ_ONLY": SessionReadOnly,
    "SESSION_RUNNING": SessionRunning,
    "SHUTTING_DOWN": ShuttingDown,
    "STORAGE_FULL": StorageFull,
    "SYSTEM_SESSION": SystemSession,
    "TURN_NOT_FOUND": TurnNotFound,
    "UNAUTHENTICATED": Unauthenticated,
    "UNIMPLEMENTED": Unimplemented,
    "WORKING_DIRECTORY_INVALID": WorkingDirectoryInvalid,
}
