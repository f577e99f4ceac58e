import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SessionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_STATE_UNSPECIFIED: _ClassVar[SessionState]
    SESSION_STATE_PENDING: _ClassVar[SessionState]
    SESSION_STATE_QUEUED: _ClassVar[SessionState]
    SESSION_STATE_RUNNING: _ClassVar[SessionState]
    SESSION_STATE_STOPPING: _ClassVar[SessionState]
    SESSION_STATE_COMPLETED: _ClassVar[SessionState]
    SESSION_STATE_FAILED: _ClassVar[SessionState]
    SESSION_STATE_INTERRUPTED: _ClassVar[SessionState]
    SESSION_STATE_KILLED: _ClassVar[SessionState]

class StateReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATE_REASON_UNSPECIFIED: _ClassVar[StateReason]
    STATE_REASON_AGENT_ERROR: _ClassVar[StateReason]
    STATE_REASON_INCOMPLETE: _ClassVar[StateReason]
    STATE_REASON_EXIT_STATUS: _ClassVar[StateReason]
    STATE_REASON_STORAGE_FULL: _ClassVar[StateReason]
    STATE_REASON_LOST: _ClassVar[StateReason]
    STATE_REASON_SPAWN_FAILED: _ClassVar[StateReason]
    STATE_REASON_INACTIVE: _ClassVar[StateReason]
    STATE_REASON_DEADLINE: _ClassVar[StateReason]
    STATE_REASON_OUTPUT_LIMIT: _ClassVar[StateReason]

