"""From messages of the contract to the values of `switchboard.types`, and words back to enums."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message as ProtoMessage
from google.protobuf.timestamp_pb2 import Timestamp

from switchboard import _json, types
from switchboard._proto.v1 import audit_pb2, controls_pb2, event_pb2, session_pb2, system_pb2
from switchboard.errors import InvalidArgument


def invalid(field: str, problem: str) -> InvalidArgument:
    """A value that cannot even be sent."""
    return InvalidArgument(
        f"{field}: {problem}", reason="INVALID_ARGUMENT", metadata={"field": field}
    )


# --- words ------------------------------------------------------------------------------------


def _prefix(enum: EnumDescriptor) -> str:
    # Every enum has a first value that says nothing.
    return str(enum.values[0].name).removesuffix("UNSPECIFIED")


def word(enum: EnumDescriptor, number: int, dash: str = "_") -> str:
    """The word of an enum's value; empty for none, and the number for a later server's."""
    if number == 0:
        return ""
    value = enum.values_by_number.get(number)
    if value is None:
        return str(number)
    return str(value.name).removeprefix(_prefix(enum)).lower().replace("_", dash)


def number(enum: EnumDescriptor, text: str | None, field: str) -> int:
    """The value of an enum that a word names; 0 for none."""
    if text is None:
        return 0
    name = _prefix(enum) + str(text).upper().replace("-", "_")
    value = enum.values_by_name.get(name)
    if value is None or value.number == 0:
        dash = "-" if enum.name in _DASHED else "_"
        words = ", ".join(word(enum, each.number, dash) for each in enum.values[1:])
        raise invalid(field, f"{text!r}: expected one of {words}")
    return int(value.number)


# Those that have the words of the settings contract.
_DASHED = {"ApprovalPolicy", "NetworkAccess", "FilesystemSandbox"}


def _enum(of: str) -> EnumDescriptor:
    for file in (session_pb2, controls_pb2, event_pb2, audit_pb2):
        if of in file.DESCRIPTOR.enum_types_by_name:
            enum: EnumDescriptor = file.DESCRIPTOR.enum_types_by_name[of]
            return enum
    raise AssertionError(f"the contract has no enum {of}")


STATE = _enum("SessionState")
SCOPE = _enum("Scope")
APPROVAL_POLICY = _enum("ApprovalPolicy")
NETWORK_ACCESS = _enum("NetworkAccess")
FILESYSTEM_SANDBOX = _enum("FilesystemSandbox")
WEB_SEARCH = _enum("WebSearchMode")
EVENT_KIND = _enum("EventKind")
OUTPUT_STREAM = _enum("OutputStream")
ARCHIVED = _enum("ArchivedFilter")
_OUTCOME = _enum("Outcome")
_STATE_REASON = _enum("StateReason")
_ORIGIN = _enum("Origin")
_TIME_SOURCE = _enum("TimeSource")
_ROLE = _enum("MessageRole")
_OPERATION = _enum("AuditOperation")


# --- paths and times --------------------------------------------------------------------------


def absolute(path: str | os.PathLike[str]) -> str:
    """A path of this machine, absolute: the server's own directory means nothing here."""
    return os.path.abspath(os.fspath(path))  # noqa: PTH100 - Path.absolute() keeps `..`


def timestamp(time: datetime | None) -> Timestamp | None:
    """The instant, as the contract has it; one without a zone is local time."""
    if time is None:
        return None
    made = Timestamp()
    made.FromDatetime(time.astimezone(UTC))
    return made


def duration(seconds: float | None) -> Duration | None:
    """The span, as the contract has it."""
    if seconds is None:
        return None
    made = Duration()
    made.FromNanoseconds(round(seconds * 1e9))
    return made


def _time(message: ProtoMessage, field: str) -> datetime | None:
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(tzinfo=UTC)


# --- any message ------------------------------------------------------------------------------


def plain(message: ProtoMessage) -> dict[str, Any]:
    """A message as a dictionary with the names of the contract.

    Fields that can be absent and are are left out. Enums are words, times are `datetime`, spans
    are seconds, and numbers are numbers whatever their size.
    """
    result: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            of = field.message_type.fields_by_name["value"]
            result[field.name] = {key: _plain(of, each) for key, each in value.items()}
        elif isinstance(value, str | bytes | ProtoMessage) or not hasattr(value, "__iter__"):
            result[field.name] = _plain(field, value)
        else:
            result[field.name] = [_plain(field, each) for each in value]
    return result


def _plain(field: Any, value: Any) -> Any:
    if isinstance(value, Timestamp):
        return value.ToDatetime(tzinfo=UTC)
    if isinstance(value, Duration):
        return value.ToTimedelta().total_seconds()
    if isinstance(value, ProtoMessage):
        return plain(value)
    if field.enum_type is not None:
        return word(field.enum_type, value, "-" if field.enum_type.name in _DASHED else "_")
    return value


# --- sessions ---------------------------------------------------------------------------------


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
        state=word(STATE, message.state),
        state_reason=word(_STATE_REASON, message.state_reason),
        error=message.error,
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        signal=message.signal if message.HasField("signal") else None,
        pid=message.pid,
        start_time=_time(message, "start_time"),
        end_time=_time(message, "end_time"),
        usage=usage(message.usage) if message.HasField("usage") else None,
    )


