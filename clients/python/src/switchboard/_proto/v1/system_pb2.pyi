import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "pid", "start_time", "home", "addresses", "codex", "running_turns", "open_watches", "limits")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    CODEX_FIELD_NUMBER: _ClassVar[int]
    RUNNING_TURNS_FIELD_NUMBER: _ClassVar[int]
    OPEN_WATCHES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    version: str
    pid: int
    start_time: _timestamp_pb2.Timestamp
    home: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    codex: CodexInfo
    running_turns: int
    open_watches: int
    limits: Limits
    def __init__(self, version: _Optional[str] = ..., pid: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., home: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ..., codex: _Optional[_Union[CodexInfo, _Mapping[str, object]]] = ..., running_turns: _Optional[int] = ..., open_watches: _Optional[int] = ..., limits: _Optional[_Union[Limits, _Mapping[str, object]]] = ...) -> None: ...

class CodexInfo(_message.Message):
    __slots__ = ("path", "version", "problem")
    PATH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    path: str
    version: str
    problem: str
    def __init__(self, path: _Optional[str] = ..., version: _Optional[str] = ..., problem: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_prompt_bytes", "max_codex_prompt_characters", "max_request_bytes", "default_max_event_bytes", "max_line_bytes", "max_streams_per_connection", "json_rpc")
    MAX_PROMPT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CODEX_PROMPT_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    MAX_REQUEST_BYTES_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MAX_EVENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_LINE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_STREAMS_PER_CONNECTION_FIELD_NUMBER: _ClassVar[int]
    JSON_RPC_FIELD_NUMBER: _ClassVar[int]
    max_prompt_bytes: int
    max_codex_prompt_characters: int
    max_request_bytes: int
    default_max_event_bytes: int
    max_line_bytes: int
    max_streams_per_connection: int
    json_rpc: JsonRpcLimits
    def __init__(self, max_prompt_bytes: _Optional[int] = ..., max_codex_prompt_characters: _Optional[int] = ..., max_request_bytes: _Optional[int] = ..., default_max_event_bytes: _Optional[int] = ..., max_line_bytes: _Optional[int] = ..., max_streams_per_connection: _Optional[int] = ..., json_rpc: _Optional[_Union[JsonRpcLimits, _Mapping[str, object]]] = ...) -> None: ...

class JsonRpcLimits(_message.Message):
    __slots__ = ("max_message_bytes", "max_batch", "max_connections", "max_subscriptions", "ping_interval", "default_max_event_bytes", "max_calls", "max_unanswered", "max_unanswered_bytes", "max_unsent_bytes", "max_unsent_notifications", "max_unsent_of_subscription", "max_batch_answer_bytes", "max_chunk_bytes")
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_FIELD_NUMBER: _ClassVar[int]
    MAX_CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_SUBSCRIPTIONS_FIELD_NUMBER: _ClassVar[int]
    PING_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MAX_EVENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CALLS_FIELD_NUMBER: _ClassVar[int]
    MAX_UNANSWERED_FIELD_NUMBER: _ClassVar[int]
    MAX_UNANSWERED_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_UNSENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_UNSENT_NOTIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_UNSENT_OF_SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_ANSWER_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    max_message_bytes: int
    max_batch: int
    max_connections: int
    max_subscriptions: int
    ping_interval: _duration_pb2.Duration
    default_max_event_bytes: int
    max_calls: int
    max_unanswered: int
    max_unanswered_bytes: int
    max_unsent_bytes: int
    max_unsent_notifications: int
    max_unsent_of_subscription: int
    max_batch_answer_bytes: int
    max_chunk_bytes: int
    def __init__(self, max_message_bytes: _Optional[int] = ..., max_batch: _Optional[int] = ..., max_connections: _Optional[int] = ..., max_subscriptions: _Optional[int] = ..., ping_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, object]]] = ..., default_max_event_bytes: _Optional[int] = ..., max_calls: _Optional[int] = ..., max_unanswered: _Optional[int] = ..., max_unanswered_bytes: _Optional[int] = ..., max_unsent_bytes: _Optional[int] = ..., max_unsent_notifications: _Optional[int] = ..., max_unsent_of_subscription: _Optional[int] = ..., max_batch_answer_bytes: _Optional[int] = ..., max_chunk_bytes: _Optional[int] = ...) -> None: ...