class FilesystemSandbox(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FILESYSTEM_SANDBOX_UNSPECIFIED: _ClassVar[FilesystemSandbox]
    FILESYSTEM_SANDBOX_READ_ONLY: _ClassVar[FilesystemSandbox]
    FILESYSTEM_SANDBOX_WORKSPACE_WRITE: _ClassVar[FilesystemSandbox]
    FILESYSTEM_SANDBOX_DANGER_FULL_ACCESS: _ClassVar[FilesystemSandbox]

class ApprovalPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    APPROVAL_POLICY_UNSPECIFIED: _ClassVar[ApprovalPolicy]
    APPROVAL_POLICY_UNTRUSTED: _ClassVar[ApprovalPolicy]
    APPROVAL_POLICY_ON_FAILURE: _ClassVar[ApprovalPolicy]
    APPROVAL_POLICY_ON_REQUEST: _ClassVar[ApprovalPolicy]
    APPROVAL_POLICY_NEVER: _ClassVar[ApprovalPolicy]

class NetworkAccess(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NETWORK_ACCESS_UNSPECIFIED: _ClassVar[NetworkAccess]
    NETWORK_ACCESS_RESTRICTED: _ClassVar[NetworkAccess]
    NETWORK_ACCESS_ENABLED: _ClassVar[NetworkAccess]

class WebSearchMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WEB_SEARCH_MODE_UNSPECIFIED: _ClassVar[WebSearchMode]
    WEB_SEARCH_MODE_DISABLED: _ClassVar[WebSearchMode]
    WEB_SEARCH_MODE_CACHED: _ClassVar[WebSearchMode]
    WEB_SEARCH_MODE_LIVE: _ClassVar[WebSearchMode]

class ArchivedFilter(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ARCHIVED_FILTER_UNSPECIFIED: _ClassVar[ArchivedFilter]
    ARCHIVED_FILTER_ONLY: _ClassVar[ArchivedFilter]
    ARCHIVED_FILTER_ALL: _ClassVar[ArchivedFilter]

class OutputStream(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTPUT_STREAM_UNSPECIFIED: _ClassVar[OutputStream]
    OUTPUT_STREAM_STDOUT: _ClassVar[OutputStream]
    OUTPUT_STREAM_STDERR: _ClassVar[OutputStream]

class MessageRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MESSAGE_ROLE_UNSPECIFIED: _ClassVar[MessageRole]
    MESSAGE_ROLE_USER: _ClassVar[MessageRole]
    MESSAGE_ROLE_ASSISTANT: _ClassVar[MessageRole]
    MESSAGE_ROLE_SYSTEM: _ClassVar[MessageRole]
    MESSAGE_ROLE_TOOL: _ClassVar[MessageRole]
SESSION_STATE_UNSPECIFIED: SessionState
SESSION_STATE_PENDING: SessionState
SESSION_STATE_QUEUED: SessionState
SESSION_STATE_RUNNING: SessionState
SESSION_STATE_STOPPING: SessionState
SESSION_STATE_COMPLETED: SessionState
SESSION_STATE_FAILED: SessionState
SESSION_STATE_INTERRUPTED: SessionState
SESSION_STATE_KILLED: SessionState
STATE_REASON_UNSPECIFIED: StateReason
STATE_REASON_AGENT_ERROR: StateReason
STATE_REASON_INCOMPLETE: StateReason
STATE_REASON_EXIT_STATUS: StateReason
STATE_REASON_STORAGE_FULL: StateReason
STATE_REASON_LOST: StateReason
STATE_REASON_SPAWN_FAILED: StateReason
STATE_REASON_INACTIVE: StateReason
STATE_REASON_DEADLINE: StateReason
STATE_REASON_OUTPUT_LIMIT: StateReason
FILESYSTEM_SANDBOX_UNSPECIFIED: FilesystemSandbox
FILESYSTEM_SANDBOX_READ_ONLY: FilesystemSandbox
FILESYSTEM_SANDBOX_WORKSPACE_WRITE: FilesystemSandbox
FILESYSTEM_SANDBOX_DANGER_FULL_ACCESS: FilesystemSandbox
APPROVAL_POLICY_UNSPECIFIED: ApprovalPolicy
APPROVAL_POLICY_UNTRUSTED: ApprovalPolicy
APPROVAL_POLICY_ON_FAILURE: ApprovalPolicy
APPROVAL_POLICY_ON_REQUEST: ApprovalPolicy
APPROVAL_POLICY_NEVER: ApprovalPolicy
NETWORK_ACCESS_UNSPECIFIED: NetworkAccess
NETWORK_ACCESS_RESTRICTED: NetworkAccess
NETWORK_ACCESS_ENABLED: NetworkAccess
WEB_SEARCH_MODE_UNSPECIFIED: WebSearchMode
WEB_SEARCH_MODE_DISABLED: WebSearchMode
WEB_SEARCH_MODE_CACHED: WebSearchMode
WEB_SEARCH_MODE_LIVE: WebSearchMode
ARCHIVED_FILTER_UNSPECIFIED: ArchivedFilter
ARCHIVED_FILTER_ONLY: ArchivedFilter
ARCHIVED_FILTER_ALL: ArchivedFilter
OUTPUT_STREAM_UNSPECIFIED: OutputStream
OUTPUT_STREAM_STDOUT: OutputStream
OUTPUT_STREAM_STDERR: OutputStream
MESSAGE_ROLE_UNSPECIFIED: MessageRole
MESSAGE_ROLE_USER: MessageRole
MESSAGE_ROLE_ASSISTANT: MessageRole
MESSAGE_ROLE_SYSTEM: MessageRole
MESSAGE_ROLE_TOOL: MessageRole

class Session(_message.Message):
    __slots__ = ("session_id", "state", "state_reason", "agent", "source", "title", "labels", "working_directory", "model", "filesystem_sandbox", "thread_id", "codex_version", "first_prompt", "turn_count", "last_turn", "usage", "create_time", "update_time", "network_access", "archived", "system_owned", "forked_from", "etag", "queue_position", "codex_options", "approval_policy", "persist_session", "config_lock")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    WORKING_DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    FILESYSTEM_SANDBOX_FIELD_NUMBER: _ClassVar[int]
    THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    CODEX_VERSION_FIELD_NUMBER: _ClassVar[int]
    FIRST_PROMPT_FIELD_NUMBER: _ClassVar[int]
    TURN_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_TURN_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    NETWORK_ACCESS_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_OWNED_FIELD_NUMBER: _ClassVar[int]
    FORKED_FROM_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    QUEUE_POSITION_FIELD_NUMBER: _ClassVar[int]
    CODEX_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_POLICY_FIELD_NUMBER: _ClassVar[int]
    PERSIST_SESSION_FIELD_NUMBER: _ClassVar[int]
    CONFIG_LOCK_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    state: SessionState
    state_reason: StateReason
    agent: str
    source: str
    title: str
    labels: _containers.ScalarMap[str, str]
    working_directory: str
    model: str
    filesystem_sandbox: FilesystemSandbox
    thread_id: str
    codex_version: str
    first_prompt: str
    turn_count: int
    last_turn: Turn
    usage: Usage
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    network_access: NetworkAccess
    archived: bool
    system_owned: bool
    forked_from: str
    etag: str
    queue_position: int
    codex_options: CodexOptions
    approval_policy: ApprovalPolicy
    persist_session: bool
    config_lock: SessionLock
    def __init__(self, session_id: _Optional[str] = ..., state: _Optional[_Union[SessionState, str]] = ..., state_reason: _Optional[_Union[StateReason, str]] = ..., agent: _Optional[str] = ..., source: _Optional[str] = ..., title: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., working_directory: _Optional[str] = ..., model: _Optional[str] = ..., filesystem_sandbox: _Optional[_Union[FilesystemSandbox, str]] = ..., thread_id: _Optional[str] = ..., codex_version: _Optional[str] = ..., first_prompt: _Optional[str] = ..., turn_count: _Optional[int] = ..., last_turn: _Optional[_Union[Turn, _Mapping[str, object]]] = ..., usage: _Optional[_Union[Usage, _Mapping[str, object]]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., network_access: _Optional[_Union[NetworkAccess, str]] = ..., archived: _Optional[bool] = ..., system_owned: _Optional[bool] = ..., forked_from: _Optional[str] = ..., etag: _Optional[str] = ..., queue_position: _Optional[int] = ..., codex_options: _Optional[_Union[CodexOptions, _Mapping[str, object]]] = ..., approval_policy: _Optional[_Union[ApprovalPolicy, str]] = ..., persist_session: _Optional[bool] = ..., config_lock: _Optional[_Union[SessionLock, _Mapping[str, object]]] = ...) -> None: ...

class SessionLock(_message.Message):
    __slots__ = ("sha256", "codex_version", "allow_codex_version_mismatch")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    CODEX_VERSION_FIELD_NUMBER: _ClassVar[int]
    ALLOW_CODEX_VERSION_MISMATCH_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    codex_version: str
    allow_codex_version_mismatch: bool
    def __init__(self, sha256: _Optional[str] = ..., codex_version: _Optional[str] = ..., allow_codex_version_mismatch: _Optional[bool] = ...) -> None: ...

class CodexOptions(_message.Message):
    __slots__ = ("config", "output_schema", "add_directories", "profile", "web_search", "environment", "full_danger", "strict_config")
    class ConfigEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class EnvironmentEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    ADD_DIRECTORIES_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    WEB_SEARCH_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    FULL_DANGER_FIELD_NUMBER: _ClassVar[int]
    STRICT_CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: _containers.ScalarMap[str, str]
    output_schema: str
    add_directories: _containers.RepeatedScalarFieldContainer[str]
    profile: str
    web_search: WebSearchMode
    environment: _containers.ScalarMap[str, str]
    full_danger: bool
    strict_config: bool
    def __init__(self, config: _Optional[_Mapping[str, str]] = ..., output_schema: _Optional[str] = ..., add_directories: _Optional[_Iterable[str]] = ..., profile: _Optional[str] = ..., web_search: _Optional[_Union[WebSearchMode, str]] = ..., environment: _Optional[_Mapping[str, str]] = ..., full_danger: _Optional[bool] = ..., strict_config: _Optional[bool] = ...) -> None: ...

class Turn(_message.Message):
    __slots__ = ("number", "state", "state_reason", "pid", "exit_code", "signal", "start_time", "end_time", "error", "usage")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    number: int
    state: SessionState
    state_reason: StateReason
    pid: int
    exit_code: int
    signal: int
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    error: str
    usage: Usage
    def __init__(self, number: _Optional[int] = ..., state: _Optional[_Union[SessionState, str]] = ..., state_reason: _Optional[_Union[StateReason, str]] = ..., pid: _Optional[int] = ..., exit_code: _Optional[int] = ..., signal: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., error: _Optional[str] = ..., usage: _Optional[_Union[Usage, _Mapping[str, object]]] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens", "reasoning_output_tokens")
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASONING_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    input_tokens: int
    cached_input_tokens: int
    cache_write_input_tokens: int
    output_tokens: int
    reasoning_output_tokens: int
    def __init__(self, input_tokens: _Optional[int] = ..., cached_input_tokens: _Optional[int] = ..., cache_write_input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., reasoning_output_tokens: _Optional[int] = ...) -> None: ...

class CreateSessionRequest(_message.Message):
    __slots__ = ("session", "session_id", "prompt", "request_id", "images", "config_lock", "allow_codex_version_mismatch")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    CONFIG_LOCK_FIELD_NUMBER: _ClassVar[int]
    ALLOW_CODEX_VERSION_MISMATCH_FIELD_NUMBER: _ClassVar[int]
    session: Session
    session_id: str
    prompt: str
    request_id: str
    images: _containers.RepeatedScalarFieldContainer[str]
    config_lock: str
    allow_codex_version_mismatch: bool
    def __init__(self, session: _Optional[_Union[Session, _Mapping[str, object]]] = ..., session_id: _Optional[str] = ..., prompt: _Optional[str] = ..., request_id: _Optional[str] = ..., images: _Optional[_Iterable[str]] = ..., config_lock: _Optional[str] = ..., allow_codex_version_mismatch: _Optional[bool] = ...) -> None: ...

class CreateSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping[str, object]]] = ...) -> None: ...

class GetSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class GetSessionResponse(_message.Message):
    __slots__ = ("session", "disk_bytes")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
    session: Session
    disk_bytes: int
    def __init__(self, session: _Optional[_Union[Session, _Mapping[str, object]]] = ..., disk_bytes: _Optional[int] = ...) -> None: ...

class ListSessionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "id_prefix", "states", "source", "labels", "archived", "working_directory", "created_after", "created_before", "include_system_owned")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ID_PREFIX_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    WORKING_DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_SYSTEM_OWNED_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    id_prefix: str
    states: _containers.RepeatedScalarFieldContainer[SessionState]
    source: str
    labels: _containers.ScalarMap[str, str]
    archived: ArchivedFilter
    working_directory: str
    created_after: _timestamp_pb2.Timestamp
    created_before: _timestamp_pb2.Timestamp
    include_system_owned: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., id_prefix: _Optional[str] = ..., states: _Optional[_Iterable[_Union[SessionState, str]]] = ..., source: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., archived: _Optional[_Union[ArchivedFilter, str]] = ..., working_directory: _Optional[str] = ..., created_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., created_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., include_system_owned: _Optional[bool] = ...) -> None: ...

class ListSessionsResponse(_message.Message):
    __slots__ = ("sessions", "next_page_token")
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[Session]
    next_page_token: str
    def __init__(self, sessions: _Optional[_Iterable[_Union[Session, _Mapping[str, object]]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class StartTurnRequest(_message.Message):
    __slots__ = ("session_id", "prompt", "request_id", "images")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    prompt: str
    request_id: str
    images: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, session_id: _Optional[str] = ..., prompt: _Optional[str] = ..., request_id: _Optional[str] = ..., images: _Optional[_Iterable[str]] = ...) -> None: ...

class StartTurnResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping[str, object]]] = ...) -> None: ...

