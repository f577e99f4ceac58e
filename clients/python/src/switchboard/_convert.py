"""From messages of the contract to the values of `switchboard.types`, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from switchboard import _json, types
from switchboard import _words as words
from switchboard._proto.v1 import (
    audit_pb2,
    config_lock_pb2,
    controls_pb2,
    event_pb2,
    session_pb2,
    system_pb2,
)


def usage(message: session_pb2.Usage) -> types.Usage:
    """Tokens."""
    return types.Usage(
        input_tokens=message.input_tokens,
        cached_input_tokens=message.cached_input_tokens,
        cache_write_input_tokens=message.cache_write_input_tokens,
        output_tokens=message.output_tokens,
        reasoning_output_tokens=message.reasoning_output_tokens,
    )


def turn(message: session_pb2.Turn) -> types.Turn:
    """A turn."""
    return types.Turn(
        number=message.number,
        state=words.word(words.STATE, message.state),
        state_reason=words.word(words.STATE_REASON, message.state_reason),
        error=message.error,
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        signal=message.signal if message.HasField("signal") else None,
        pid=message.pid,
        start_time=words.time(message, "start_time"),
        end_time=words.time(message, "end_time"),
        usage=usage(message.usage) if message.HasField("usage") else None,
    )


def session(message: session_pb2.Session, disk_bytes: int | None = None) -> types.Session:
    """A session."""
    return types.Session(
        id=message.session_id,
        state=words.word(words.STATE, message.state),
        state_reason=words.word(words.STATE_REASON, message.state_reason),
        agent=message.agent,
        source=message.source,
        title=message.title,
        labels=dict(message.labels),
        working_directory=message.working_directory,
        model=message.model or None,
        approval_policy=words.word(words.APPROVAL_POLICY, message.approval_policy) or None,
        network_access=words.word(words.NETWORK_ACCESS, message.network_access) or None,
        filesystem_sandbox=words.word(words.FILESYSTEM_SANDBOX, message.filesystem_sandbox) or None,
        thread_id=message.thread_id,
        codex_version=message.codex_version,
        codex=_codex(message.codex_options),
        first_prompt=message.first_prompt,
        turn_count=message.turn_count,
        last_turn=turn(message.last_turn) if message.HasField("last_turn") else None,
        usage=usage(message.usage) if message.HasField("usage") else None,
        create_time=words.time(message, "create_time"),
        update_time=words.time(message, "update_time"),
        archived=message.archived,
        system_owned=message.system_owned,
        forked_from=message.forked_from,
        etag=message.etag,
        queue_position=message.queue_position,
        disk_bytes=disk_bytes,
        persist_session=message.persist_session,
        config_lock=_held(message.config_lock) if message.HasField("config_lock") else None,
    )


def _held(message: session_pb2.SessionLock) -> types.SessionLock:
    return types.SessionLock(
        sha256=message.sha256,
        codex_version=message.codex_version,
        allow_codex_version_mismatch=message.allow_codex_version_mismatch,
    )


def _codex(message: session_pb2.CodexOptions) -> types.Codex:
    return types.Codex(
        config=dict(message.config),
        output_schema=message.output_schema,
        add_directories=tuple(message.add_directories),
        profile=message.profile,
        web_search=words.word(words.WEB_SEARCH, message.web_search) or None,
        environment=dict(message.environment),
        full_danger=message.full_danger,
        strict_config=message.strict_config,
    )


def codex_options(codex: types.Codex | None) -> session_pb2.CodexOptions | None:
    """What codex shall be told, with absolute paths."""
    if codex is None:
        return None
    return session_pb2.CodexOptions(
        config=codex.config,
        output_schema=words.absolute(codex.output_schema) if codex.output_schema else "",
        add_directories=words.paths(codex.add_directories, "codex.add_directories"),
        profile=codex.profile,
        web_search=words.number(words.WEB_SEARCH, codex.web_search, "codex.web_search"),
        environment=codex.environment,
        full_danger=codex.full_danger,
        strict_config=codex.strict_config,
    )


def session_change(message: session_pb2.WatchSessionsResponse) -> types.SessionChange | None:
    """One message of a watch of sessions; None for a heartbeat."""
    match message.WhichOneof("message"):
        case "session":
            found = session(message.session)
            return types.SessionChange("session", message.cursor, found.id, found)
        case "deleted":
            gone = message.deleted
            time = words.time(gone, "delete_time")
            return types.SessionChange("deleted", message.cursor, gone.session_id, None, time)
        case "synced":
            return types.SessionChange("synced", message.cursor)
        case _:
            return None


def event(message: event_pb2.Event) -> types.Event:
    """An event."""
    kind = message.WhichOneof("kind")
    elided = None
    if message.HasField("elided"):
        at = message.elided
        elided = types.Elided(size=at.size, turn=at.turn, byte_offset=at.byte_offset)
    return types.Event(
        session_id=message.session_id,
        seq=message.seq,
        time=message.time.ToDatetime(tzinfo=UTC),
        time_source=words.word(words.TIME_SOURCE, message.time_source),
        turn=message.turn,
        origin=words.word(words.ORIGIN, message.origin),
        kind=kind or "unrecognized",
        data=words.plain(getattr(message, kind)) if kind else {},
        raw=message.raw,
        byte_offset=message.byte_offset,
        elided=elided,
    )


def said(message: session_pb2.SessionMessage) -> types.Message:
    """A message of a session."""
    has_input = message.HasField("input")
    return types.Message(
        turn=message.turn,
        step=message.step,
        seq=message.seq,
        time=words.time(message, "time"),
        role=words.word(words.ROLE, message.role),
        content=message.content.text,
        input=message.input.text if has_input else None,
        name=message.name,
        item_id=message.item_id,
        item_type=message.item_type,
        status=message.status,
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        truncated=message.content.truncated or message.input.truncated,
    )


def step(message: session_pb2.Step) -> types.Step:
    """A step of a turn."""
    kind = message.WhichOneof("kind")
    return types.Step(
        turn=message.turn,
        step=message.step,
        seq=message.seq,
        time=words.time(message, "time"),
        kind=kind or "unrecognized",
        data=words.plain(getattr(message, kind)) if kind else {},
        item_id=message.item_id,
        item_type=message.item_type,
        status=message.status,
    )


def outcome(value: int) -> types.Outcome:
    """Whether a write changed anything."""
    found: types.Outcome = words.word(words.OUTCOME, value)
    return found


def scope(value: int) -> types.Scope:
    """Whose settings and controls."""
    found: types.Scope = words.word(words.SCOPE, value)
    return found


def controls(message: controls_pb2.Controls) -> types.Controls:
    """Controls."""
    return types.Controls(
        model=message.model or None,
        approval_policy=words.word(words.APPROVAL_POLICY, message.approval_policy) or None,
        network_access=words.word(words.NETWORK_ACCESS, message.network_access) or None,
        filesystem_sandbox=words.word(words.FILESYSTEM_SANDBOX, message.filesystem_sandbox) or None,
    )


# How a control may be called in a dictionary.
_CONTROLS = {
    "model": "model",
    "approvalPolicy": "approval_policy",
    "approval_policy": "approval_policy",
    "networkAccess": "network_access",
    "network_access": "network_access",
    "filesystemSandbox": "filesystem_sandbox",
    "filesystem_sandbox": "filesystem_sandbox",
}


def controls_message(given: types.Controls | Mapping[str, Any]) -> controls_pb2.Controls:
    """Controls to write. What is missing the server asks for."""
    if not isinstance(given, types.Controls):
        unknown = [name for name in given if name not in _CONTROLS]
        if unknown:
            raise words.invalid(
                "controls", f"there is no {unknown[0]!r}; there are: {', '.join(_CONTROLS)}"
            )
        if len({_CONTROLS[name] for name in given}) < len(given):
            raise words.invalid("controls", f"one is given twice: {', '.join(given)}")
        given = types.Controls(**{_CONTROLS[name]: value for name, value in given.items()})
    field = "controls."
    return controls_pb2.Controls(
        model=given.model or "",
        approval_policy=words.number(
            words.APPROVAL_POLICY, given.approval_policy, field + "approval_policy"
        ),
        network_access=words.number(
            words.NETWORK_ACCESS, given.network_access, field + "network_access"
        ),
        filesystem_sandbox=words.number(
            words.FILESYSTEM_SANDBOX, given.filesystem_sandbox, field + "filesystem_sandbox"
        ),
    )


def scoped_controls(message: controls_pb2.ScopedControls) -> types.ScopedControls:
    """The controls and settings of one scope."""
    settings = _json.loads(message.settings_json or "{}")
    return types.ScopedControls(controls(message.controls), settings, message.etag)


def audit_entry(message: audit_pb2.AuditEntry) -> types.AuditEntry:
    """An entry of the audit."""

    def value(change: audit_pb2.SettingChange, field: str) -> Any:
        is_there = change.HasField(field)
        return _json.loads(getattr(change, field)) if is_there else types.ABSENT

    def told(field: str) -> types.Controls | None:
        is_there = message.HasField(field)
        return controls(getattr(message, field)) if is_there else None

    return types.AuditEntry(
        seq=message.seq,
        time=words.time(message, "time"),
        actor=message.actor,
        source=message.source,
        transport=message.transport,
        scope=scope(message.scope),
        session_id=message.session_id,
        operation=words.word(words.OPERATION, message.operation),
        previous_controls=told("previous_controls"),
        controls=told("controls"),
        settings=[
            types.SettingChange(each.key, value(each, "previous_json"), value(each, "value_json"))
            for each in message.settings
        ],
        previous_summary=message.previous_summary,
        summary=message.summary,
        state_hash=message.state_hash,
        previous_hash=message.previous_hash,
        hash=message.hash,
    )


def verification(message: audit_pb2.VerifyAuditResponse) -> types.AuditVerification:
    """What following the chain found."""
    is_broken = message.HasField("first_break")
    return types.AuditVerification(
        valid=message.valid,
        entries=message.entries,
        break_seq=message.first_break.seq if is_broken else None,
        problem=message.first_break.problem,
        last_seq=message.last_seq,
        last_hash=message.last_hash,
    )


def config_lock(message: config_lock_pb2.ExportConfigLockResponse) -> types.ConfigLock:
    """A lock that was written down."""
    return types.ConfigLock(
        text=message.config_lock,
        path=message.path,
        sha256=message.sha256,
        notes=list(message.notes),
    )


def lock_verification(
    message: config_lock_pb2.VerifyConfigLockResponse,
) -> types.ConfigLockVerification:
    """How something compares with a lock."""
    return types.ConfigLockVerification(
        matches=message.matches,
        drift=[
            types.ConfigDrift(each.key, each.locked, each.actual, each.origin)
            for each in message.drift
        ],
        diff=message.diff,
        notes=list(message.notes),
        codex_version=message.codex_version,
        locked_codex_version=message.locked_codex_version,
        working_directory=message.working_directory,
    )


def server_info(message: system_pb2.GetServerInfoResponse) -> types.ServerInfo:
    """The server."""
    return types.ServerInfo(
        version=message.version,
        pid=message.pid,
        start_time=words.time(message, "start_time"),
        home=message.home,
        addresses=list(message.addresses),
        codex_path=message.codex.path,
        codex_version=message.codex.version,
        codex_problem=message.codex.problem,
        running_turns=message.running_turns,
        open_watches=message.open_watches,
        limits=words.plain(message.limits),
    )


def agent(kind: str) -> str:
    """The kind of agent, the transcript of a replay absolute."""
    if kind.startswith("replay:"):
        return "replay:" + words.absolute(kind.removeprefix("replay:"))
    return kind
