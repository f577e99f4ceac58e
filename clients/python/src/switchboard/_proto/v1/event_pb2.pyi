import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import audit_pb2 as _audit_pb2
from . import session_pb2 as _session_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Origin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORIGIN_UNSPECIFIED: _ClassVar[Origin]
    ORIGIN_AGENT: _ClassVar[Origin]
    ORIGIN_SERVER: _ClassVar[Origin]

class TimeSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIME_SOURCE_UNSPECIFIED: _ClassVar[TimeSource]
    TIME_SOURCE_LIVE: _ClassVar[TimeSource]
    TIME_SOURCE_ADOPTED: _ClassVar[TimeSource]
    TIME_SOURCE_REBUILT: _ClassVar[TimeSource]

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_THREAD_STARTED: _ClassVar[EventKind]
    EVENT_KIND_TURN_STARTED: _ClassVar[EventKind]
    EVENT_KIND_TURN_COMPLETED: _ClassVar[EventKind]
    EVENT_KIND_TURN_FAILED: _ClassVar[EventKind]
    EVENT_KIND_ITEM_STARTED: _ClassVar[EventKind]
    EVENT_KIND_ITEM_UPDATED: _ClassVar[EventKind]
    EVENT_KIND_ITEM_COMPLETED: _ClassVar[EventKind]
    EVENT_KIND_ERROR: _ClassVar[EventKind]
    EVENT_KIND_UNKNOWN: _ClassVar[EventKind]
    EVENT_KIND_INVALID_LINE: _ClassVar[EventKind]
    EVENT_KIND_SESSION_CREATED: _ClassVar[EventKind]
    EVENT_KIND_TURN_SPAWNED: _ClassVar[EventKind]
    EVENT_KIND_STATE_CHANGED: _ClassVar[EventKind]
    EVENT_KIND_TURN_EXITED: _ClassVar[EventKind]
    EVENT_KIND_WARNING: _ClassVar[EventKind]
    EVENT_KIND_SESSION_UPDATED: _ClassVar[EventKind]
    EVENT_KIND_SESSION_DELETED: _ClassVar[EventKind]
    EVENT_KIND_SETTINGS_CHANGED: _ClassVar[EventKind]
    EVENT_KIND_CONTROLS_CHANGED: _ClassVar[EventKind]