class InterruptTurnRequest(_message.Message):
    __slots__ = ("session_id", "request_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    request_id: str
    def __init__(self, session_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class InterruptTurnResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping[str, object]]] = ...) -> None: ...

class KillSessionRequest(_message.Message):
    __slots__ = ("session_id", "request_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    request_id: str
    def __init__(self, session_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class KillSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping[str, object]]] = ...) -> None: ...

class ForkSessionRequest(_message.Message):
    __slots__ = ("session_id", "session", "new_session_id", "prompt", "request_id", "images")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    NEW_SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    session: Session
    new_session_id: str
    prompt: str
    request_id: str
    images: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, session_id: _Optional[str] = ..., session: _Optional[_Union[Session, _Mapping[str, object]]] = ..., new_session_id: _Optional[str] = ..., prompt: _Optional[str] = ..., request_id: _Optional[str] = ..., images: _Optional[_Iterable[str]] = ...) -> None: ...

class ForkSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping[str, object]]] = ...) -> None: ...

class UpdateSessionRequest(_message.Message):
    __slots__ = ("session_id", "session", "update_mask", "etag", "request_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    session: Session
    update_mask: _field_mask_pb2.FieldMask
    etag: str
    request_id: str
    def __init__(self, session_id: _Optional[str] = ..., session: _Optional[_Union[Session, _Mapping[str, object]]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping[str, object]]] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping[str, object]]] = ...) -> None: ...

