import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import controls_pb2 as _controls_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AuditOperation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIT_OPERATION_UNSPECIFIED: _ClassVar[AuditOperation]
    AUDIT_OPERATION_UPDATE_SETTINGS: _ClassVar[AuditOperation]
    AUDIT_OPERATION_DELETE_SETTING: _ClassVar[AuditOperation]
    AUDIT_OPERATION_APPLY_CONTROLS: _ClassVar[AuditOperation]
    AUDIT_OPERATION_OVERRIDE_CONTROLS: _ClassVar[AuditOperation]
AUDIT_OPERATION_UNSPECIFIED: AuditOperation
AUDIT_OPERATION_UPDATE_SETTINGS: AuditOperation
AUDIT_OPERATION_DELETE_SETTING: AuditOperation
AUDIT_OPERATION_APPLY_CONTROLS: AuditOperation
AUDIT_OPERATION_OVERRIDE_CONTROLS: AuditOperation

class SettingChange(_message.Message):
    __slots__ = ("key", "previous_json", "value_json")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_JSON_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    key: str
    previous_json: str
    value_json: str
    def __init__(self, key: _Optional[str] = ..., previous_json: _Optional[str] = ..., value_json: _Optional[str] = ...) -> None: ...

class AuditEntry(_message.Message):
    __slots__ = ("seq", "time", "actor", "source", "transport", "scope", "session_id", "operation", "previous_controls", "controls", "settings", "previous_summary", "summary", "state_hash", "previous_hash", "hash")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_CONTROLS_FIELD_NUMBER: _ClassVar[int]
    CONTROLS_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_SUMMARY_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    STATE_HASH_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_HASH_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    seq: int
    time: _timestamp_pb2.Timestamp
    actor: str
    source: str
    transport: str
    scope: _controls_pb2.Scope
    session_id: str
    operation: AuditOperation
    previous_controls: _controls_pb2.Controls
    controls: _controls_pb2.Controls
    settings: _containers.RepeatedCompositeFieldContainer[SettingChange]
    previous_summary: str
    summary: str
    state_hash: str
    previous_hash: str
    hash: str
    def __init__(self, seq: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., actor: _Optional[str] = ..., source: _Optional[str] = ..., transport: _Optional[str] = ..., scope: _Optional[_Union[_controls_pb2.Scope, str]] = ..., session_id: _Optional[str] = ..., operation: _Optional[_Union[AuditOperation, str]] = ..., previous_controls: _Optional[_Union[_controls_pb2.Controls, _Mapping[str, object]]] = ..., controls: _Optional[_Union[_controls_pb2.Controls, _Mapping[str, object]]] = ..., settings: _Optional[_Iterable[_Union[SettingChange, _Mapping[str, object]]]] = ..., previous_summary: _Optional[str] = ..., summary: _Optional[str] = ..., state_hash: _Optional[str] = ..., previous_hash: _Optional[str] = ..., hash: _Optional[str] = ...) -> None: ...

class AuditFilter(_message.Message):
    __slots__ = ("session_id", "scope", "actor", "source", "key", "written_after", "written_before")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_AFTER_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_BEFORE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    scope: _controls_pb2.Scope
    actor: str
    source: str
    key: str
    written_after: _timestamp_pb2.Timestamp
    written_before: _timestamp_pb2.Timestamp
    def __init__(self, session_id: _Optional[str] = ..., scope: _Optional[_Union[_controls_pb2.Scope, str]] = ..., actor: _Optional[str] = ..., source: _Optional[str] = ..., key: _Optional[str] = ..., written_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., written_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ...) -> None: ...

class ListAuditEntriesRequest(_message.Message):
    __slots__ = ("filter", "after_seq", "page_size", "page_token", "newest_first")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    filter: AuditFilter
    after_seq: int
    page_size: int
    page_token: str
    newest_first: bool
    def __init__(self, filter: _Optional[_Union[AuditFilter, _Mapping[str, object]]] = ..., after_seq: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., newest_first: _Optional[bool] = ...) -> None: ...