class DefaultStart(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEFAULT_START_UNSPECIFIED: _ClassVar[DefaultStart]
    DEFAULT_START_NOW: _ClassVar[DefaultStart]
    DEFAULT_START_BEGINNING: _ClassVar[DefaultStart]
ORIGIN_UNSPECIFIED: Origin
ORIGIN_AGENT: Origin
ORIGIN_SERVER: Origin
TIME_SOURCE_UNSPECIFIED: TimeSource
TIME_SOURCE_LIVE: TimeSource
TIME_SOURCE_ADOPTED: TimeSource
TIME_SOURCE_REBUILT: TimeSource
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_THREAD_STARTED: EventKind
EVENT_KIND_TURN_STARTED: EventKind
EVENT_KIND_TURN_COMPLETED: EventKind
EVENT_KIND_TURN_FAILED: EventKind
EVENT_KIND_ITEM_STARTED: EventKind
EVENT_KIND_ITEM_UPDATED: EventKind
EVENT_KIND_ITEM_COMPLETED: EventKind
EVENT_KIND_ERROR: EventKind
EVENT_KIND_UNKNOWN: EventKind
EVENT_KIND_INVALID_LINE: EventKind
EVENT_KIND_SESSION_CREATED: EventKind
EVENT_KIND_TURN_SPAWNED: EventKind
EVENT_KIND_STATE_CHANGED: EventKind
EVENT_KIND_TURN_EXITED: EventKind
EVENT_KIND_WARNING: EventKind
EVENT_KIND_SESSION_UPDATED: EventKind
EVENT_KIND_SESSION_DELETED: EventKind
EVENT_KIND_SETTINGS_CHANGED: EventKind
EVENT_KIND_CONTROLS_CHANGED: EventKind
DEFAULT_START_UNSPECIFIED: DefaultStart
DEFAULT_START_NOW: DefaultStart
DEFAULT_START_BEGINNING: DefaultStart

class Event(_message.Message):
    __slots__ = ("session_id", "seq", "time", "time_source", "turn", "origin", "raw", "elided", "byte_offset", "thread_started", "turn_started", "turn_completed", "turn_failed", "item_started", "item_updated", "item_completed", "error", "unknown", "invalid_line", "session_created", "turn_spawned", "state_changed", "turn_exited", "warning", "session_updated", "session_deleted", "settings_changed", "controls_changed")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TIME_SOURCE_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    ELIDED_FIELD_NUMBER: _ClassVar[int]
    BYTE_OFFSET_FIELD_NUMBER: _ClassVar[int]
    THREAD_STARTED_FIELD_NUMBER: _ClassVar[int]
    TURN_STARTED_FIELD_NUMBER: _ClassVar[int]
    TURN_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    TURN_FAILED_FIELD_NUMBER: _ClassVar[int]
    ITEM_STARTED_FIELD_NUMBER: _ClassVar[int]
    ITEM_UPDATED_FIELD_NUMBER: _ClassVar[int]
    ITEM_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    INVALID_LINE_FIELD_NUMBER: _ClassVar[int]
    SESSION_CREATED_FIELD_NUMBER: _ClassVar[int]
    TURN_SPAWNED_FIELD_NUMBER: _ClassVar[int]
    STATE_CHANGED_FIELD_NUMBER: _ClassVar[int]
    TURN_EXITED_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    SESSION_UPDATED_FIELD_NUMBER: _ClassVar[int]
    SESSION_DELETED_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_CHANGED_FIELD_NUMBER: _ClassVar[int]
    CONTROLS_CHANGED_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    seq: int
    time: _timestamp_pb2.Timestamp
    time_source: TimeSource
    turn: int
    origin: Origin
    raw: bytes
    elided: Elided
    byte_offset: int
    thread_started: ThreadStarted
    turn_started: TurnStarted
    turn_completed: TurnCompleted
    turn_failed: TurnFailed
    item_started: ItemStarted
    item_updated: ItemUpdated
    item_completed: ItemCompleted
    error: AgentError
    unknown: Unknown
    invalid_line: InvalidLine
    session_created: SessionCreated
    turn_spawned: TurnSpawned
    state_changed: StateChanged
    turn_exited: TurnExited
    warning: Warning
    session_updated: SessionUpdated
    session_deleted: SessionDeleted
    settings_changed: SettingsChanged
    controls_changed: ControlsChanged
    def __init__(self, session_id: _Optional[str] = ..., seq: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., time_source: _Optional[_Union[TimeSource, str]] = ..., turn: _Optional[int] = ..., origin: _Optional[_Union[Origin, str]] = ..., raw: _Optional[bytes] = ..., elided: _Optional[_Union[Elided, _Mapping[str, object]]] = ..., byte_offset: _Optional[int] = ..., thread_started: _Optional[_Union[ThreadStarted, _Mapping[str, object]]] = ..., turn_started: _Optional[_Union[TurnStarted, _Mapping[str, object]]] = ..., turn_completed: _Optional[_Union[TurnCompleted, _Mapping[str, object]]] = ..., turn_failed: _Optional[_Union[TurnFailed, _Mapping[str, object]]] = ..., item_started: _Optional[_Union[ItemStarted, _Mapping[str, object]]] = ..., item_updated: _Optional[_Union[ItemUpdated, _Mapping[str, object]]] = ..., item_completed: _Optional[_Union[ItemCompleted, _Mapping[str, object]]] = ..., error: _Optional[_Union[AgentError, _Mapping[str, object]]] = ..., unknown: _Optional[_Union[Unknown, _Mapping[str, object]]] = ..., invalid_line: _Optional[_Union[InvalidLine, _Mapping[str, object]]] = ..., session_created: _Optional[_Union[SessionCreated, _Mapping[str, object]]] = ..., turn_spawned: _Optional[_Union[TurnSpawned, _Mapping[str, object]]] = ..., state_changed: _Optional[_Union[StateChanged, _Mapping[str, object]]] = ..., turn_exited: _Optional[_Union[TurnExited, _Mapping[str, object]]] = ..., warning: _Optional[_Union[Warning, _Mapping[str, object]]] = ..., session_updated: _Optional[_Union[SessionUpdated, _Mapping[str, object]]] = ..., session_deleted: _Optional[_Union[SessionDeleted, _Mapping[str, object]]] = ..., settings_changed: _Optional[_Union[SettingsChanged, _Mapping[str, object]]] = ..., controls_changed: _Optional[_Union[ControlsChanged, _Mapping[str, object]]] = ...) -> None: ...

class Elided(_message.Message):
    __slots__ = ("size", "turn", "byte_offset")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    BYTE_OFFSET_FIELD_NUMBER: _ClassVar[int]
    size: int
    turn: int
    byte_offset: int
    def __init__(self, size: _Optional[int] = ..., turn: _Optional[int] = ..., byte_offset: _Optional[int] = ...) -> None: ...

class ThreadStarted(_message.Message):
    __slots__ = ("thread_id",)
    THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    thread_id: str
    def __init__(self, thread_id: _Optional[str] = ...) -> None: ...

class TurnStarted(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TurnCompleted(_message.Message):
    __slots__ = ("usage",)
    USAGE_FIELD_NUMBER: _ClassVar[int]
    usage: _session_pb2.Usage
    def __init__(self, usage: _Optional[_Union[_session_pb2.Usage, _Mapping[str, object]]] = ...) -> None: ...

class TurnFailed(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: _Optional[str] = ...) -> None: ...

class ItemStarted(_message.Message):
    __slots__ = ("item",)
    ITEM_FIELD_NUMBER: _ClassVar[int]
    item: Item
    def __init__(self, item: _Optional[_Union[Item, _Mapping[str, object]]] = ...) -> None: ...

class ItemUpdated(_message.Message):
    __slots__ = ("item",)
    ITEM_FIELD_NUMBER: _ClassVar[int]
    item: Item
    def __init__(self, item: _Optional[_Union[Item, _Mapping[str, object]]] = ...) -> None: ...

class ItemCompleted(_message.Message):
    __slots__ = ("item",)
    ITEM_FIELD_NUMBER: _ClassVar[int]
    item: Item
    def __init__(self, item: _Optional[_Union[Item, _Mapping[str, object]]] = ...) -> None: ...

class AgentError(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: _Optional[str] = ...) -> None: ...

class Unknown(_message.Message):
    __slots__ = ("type",)
    TYPE_FIELD_NUMBER: _ClassVar[int]
    type: str
    def __init__(self, type: _Optional[str] = ...) -> None: ...

class InvalidLine(_message.Message):
    __slots__ = ("problem",)
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    problem: str
    def __init__(self, problem: _Optional[str] = ...) -> None: ...

class Item(_message.Message):
    __slots__ = ("id", "type", "agent_message", "reasoning", "command_execution", "file_change", "mcp_tool_call", "collab_tool_call", "web_search", "todo_list", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    AGENT_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REASONING_FIELD_NUMBER: _ClassVar[int]
    COMMAND_EXECUTION_FIELD_NUMBER: _ClassVar[int]
    FILE_CHANGE_FIELD_NUMBER: _ClassVar[int]
    MCP_TOOL_CALL_FIELD_NUMBER: _ClassVar[int]
    COLLAB_TOOL_CALL_FIELD_NUMBER: _ClassVar[int]
    WEB_SEARCH_FIELD_NUMBER: _ClassVar[int]
    TODO_LIST_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: str
    agent_message: AgentMessage
    reasoning: Reasoning
    command_execution: CommandExecution
    file_change: FileChange
    mcp_tool_call: McpToolCall
    collab_tool_call: CollabToolCall
    web_search: WebSearch
    todo_list: TodoList
    error: ErrorItem
    def __init__(self, id: _Optional[str] = ..., type: _Optional[str] = ..., agent_message: _Optional[_Union[AgentMessage, _Mapping[str, object]]] = ..., reasoning: _Optional[_Union[Reasoning, _Mapping[str, object]]] = ..., command_execution: _Optional[_Union[CommandExecution, _Mapping[str, object]]] = ..., file_change: _Optional[_Union[FileChange, _Mapping[str, object]]] = ..., mcp_tool_call: _Optional[_Union[McpToolCall, _Mapping[str, object]]] = ..., collab_tool_call: _Optional[_Union[CollabToolCall, _Mapping[str, object]]] = ..., web_search: _Optional[_Union[WebSearch, _Mapping[str, object]]] = ..., todo_list: _Optional[_Union[TodoList, _Mapping[str, object]]] = ..., error: _Optional[_Union[ErrorItem, _Mapping[str, object]]] = ...) -> None: ...

class AgentMessage(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class Reasoning(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class CommandExecution(_message.Message):
    __slots__ = ("command", "aggregated_output", "exit_code", "status")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    AGGREGATED_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    command: str
    aggregated_output: str
    exit_code: int
    status: str
    def __init__(self, command: _Optional[str] = ..., aggregated_output: _Optional[str] = ..., exit_code: _Optional[int] = ..., status: _Optional[str] = ...) -> None: ...

class FileChange(_message.Message):
    __slots__ = ("changes", "status")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[FileUpdate]
    status: str
    def __init__(self, changes: _Optional[_Iterable[_Union[FileUpdate, _Mapping[str, object]]]] = ..., status: _Optional[str] = ...) -> None: ...

class FileUpdate(_message.Message):
    __slots__ = ("path", "kind")
    PATH_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    path: str
    kind: str
    def __init__(self, path: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...

class McpToolCall(_message.Message):
    __slots__ = ("server", "tool", "arguments_json", "result", "error", "status")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_JSON_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    server: str
    tool: str
    arguments_json: str
    result: McpToolCallResult
    error: str
    status: str
    def __init__(self, server: _Optional[str] = ..., tool: _Optional[str] = ..., arguments_json: _Optional[str] = ..., result: _Optional[_Union[McpToolCallResult, _Mapping[str, object]]] = ..., error: _Optional[str] = ..., status: _Optional[str] = ...) -> None: ...

class McpToolCallResult(_message.Message):
    __slots__ = ("content_json", "structured_content_json")
    CONTENT_JSON_FIELD_NUMBER: _ClassVar[int]
    STRUCTURED_CONTENT_JSON_FIELD_NUMBER: _ClassVar[int]
    content_json: _containers.RepeatedScalarFieldContainer[str]
    structured_content_json: str
    def __init__(self, content_json: _Optional[_Iterable[str]] = ..., structured_content_json: _Optional[str] = ...) -> None: ...

class CollabToolCall(_message.Message):
    __slots__ = ("tool", "sender_thread_id", "receiver_thread_ids", "prompt", "agents_states", "status")
    class AgentsStatesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: CollabAgentState
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[CollabAgentState, _Mapping[str, object]]] = ...) -> None: ...
    TOOL_FIELD_NUMBER: _ClassVar[int]
    SENDER_THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_THREAD_IDS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    AGENTS_STATES_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    tool: str
    sender_thread_id: str
    receiver_thread_ids: _containers.RepeatedScalarFieldContainer[str]
    prompt: str
    agents_states: _containers.MessageMap[str, CollabAgentState]
    status: str
    def __init__(self, tool: _Optional[str] = ..., sender_thread_id: _Optional[str] = ..., receiver_thread_ids: _Optional[_Iterable[str]] = ..., prompt: _Optional[str] = ..., agents_states: _Optional[_Mapping[str, CollabAgentState]] = ..., status: _Optional[str] = ...) -> None: ...

class CollabAgentState(_message.Message):
    __slots__ = ("status", "message")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    status: str
    message: str
    def __init__(self, status: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class WebSearch(_message.Message):
    __slots__ = ("search_id", "query", "action_type", "action_json")
    SEARCH_ID_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    ACTION_TYPE_FIELD_NUMBER: _ClassVar[int]
    ACTION_JSON_FIELD_NUMBER: _ClassVar[int]
    search_id: str
    query: str
    action_type: str
    action_json: str
    def __init__(self, search_id: _Optional[str] = ..., query: _Optional[str] = ..., action_type: _Optional[str] = ..., action_json: _Optional[str] = ...) -> None: ...

class TodoList(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[TodoItem]
    def __init__(self, items: _Optional[_Iterable[_Union[TodoItem, _Mapping[str, object]]]] = ...) -> None: ...

class TodoItem(_message.Message):
    __slots__ = ("text", "completed")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    text: str
    completed: bool
    def __init__(self, text: _Optional[str] = ..., completed: _Optional[bool] = ...) -> None: ...

class ErrorItem(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: _Optional[str] = ...) -> None: ...

class SessionCreated(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: _session_pb2.Session
    def __init__(self, session: _Optional[_Union[_session_pb2.Session, _Mapping[str, object]]] = ...) -> None: ...

class TurnSpawned(_message.Message):
    __slots__ = ("codex_version", "resumed_thread_id", "prompt", "forked_thread_id")
    CODEX_VERSION_FIELD_NUMBER: _ClassVar[int]
    RESUMED_THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    FORKED_THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    codex_version: str
    resumed_thread_id: str
    prompt: str
    forked_thread_id: str
    def __init__(self, codex_version: _Optional[str] = ..., resumed_thread_id: _Optional[str] = ..., prompt: _Optional[str] = ..., forked_thread_id: _Optional[str] = ...) -> None: ...

class SessionUpdated(_message.Message):
    __slots__ = ("session", "fields")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    session: _session_pb2.Session
    fields: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, session: _Optional[_Union[_session_pb2.Session, _Mapping[str, object]]] = ..., fields: _Optional[_Iterable[str]] = ...) -> None: ...

class SettingsChanged(_message.Message):
    __slots__ = ("entry", "truncated")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    entry: _audit_pb2.AuditEntry
    truncated: bool
    def __init__(self, entry: _Optional[_Union[_audit_pb2.AuditEntry, _Mapping[str, object]]] = ..., truncated: _Optional[bool] = ...) -> None: ...

class ControlsChanged(_message.Message):
    __slots__ = ("entry", "truncated")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    entry: _audit_pb2.AuditEntry
    truncated: bool
    def __init__(self, entry: _Optional[_Union[_audit_pb2.AuditEntry, _Mapping[str, object]]] = ..., truncated: _Optional[bool] = ...) -> None: ...

class SessionDeleted(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StateChanged(_message.Message):
    __slots__ = ("previous_state", "state", "reason", "error")
    PREVIOUS_STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    previous_state: _session_pb2.SessionState
    state: _session_pb2.SessionState
    reason: _session_pb2.StateReason
    error: str
    def __init__(self, previous_state: _Optional[_Union[_session_pb2.SessionState, str]] = ..., state: _Optional[_Union[_session_pb2.SessionState, str]] = ..., reason: _Optional[_Union[_session_pb2.StateReason, str]] = ..., error: _Optional[str] = ...) -> None: ...

class TurnExited(_message.Message):
    __slots__ = ("exit_code", "signal", "start_time", "end_time", "cpu_time", "peak_memory_bytes")
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    CPU_TIME_FIELD_NUMBER: _ClassVar[int]
    PEAK_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    exit_code: int
    signal: int
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    cpu_time: _duration_pb2.Duration
    peak_memory_bytes: int
    def __init__(self, exit_code: _Optional[int] = ..., signal: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., cpu_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, object]]] = ..., peak_memory_bytes: _Optional[int] = ...) -> None: ...

class Warning(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class WatchEventsRequest(_message.Message):
    __slots__ = ("session_ids", "start_seq", "start_seqs", "default_start", "epoch", "kinds", "heartbeat", "stop_at_end", "max_event_bytes")
    class StartSeqsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SESSION_IDS_FIELD_NUMBER: _ClassVar[int]
    START_SEQ_FIELD_NUMBER: _ClassVar[int]
    START_SEQS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_START_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    STOP_AT_END_FIELD_NUMBER: _ClassVar[int]
    MAX_EVENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    session_ids: _containers.RepeatedScalarFieldContainer[str]
    start_seq: int
    start_seqs: _containers.ScalarMap[str, int]
    default_start: DefaultStart
    epoch: str
    kinds: _containers.RepeatedScalarFieldContainer[EventKind]
    heartbeat: _duration_pb2.Duration
    stop_at_end: bool
    max_event_bytes: int
    def __init__(self, session_ids: _Optional[_Iterable[str]] = ..., start_seq: _Optional[int] = ..., start_seqs: _Optional[_Mapping[str, int]] = ..., default_start: _Optional[_Union[DefaultStart, str]] = ..., epoch: _Optional[str] = ..., kinds: _Optional[_Iterable[_Union[EventKind, str]]] = ..., heartbeat: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, object]]] = ..., stop_at_end: _Optional[bool] = ..., max_event_bytes: _Optional[int] = ...) -> None: ...

class WatchEventsResponse(_message.Message):
    __slots__ = ("header", "event", "synced", "heartbeat", "left_out")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    SYNCED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    header: WatchHeader
    event: Event
    synced: Synced
    heartbeat: Heartbeat
    left_out: LeftOut
    def __init__(self, header: _Optional[_Union[WatchHeader, _Mapping[str, object]]] = ..., event: _Optional[_Union[Event, _Mapping[str, object]]] = ..., synced: _Optional[_Union[Synced, _Mapping[str, object]]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping[str, object]]] = ..., left_out: _Optional[_Union[LeftOut, _Mapping[str, object]]] = ...) -> None: ...

class LeftOut(_message.Message):
    __slots__ = ("session_id", "next_seq", "reason", "message", "next_readable_seq")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEQ_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NEXT_READABLE_SEQ_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    next_seq: int
    reason: str
    message: str
    next_readable_seq: int
    def __init__(self, session_id: _Optional[str] = ..., next_seq: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., next_readable_seq: _Optional[int] = ...) -> None: ...

class WatchHeader(_message.Message):
    __slots__ = ("session", "oldest_seq", "latest_seq", "epoch", "start_seq")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    OLDEST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LATEST_SEQ_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    START_SEQ_FIELD_NUMBER: _ClassVar[int]
    session: _session_pb2.Session
    oldest_seq: int
    latest_seq: int
    epoch: str
    start_seq: int
    def __init__(self, session: _Optional[_Union[_session_pb2.Session, _Mapping[str, object]]] = ..., oldest_seq: _Optional[int] = ..., latest_seq: _Optional[int] = ..., epoch: _Optional[str] = ..., start_seq: _Optional[int] = ...) -> None: ...

class Synced(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("latest_seqs", "time")
    class LatestSeqsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    LATEST_SEQS_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    latest_seqs: _containers.ScalarMap[str, int]
    time: _timestamp_pb2.Timestamp
    def __init__(self, latest_seqs: _Optional[_Mapping[str, int]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("session_id", "after_seq", "page_size", "max_bytes", "wait", "kinds", "epoch")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    after_seq: int
    page_size: int
    max_bytes: int
    wait: _duration_pb2.Duration
    kinds: _containers.RepeatedScalarFieldContainer[EventKind]
    epoch: str
    def __init__(self, session_id: _Optional[str] = ..., after_seq: _Optional[int] = ..., page_size: _Optional[int] = ..., max_bytes: _Optional[int] = ..., wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, object]]] = ..., kinds: _Optional[_Iterable[_Union[EventKind, str]]] = ..., epoch: _Optional[str] = ...) -> None: ...

class ListEventsResponse(_message.Message):
    __slots__ = ("events", "next_after_seq", "oldest_seq", "latest_seq", "epoch")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    OLDEST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LATEST_SEQ_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    next_after_seq: int
    oldest_seq: int
    latest_seq: int
    epoch: str
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping[str, object]]]] = ..., next_after_seq: _Optional[int] = ..., oldest_seq: _Optional[int] = ..., latest_seq: _Optional[int] = ..., epoch: _Optional[str] = ...) -> None: ...