class DeleteSessionRequest(_message.Message):
    __slots__ = ("session_id", "etag", "request_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    etag: str
    request_id: str
    def __init__(self, session_id: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping[str, object]]] = ...) -> None: ...

class CleanupSessionsRequest(_message.Message):
    __slots__ = ("older_than", "dry_run", "states", "request_id", "include_system_owned")
    OLDER_THAN_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_SYSTEM_OWNED_FIELD_NUMBER: _ClassVar[int]
    older_than: _duration_pb2.Duration
    dry_run: bool
    states: _containers.RepeatedScalarFieldContainer[SessionState]
    request_id: str
    include_system_owned: bool
    def __init__(self, older_than: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, object]]] = ..., dry_run: _Optional[bool] = ..., states: _Optional[_Iterable[_Union[SessionState, str]]] = ..., request_id: _Optional[str] = ..., include_system_owned: _Optional[bool] = ...) -> None: ...

class CleanupSessionsResponse(_message.Message):
    __slots__ = ("session_ids", "more")
    SESSION_IDS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    session_ids: _containers.RepeatedScalarFieldContainer[str]
    more: bool
    def __init__(self, session_ids: _Optional[_Iterable[str]] = ..., more: _Optional[bool] = ...) -> None: ...

class WatchSessionsRequest(_message.Message):
    __slots__ = ("cursor", "include_system_owned", "heartbeat")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_SYSTEM_OWNED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    include_system_owned: bool
    heartbeat: _duration_pb2.Duration
    def __init__(self, cursor: _Optional[str] = ..., include_system_owned: _Optional[bool] = ..., heartbeat: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, object]]] = ...) -> None: ...

