from . import controls_pb2 as _controls_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UpdateMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UPDATE_MODE_UNSPECIFIED: _ClassVar[UpdateMode]
    UPDATE_MODE_MERGE: _ClassVar[UpdateMode]
    UPDATE_MODE_REPLACE: _ClassVar[UpdateMode]
UPDATE_MODE_UNSPECIFIED: UpdateMode
UPDATE_MODE_MERGE: UpdateMode
UPDATE_MODE_REPLACE: UpdateMode

class GetSettingsRequest(_message.Message):
    __slots__ = ("session_id", "scope", "key")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    scope: _controls_pb2.Scope
    key: str
    def __init__(self, session_id: _Optional[str] = ..., scope: _Optional[_Union[_controls_pb2.Scope, str]] = ..., key: _Optional[str] = ...) -> None: ...

class GetSettingsResponse(_message.Message):
    __slots__ = ("scope", "settings_json", "key", "found", "value_json", "etag")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_JSON_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    scope: _controls_pb2.Scope
    settings_json: str
    key: str
    found: bool
    value_json: str
    etag: str
    def __init__(self, scope: _Optional[_Union[_controls_pb2.Scope, str]] = ..., settings_json: _Optional[str] = ..., key: _Optional[str] = ..., found: _Optional[bool] = ..., value_json: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class UpdateSettingsRequest(_message.Message):
    __slots__ = ("session_id", "scope", "settings_json", "mode", "key", "value_json", "actor", "source", "etag", "request_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_JSON_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    scope: _controls_pb2.Scope
    settings_json: str
    mode: UpdateMode
    key: str
    value_json: str
    actor: str
    source: str
    etag: str
    request_id: str
    def __init__(self, session_id: _Optional[str] = ..., scope: _Optional[_Union[_controls_pb2.Scope, str]] = ..., settings_json: _Optional[str] = ..., mode: _Optional[_Union[UpdateMode, str]] = ..., key: _Optional[str] = ..., value_json: _Optional[str] = ..., actor: _Optional[str] = ..., source: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateSettingsResponse(_message.Message):
    __slots__ = ("outcome", "scope", "key", "settings_json", "etag", "audit_seq")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_JSON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    AUDIT_SEQ_FIELD_NUMBER: _ClassVar[int]
    outcome: _controls_pb2.Outcome
    scope: _controls_pb2.Scope
    key: str
    settings_json: str
    etag: str
    audit_seq: int
    def __init__(self, outcome: _Optional[_Union[_controls_pb2.Outcome, str]] = ..., scope: _Optional[_Union[_controls_pb2.Scope, str]] = ..., key: _Optional[str] = ..., settings_json: _Optional[str] = ..., etag: _Optional[str] = ..., audit_seq: _Optional[int] = ...) -> None: ...

class DeleteSettingRequest(_message.Message):
    __slots__ = ("session_id", "scope", "key", "actor", "source", "etag", "request_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    scope: _controls_pb2.Scope
    key: str
    actor: str
    source: str
    etag: str
    request_id: str
    def __init__(self, session_id: _Optional[str] = ..., scope: _Optional[_Union[_controls_pb2.Scope, str]] = ..., key: _Optional[str] = ..., actor: _Optional[str] = ..., source: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteSettingResponse(_message.Message):
    __slots__ = ("outcome", "scope", "key", "removed", "settings_json", "etag", "audit_seq")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_JSON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    AUDIT_SEQ_FIELD_NUMBER: _ClassVar[int]
    outcome: _controls_pb2.Outcome
    scope: _controls_pb2.Scope
    key: str
    removed: bool
    settings_json: str
    etag: str
    audit_seq: int
    def __init__(self, outcome: _Optional[_Union[_controls_pb2.Outcome, str]] = ..., scope: _Optional[_Union[_controls_pb2.Scope, str]] = ..., key: _Optional[str] = ..., removed: _Optional[bool] = ..., settings_json: _Optional[str] = ..., etag: _Optional[str] = ..., audit_seq: _Optional[int] = ...) -> None: ...
