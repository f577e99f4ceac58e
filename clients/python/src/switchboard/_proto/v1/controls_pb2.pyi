from . import session_pb2 as _session_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Scope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCOPE_UNSPECIFIED: _ClassVar[Scope]
    SCOPE_SESSION: _ClassVar[Scope]
    SCOPE_DEFAULT: _ClassVar[Scope]

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_OK: _ClassVar[Outcome]
    OUTCOME_UNCHANGED: _ClassVar[Outcome]
SCOPE_UNSPECIFIED: Scope
SCOPE_SESSION: Scope
SCOPE_DEFAULT: Scope
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_OK: Outcome
OUTCOME_UNCHANGED: Outcome

class Controls(_message.Message):
    __slots__ = ("model", "approval_policy", "network_access", "filesystem_sandbox")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_POLICY_FIELD_NUMBER: _ClassVar[int]
    NETWORK_ACCESS_FIELD_NUMBER: _ClassVar[int]
    FILESYSTEM_SANDBOX_FIELD_NUMBER: _ClassVar[int]
    model: str
    approval_policy: _session_pb2.ApprovalPolicy
    network_access: _session_pb2.NetworkAccess
    filesystem_sandbox: _session_pb2.FilesystemSandbox
    def __init__(self, model: _Optional[str] = ..., approval_policy: _Optional[_Union[_session_pb2.ApprovalPolicy, str]] = ..., network_access: _Optional[_Union[_session_pb2.NetworkAccess, str]] = ..., filesystem_sandbox: _Optional[_Union[_session_pb2.FilesystemSandbox, str]] = ...) -> None: ...

class ScopedControls(_message.Message):
    __slots__ = ("controls", "settings_json", "etag")
    CONTROLS_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_JSON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    controls: Controls
    settings_json: str
    etag: str
    def __init__(self, controls: _Optional[_Union[Controls, _Mapping[str, object]]] = ..., settings_json: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class GetControlsRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class GetControlsResponse(_message.Message):
    __slots__ = ("session", "defaults", "defaults_editable", "default_lock_reason")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    DEFAULTS_EDITABLE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_LOCK_REASON_FIELD_NUMBER: _ClassVar[int]
    session: ScopedControls
    defaults: ScopedControls
    defaults_editable: bool
    default_lock_reason: str
    def __init__(self, session: _Optional[_Union[ScopedControls, _Mapping[str, object]]] = ..., defaults: _Optional[_Union[ScopedControls, _Mapping[str, object]]] = ..., defaults_editable: _Optional[bool] = ..., default_lock_reason: _Optional[str] = ...) -> None: ...

class ApplyControlsRequest(_message.Message):
    __slots__ = ("session_id", "scope", "controls", "settings_json", "actor", "source", "etag", "request_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    CONTROLS_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_JSON_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    scope: Scope
    controls: Controls
    settings_json: str
    actor: str
    source: str
    etag: str
    request_id: str
    def __init__(self, session_id: _Optional[str] = ..., scope: _Optional[_Union[Scope, str]] = ..., controls: _Optional[_Union[Controls, _Mapping[str, object]]] = ..., settings_json: _Optional[str] = ..., actor: _Optional[str] = ..., source: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ApplyControlsResponse(_message.Message):
    __slots__ = ("outcome", "scope", "applied", "summary", "session", "defaults", "defaults_editable", "default_lock_reason", "audit_seq")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    DEFAULTS_EDITABLE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_LOCK_REASON_FIELD_NUMBER: _ClassVar[int]
    AUDIT_SEQ_FIELD_NUMBER: _ClassVar[int]
    outcome: Outcome
    scope: Scope
    applied: ScopedControls
    summary: str
    session: ScopedControls
    defaults: ScopedControls
    defaults_editable: bool
    default_lock_reason: str
    audit_seq: int
    def __init__(self, outcome: _Optional[_Union[Outcome, str]] = ..., scope: _Optional[_Union[Scope, str]] = ..., applied: _Optional[_Union[ScopedControls, _Mapping[str, object]]] = ..., summary: _Optional[str] = ..., session: _Optional[_Union[ScopedControls, _Mapping[str, object]]] = ..., defaults: _Optional[_Union[ScopedControls, _Mapping[str, object]]] = ..., defaults_editable: _Optional[bool] = ..., default_lock_reason: _Optional[str] = ..., audit_seq: _Optional[int] = ...) -> None: ...