class WatchSessionsResponse(_message.Message):
    __slots__ = ("cursor", "session", "deleted", "synced", "heartbeat")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    SYNCED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    session: Session
    deleted: DeletedSession
    synced: SessionsSynced
    heartbeat: SessionsHeartbeat
    def __init__(self, cursor: _Optional[str] = ..., session: _Optional[_Union[Session, _Mapping[str, object]]] = ..., deleted: _Optional[_Union[DeletedSession, _Mapping[str, object]]] = ..., synced: _Optional[_Union[SessionsSynced, _Mapping[str, object]]] = ..., heartbeat: _Optional[_Union[SessionsHeartbeat, _Mapping[str, object]]] = ...) -> None: ...

class DeletedSession(_message.Message):
    __slots__ = ("session_id", "title", "delete_time")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DELETE_TIME_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    title: str
    delete_time: _timestamp_pb2.Timestamp
    def __init__(self, session_id: _Optional[str] = ..., title: _Optional[str] = ..., delete_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ...) -> None: ...

class SessionsSynced(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SessionsHeartbeat(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WaitSessionRequest(_message.Message):
    __slots__ = ("session_id", "states", "timeout")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    states: _containers.RepeatedScalarFieldContainer[SessionState]
    timeout: _duration_pb2.Duration
    def __init__(self, session_id: _Optional[str] = ..., states: _Optional[_Iterable[_Union[SessionState, str]]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, object]]] = ...) -> None: ...

class WaitSessionResponse(_message.Message):
    __slots__ = ("session", "reached")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    REACHED_FIELD_NUMBER: _ClassVar[int]
    session: Session
    reached: bool
    def __init__(self, session: _Optional[_Union[Session, _Mapping[str, object]]] = ..., reached: _Optional[bool] = ...) -> None: ...

class ReadOutputRequest(_message.Message):
    __slots__ = ("session_id", "turn", "offset", "length", "stream")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    turn: int
    offset: int
    length: int
    stream: OutputStream
    def __init__(self, session_id: _Optional[str] = ..., turn: _Optional[int] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ..., stream: _Optional[_Union[OutputStream, str]] = ...) -> None: ...

class ReadOutputResponse(_message.Message):
    __slots__ = ("turn", "offset", "data", "total_size")
    TURN_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    turn: int
    offset: int
    data: bytes
    total_size: int
    def __init__(self, turn: _Optional[int] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ..., total_size: _Optional[int] = ...) -> None: ...