def session(message: session_pb2.Session, disk_bytes: int | None = None) -> types.Session:
    """A session."""
    return types.Session(
        id=message.session_id,
        state=word(STATE, message.state),
        state_reason=word(_STATE_REASON, message.state_reason),
        agent=message.agent,
        source=message.source,
        title=message.title,
        labels=dict(message.labels),
        working_directory=message.working_directory,
        model=message.model or None,
        approval_policy=word(APPROVAL_POLICY, message.approval_policy, "-") or None,
        network_access=word(NETWORK_ACCESS, message.network_access, "-") or None,
        filesystem_sandbox=word(FILESYSTEM_SANDBOX, message.filesystem_sandbox, "-") or None,
        thread_id=message.thread_id,
        codex_version=message.codex_version,
        codex=_codex(message.codex_options),
        first_prompt=message.first_prompt,
        turn_count=message.turn_count,
        last_turn=turn(message.last_turn) if message.HasField("last_turn") else None,
        usage=usage(message.usage) if message.HasField("usage") else None,
        create_time=_time(message, "create_time"),
        update_time=_time(message, "update_time"),
        archived=message.archived,
        system_owned=message.system_owned,
        forked_from=message.forked_from,
        etag=message.etag,
        queue_position=message.queue_position,
        disk_bytes=disk_bytes,
    )


def _codex(message: session_pb2.CodexOptions) -> types.Codex:
    return types.Codex(
        config=dict(message.config),
        output_schema=message.output_schema,
        add_directories=tuple(message.add_directories),
        profile=message.profile,
        web_search=word(WEB_SEARCH, message.web_search) or None,
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
        output_schema=absolute(codex.output_schema) if codex.output_schema else "",
        add_directories=[absolute(path) for path in codex.add_directories],
        profile=codex.profile,
        web_search=number(WEB_SEARCH, codex.web_search, "codex.web_search"),  # type: ignore[arg-type]
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
            time = _time(gone, "delete_time")
            return types.SessionChange("deleted", message.cursor, gone.session_id, None, time)
        case "synced":
            return types.SessionChange("synced", message.cursor)
        case _:
            return None


# --- events, messages and steps ---------------------------------------------------------------


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
        time_source=word(_TIME_SOURCE, message.time_source),
        turn=message.turn,
        origin=word(_ORIGIN, message.origin),
        kind=kind or "unrecognized",
        data=plain(getattr(message, kind)) if kind else {},
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
        time=_time(message, "time"),
        role=word(_ROLE, message.role),
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
        time=_time(message, "time"),
        kind=kind or "unrecognized",
        data=plain(getattr(message, kind)) if kind else {},
        item_id=message.item_id,
        item_type=message.item_type,
        status=message.status,
    )


# --- controls, settings and the audit ---------------------------------------------------------


def outcome(value: int) -> str:
    """Whether a write changed anything."""
    return word(_OUTCOME, value)


def scope(value: int) -> str:
    """Whose settings and controls."""
    return word(SCOPE, value)


def controls(message: controls_pb2.Controls) -> types.Controls:
    """Controls."""
    return types.Controls(
        model=message.model or None,
        approval_policy=word(APPROVAL_POLICY, message.approval_policy, "-") or None,
        network_access=word(NETWORK_ACCESS, message.network_access, "-") or None,
        filesystem_sandbox=word(FILESYSTEM_SANDBOX, message.filesystem_sandbox, "-") or None,
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
            raise invalid(
                "controls", f"there is no {unknown[0]!r}; there are: {', '.join(_CONTROLS)}"
            )
        given = types.Controls(**{_CONTROLS[name]: value for name, value in given.items()})
    field = "controls."
    return controls_pb2.Controls(
        model=given.model or "",
        approval_policy=number(  # type: ignore[arg-type]
            APPROVAL_POLICY, given.approval_policy, field + "approval_policy"
        ),
        network_access=number(  # type: ignore[arg-type]
            NETWORK_ACCESS, given.network_access, field + "network_access"
        ),
        filesystem_sandbox=number(  # type: ignore[arg-type]
            FILESYSTEM_SANDBOX, given.filesystem_sandbox, field + "filesystem_sandbox"
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
        time=_time(message, "time"),
        actor=message.actor,
        source=message.source,
        transport=message.transport,
        scope=scope(message.scope),
        session_id=message.session_id,
        operation=word(_OPERATION, message.operation),
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


def server_info(message: system_pb2.GetServerInfoResponse) -> types.ServerInfo:
    """The server."""
    return types.ServerInfo(
        version=message.version,
        pid=message.pid,
        start_time=_time(message, "start_time"),
        home=message.home,
        addresses=list(message.addresses),
        codex_path=message.codex.path,
        codex_version=message.codex.version,
        codex_problem=message.codex.problem,
        running_turns=message.running_turns,
        open_watches=message.open_watches,
        limits=plain(message.limits),
    )


def agent(kind: str) -> str:
    """The kind of agent, the transcript of a replay absolute."""
    if kind.startswith("replay:"):
        return "replay:" + absolute(Path(kind.removeprefix("replay:")))
    return kind