class ListAuditEntriesResponse(_message.Message):
    __slots__ = ("entries", "next_page_token", "latest_seq")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LATEST_SEQ_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[AuditEntry]
    next_page_token: str
    latest_seq: int
    def __init__(self, entries: _Optional[_Iterable[_Union[AuditEntry, _Mapping[str, object]]]] = ..., next_page_token: _Optional[str] = ..., latest_seq: _Optional[int] = ...) -> None: ...

class WatchAuditEntriesRequest(_message.Message):
    __slots__ = ("filter", "after_seq", "heartbeat")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    filter: AuditFilter
    after_seq: int
    heartbeat: _duration_pb2.Duration
    def __init__(self, filter: _Optional[_Union[AuditFilter, _Mapping[str, object]]] = ..., after_seq: _Optional[int] = ..., heartbeat: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, object]]] = ...) -> None: ...

class WatchAuditEntriesResponse(_message.Message):
    __slots__ = ("entry", "synced", "heartbeat")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    SYNCED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    entry: AuditEntry
    synced: AuditSynced
    heartbeat: AuditHeartbeat
    def __init__(self, entry: _Optional[_Union[AuditEntry, _Mapping[str, object]]] = ..., synced: _Optional[_Union[AuditSynced, _Mapping[str, object]]] = ..., heartbeat: _Optional[_Union[AuditHeartbeat, _Mapping[str, object]]] = ...) -> None: ...

class AuditSynced(_message.Message):
    __slots__ = ("seq",)
    SEQ_FIELD_NUMBER: _ClassVar[int]
    seq: int
    def __init__(self, seq: _Optional[int] = ...) -> None: ...

class AuditHeartbeat(_message.Message):
    __slots__ = ("seq",)
    SEQ_FIELD_NUMBER: _ClassVar[int]
    seq: int
    def __init__(self, seq: _Optional[int] = ...) -> None: ...

class VerifyAuditRequest(_message.Message):
    __slots__ = ("known_seq", "known_hash")
    KNOWN_SEQ_FIELD_NUMBER: _ClassVar[int]
    KNOWN_HASH_FIELD_NUMBER: _ClassVar[int]
    known_seq: int
    known_hash: str
    def __init__(self, known_seq: _Optional[int] = ..., known_hash: _Optional[str] = ...) -> None: ...

class VerifyAuditResponse(_message.Message):
    __slots__ = ("valid", "entries", "first_break", "last_seq", "last_hash")
    VALID_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    FIRST_BREAK_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_HASH_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    entries: int
    first_break: AuditBreak
    last_seq: int
    last_hash: str
    def __init__(self, valid: _Optional[bool] = ..., entries: _Optional[int] = ..., first_break: _Optional[_Union[AuditBreak, _Mapping[str, object]]] = ..., last_seq: _Optional[int] = ..., last_hash: _Optional[str] = ...) -> None: ...

class AuditBreak(_message.Message):
    __slots__ = ("seq", "problem")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    seq: int
    problem: str
    def __init__(self, seq: _Optional[int] = ..., problem: _Optional[str] = ...) -> None: ...

class GetAuditStateRequest(_message.Message):
    __slots__ = ("session_id", "scope", "at_seq", "at_time")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    AT_SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_TIME_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    scope: _controls_pb2.Scope
    at_seq: int
    at_time: _timestamp_pb2.Timestamp
    def __init__(self, session_id: _Optional[str] = ..., scope: _Optional[_Union[_controls_pb2.Scope, str]] = ..., at_seq: _Optional[int] = ..., at_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ...) -> None: ...

class GetAuditStateResponse(_message.Message):
    __slots__ = ("state", "seq", "latest_seq")
    STATE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    LATEST_SEQ_FIELD_NUMBER: _ClassVar[int]
    state: _controls_pb2.ScopedControls
    seq: int
    latest_seq: int
    def __init__(self, state: _Optional[_Union[_controls_pb2.ScopedControls, _Mapping[str, object]]] = ..., seq: _Optional[int] = ..., latest_seq: _Optional[int] = ...) -> None: ...