class ListTurnsRequest(_message.Message):
    __slots__ = ("session_id", "page_size", "page_token")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    page_size: int
    page_token: str
    def __init__(self, session_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListTurnsResponse(_message.Message):
    __slots__ = ("turns", "next_page_token")
    TURNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    turns: _containers.RepeatedCompositeFieldContainer[Turn]
    next_page_token: str
    def __init__(self, turns: _Optional[_Iterable[_Union[Turn, _Mapping[str, object]]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Text(_message.Message):
    __slots__ = ("text", "truncated", "total_characters")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    text: str
    truncated: bool
    total_characters: int
    def __init__(self, text: _Optional[str] = ..., truncated: _Optional[bool] = ..., total_characters: _Optional[int] = ...) -> None: ...

class ListMessagesRequest(_message.Message):
    __slots__ = ("session_id", "turn", "page_size", "page_token", "max_bytes")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    turn: int
    page_size: int
    page_token: str
    max_bytes: int
    def __init__(self, session_id: _Optional[str] = ..., turn: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., max_bytes: _Optional[int] = ...) -> None: ...

class ListMessagesResponse(_message.Message):
    __slots__ = ("messages", "next_page_token", "oldest_seq", "latest_seq")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OLDEST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LATEST_SEQ_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[SessionMessage]
    next_page_token: str
    oldest_seq: int
    latest_seq: int
    def __init__(self, messages: _Optional[_Iterable[_Union[SessionMessage, _Mapping[str, object]]]] = ..., next_page_token: _Optional[str] = ..., oldest_seq: _Optional[int] = ..., latest_seq: _Optional[int] = ...) -> None: ...

class SessionMessage(_message.Message):
    __slots__ = ("turn", "step", "seq", "time", "role", "content", "input", "name", "item_id", "item_type", "status", "exit_code")
    TURN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    ITEM_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    turn: int
    step: int
    seq: int
    time: _timestamp_pb2.Timestamp
    role: MessageRole
    content: Text
    input: Text
    name: str
    item_id: str
    item_type: str
    status: str
    exit_code: int
    def __init__(self, turn: _Optional[int] = ..., step: _Optional[int] = ..., seq: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., role: _Optional[_Union[MessageRole, str]] = ..., content: _Optional[_Union[Text, _Mapping[str, object]]] = ..., input: _Optional[_Union[Text, _Mapping[str, object]]] = ..., name: _Optional[str] = ..., item_id: _Optional[str] = ..., item_type: _Optional[str] = ..., status: _Optional[str] = ..., exit_code: _Optional[int] = ...) -> None: ...

class GetTrajectoryRequest(_message.Message):
    __slots__ = ("session_id", "turn", "page_size", "page_token", "max_bytes", "max_characters", "full")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    FULL_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    turn: int
    page_size: int
    page_token: str
    max_bytes: int
    max_characters: int
    full: bool
    def __init__(self, session_id: _Optional[str] = ..., turn: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., max_bytes: _Optional[int] = ..., max_characters: _Optional[int] = ..., full: _Optional[bool] = ...) -> None: ...

class GetTrajectoryResponse(_message.Message):
    __slots__ = ("steps", "next_page_token", "oldest_seq", "latest_seq")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OLDEST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LATEST_SEQ_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedCompositeFieldContainer[Step]
    next_page_token: str
    oldest_seq: int
    latest_seq: int
    def __init__(self, steps: _Optional[_Iterable[_Union[Step, _Mapping[str, object]]]] = ..., next_page_token: _Optional[str] = ..., oldest_seq: _Optional[int] = ..., latest_seq: _Optional[int] = ...) -> None: ...

class Step(_message.Message):
    __slots__ = ("turn", "step", "seq", "time", "item_id", "item_type", "status", "prompt", "reasoning", "message", "command", "file_change", "tool_call", "agent_call", "web_search", "plan", "warning", "error", "other")
    TURN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    ITEM_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    REASONING_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    FILE_CHANGE_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_FIELD_NUMBER: _ClassVar[int]
    AGENT_CALL_FIELD_NUMBER: _ClassVar[int]
    WEB_SEARCH_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    turn: int
    step: int
    seq: int
    time: _timestamp_pb2.Timestamp
    item_id: str
    item_type: str
    status: str
    prompt: Text
    reasoning: Text
    message: Text
    command: CommandStep
    file_change: FileChangeStep
    tool_call: ToolCallStep
    agent_call: AgentCallStep
    web_search: WebSearchStep
    plan: PlanStep
    warning: NoticeStep
    error: NoticeStep
    other: Text
    def __init__(self, turn: _Optional[int] = ..., step: _Optional[int] = ..., seq: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, object]]] = ..., item_id: _Optional[str] = ..., item_type: _Optional[str] = ..., status: _Optional[str] = ..., prompt: _Optional[_Union[Text, _Mapping[str, object]]] = ..., reasoning: _Optional[_Union[Text, _Mapping[str, object]]] = ..., message: _Optional[_Union[Text, _Mapping[str, object]]] = ..., command: _Optional[_Union[CommandStep, _Mapping[str, object]]] = ..., file_change: _Optional[_Union[FileChangeStep, _Mapping[str, object]]] = ..., tool_call: _Optional[_Union[ToolCallStep, _Mapping[str, object]]] = ..., agent_call: _Optional[_Union[AgentCallStep, _Mapping[str, object]]] = ..., web_search: _Optional[_Union[WebSearchStep, _Mapping[str, object]]] = ..., plan: _Optional[_Union[PlanStep, _Mapping[str, object]]] = ..., warning: _Optional[_Union[NoticeStep, _Mapping[str, object]]] = ..., error: _Optional[_Union[NoticeStep, _Mapping[str, object]]] = ..., other: _Optional[_Union[Text, _Mapping[str, object]]] = ...) -> None: ...

class CommandStep(_message.Message):
    __slots__ = ("command", "output", "exit_code")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    command: Text
    output: Text
    exit_code: int
    def __init__(self, command: _Optional[_Union[Text, _Mapping[str, object]]] = ..., output: _Optional[_Union[Text, _Mapping[str, object]]] = ..., exit_code: _Optional[int] = ...) -> None: ...

class FileChangeStep(_message.Message):
    __slots__ = ("files", "total_files")
    FILES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[ChangedFile]
    total_files: int
    def __init__(self, files: _Optional[_Iterable[_Union[ChangedFile, _Mapping[str, object]]]] = ..., total_files: _Optional[int] = ...) -> None: ...

class ChangedFile(_message.Message):
    __slots__ = ("path", "kind")
    PATH_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    path: str
    kind: str
    def __init__(self, path: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...

class ToolCallStep(_message.Message):
    __slots__ = ("server", "tool", "arguments", "result", "error")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    server: str
    tool: str
    arguments: Text
    result: Text
    error: Text
    def __init__(self, server: _Optional[str] = ..., tool: _Optional[str] = ..., arguments: _Optional[_Union[Text, _Mapping[str, object]]] = ..., result: _Optional[_Union[Text, _Mapping[str, object]]] = ..., error: _Optional[_Union[Text, _Mapping[str, object]]] = ...) -> None: ...

class AgentCallStep(_message.Message):
    __slots__ = ("tool", "prompt", "agents", "total_agents")
    TOOL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_AGENTS_FIELD_NUMBER: _ClassVar[int]
    tool: str
    prompt: Text
    agents: _containers.RepeatedCompositeFieldContainer[CalledAgent]
    total_agents: int
    def __init__(self, tool: _Optional[str] = ..., prompt: _Optional[_Union[Text, _Mapping[str, object]]] = ..., agents: _Optional[_Iterable[_Union[CalledAgent, _Mapping[str, object]]]] = ..., total_agents: _Optional[int] = ...) -> None: ...

class CalledAgent(_message.Message):
    __slots__ = ("thread_id", "status", "message")
    THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    thread_id: str
    status: str
    message: Text
    def __init__(self, thread_id: _Optional[str] = ..., status: _Optional[str] = ..., message: _Optional[_Union[Text, _Mapping[str, object]]] = ...) -> None: ...

class WebSearchStep(_message.Message):
    __slots__ = ("query", "action_type")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    ACTION_TYPE_FIELD_NUMBER: _ClassVar[int]
    query: Text
    action_type: str
    def __init__(self, query: _Optional[_Union[Text, _Mapping[str, object]]] = ..., action_type: _Optional[str] = ...) -> None: ...

class PlanStep(_message.Message):
    __slots__ = ("items", "total_items")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[PlanItem]
    total_items: int
    def __init__(self, items: _Optional[_Iterable[_Union[PlanItem, _Mapping[str, object]]]] = ..., total_items: _Optional[int] = ...) -> None: ...

class PlanItem(_message.Message):
    __slots__ = ("text", "completed")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    text: Text
    completed: bool
    def __init__(self, text: _Optional[_Union[Text, _Mapping[str, object]]] = ..., completed: _Optional[bool] = ...) -> None: ...

class NoticeStep(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: Text
    def __init__(self, code: _Optional[str] = ..., message: _Optional[_Union[Text, _Mapping[str, object]]] = ...) -> None: ...
