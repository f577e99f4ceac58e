from . import session_pb2 as _session_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExportConfigLockRequest(_message.Message):
    __slots__ = ("session_id", "save_fields_resolved_from_model_catalog")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SAVE_FIELDS_RESOLVED_FROM_MODEL_CATALOG_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    save_fields_resolved_from_model_catalog: bool
    def __init__(self, session_id: _Optional[str] = ..., save_fields_resolved_from_model_catalog: _Optional[bool] = ...) -> None: ...

class ExportConfigLockResponse(_message.Message):
    __slots__ = ("config_lock", "path", "sha256", "notes")
    CONFIG_LOCK_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    config_lock: str
    path: str
    sha256: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, config_lock: _Optional[str] = ..., path: _Optional[str] = ..., sha256: _Optional[str] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class VerifyConfigLockRequest(_message.Message):
    __slots__ = ("config_lock", "session_id", "session", "allow_codex_version_mismatch")
    CONFIG_LOCK_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    ALLOW_CODEX_VERSION_MISMATCH_FIELD_NUMBER: _ClassVar[int]
    config_lock: str
    session_id: str
    session: _session_pb2.Session
    allow_codex_version_mismatch: bool
    def __init__(self, config_lock: _Optional[str] = ..., session_id: _Optional[str] = ..., session: _Optional[_Union[_session_pb2.Session, _Mapping[str, object]]] = ..., allow_codex_version_mismatch: _Optional[bool] = ...) -> None: ...

class VerifyConfigLockResponse(_message.Message):
    __slots__ = ("matches", "drift", "diff", "locked_codex_version", "codex_version", "notes", "working_directory")
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    DIFF_FIELD_NUMBER: _ClassVar[int]
    LOCKED_CODEX_VERSION_FIELD_NUMBER: _ClassVar[int]
    CODEX_VERSION_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    WORKING_DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    matches: bool
    drift: _containers.RepeatedCompositeFieldContainer[ConfigDrift]
    diff: str
    locked_codex_version: str
    codex_version: str
    notes: _containers.RepeatedScalarFieldContainer[str]
    working_directory: str
    def __init__(self, matches: _Optional[bool] = ..., drift: _Optional[_Iterable[_Union[ConfigDrift, _Mapping[str, object]]]] = ..., diff: _Optional[str] = ..., locked_codex_version: _Optional[str] = ..., codex_version: _Optional[str] = ..., notes: _Optional[_Iterable[str]] = ..., working_directory: _Optional[str] = ...) -> None: ...

class ConfigDrift(_message.Message):
    __slots__ = ("key", "locked", "actual", "origin")
    KEY_FIELD_NUMBER: _ClassVar[int]
    LOCKED_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    key: str
    locked: str
    actual: str
    origin: str
    def __init__(self, key: _Optional[str] = ..., locked: _Optional[str] = ..., actual: _Optional[str] = ..., origin: _Optional[str] = ...) -> None: ...
