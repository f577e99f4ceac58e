"""Settings and controls, and the values that lie inside of settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import grpc

from switchboard import _convert as convert
from switchboard import _json, _paths, types
from switchboard import _words as words
from switchboard._operations.call import Limits, Pauses, call
from switchboard._operations.effects import Operation, Sleep
from switchboard._paths import Path
from switchboard._proto.v1 import controls_pb2, settings_pb2
from switchboard.errors import DefaultsLocked, EtagMismatch, SettingNotFound


@dataclass(frozen=True, slots=True)
class Place:
    """Whose settings and controls, and who writes them with what."""

    session_id: str
    scope: str | None
    actor: str = ""
    source: str = ""

    @property
    def scope_number(self) -> Any:
        """The scope as the contract has it; that of the session where none is said."""
        return words.number(words.SCOPE, self.scope or "session", "scope")


def get(limits: Limits, place: Place, key: str | None, default: Any) -> Operation[Any]:
    answer = yield from _read(limits, place, key)
    if key is None:
        return _json.loads(answer.settings_json)
    if answer.found:
        return _json.loads(answer.value_json)
    if default is types.ABSENT:
        raise _not_found(place, key)
    return default


def get_below(limits: Limits, place: Place, path: Path, default: Any) -> Operation[Any]:
    answer = yield from _read(limits, place, path.key)
    top = _json.loads(answer.value_json) if answer.found else types.ABSENT
    value = _paths.find(top, path.below)
    if value is not types.ABSENT:
        return value
    if default is types.ABSENT:
        raise _not_found(place, str(path))
    return default


def _read(
    limits: Limits, place: Place, key: str | None
) -> Operation[settings_pb2.GetSettingsResponse]:
    request = settings_pb2.GetSettingsRequest(
        session_id=place.session_id, scope=place.scope_number, key=key
    )
    return (yield from call(limits, request, settings_pb2.GetSettingsResponse))


def _not_found(place: Place, key: str) -> SettingNotFound:
    whose = f"session {place.session_id}" if place.scope != "default" else "the defaults"
    return SettingNotFound(
        f"there is no setting at {key} of {whose}",
        reason="SETTING_NOT_FOUND",
        metadata={"key": key, "session_id": place.session_id},
        code=grpc.StatusCode.NOT_FOUND,
    )


def update(
    limits: Limits,
    place: Place,
    key: str | None,
    value: Any,
    settings: Mapping[str, Any] | None,
    mode: Literal["merge", "replace"],
    etag: str,
) -> Operation[types.SettingsChange]:
    if (key is None) == (settings is None) or (key is None) != (value is types.ABSENT):
        raise words.invalid("settings", "give either key= and value=, or settings=")
    if key is not None and mode != "merge":
        raise words.invalid("mode", "it is for settings=")
    modes = {
        "merge": settings_pb2.UPDATE_MODE_MERGE,
        "replace": settings_pb2.UPDATE_MODE_REPLACE,
    }
    if mode not in modes:
        raise words.invalid("mode", f"{mode!r}: expected one of merge, replace")
    request = settings_pb2.UpdateSettingsRequest(
        session_id=place.session_id,
        scope=place.scope_number,
        key=key,
        value_json=None if key is None else _json.dumps(value, "value"),
        settings_json=None if settings is None else _json.dumps(settings, "settings"),
        mode=modes[mode] if settings is not None else None,
        actor=place.actor,
        source=place.source,
        etag=etag,
    )
    return (yield from _update(limits, request))


def _update(
    limits: Limits, request: settings_pb2.UpdateSettingsRequest
) -> Operation[types.SettingsChange]:
    writing = call(limits, request, settings_pb2.UpdateSettingsResponse)
    answer = yield from _telling_locked(limits, writing)
    return _change(answer)


def _change(
    answer: settings_pb2.UpdateSettingsResponse | settings_pb2.DeleteSettingResponse,
) -> types.SettingsChange:
    return types.SettingsChange(
        outcome=convert.outcome(answer.outcome),
        scope=convert.scope(answer.scope),
        settings=_json.loads(answer.settings_json),
        etag=answer.etag,
        audit_seq=answer.audit_seq,
    )


def unset(limits: Limits, place: Place, key: str, etag: str) -> Operation[types.SettingsChange]:
    request = settings_pb2.DeleteSettingRequest(
        session_id=place.session_id,
        scope=place.scope_number,
        key=key,
        actor=place.actor,
        source=place.source,
        etag=etag,
    )
    writing = call(limits, request, settings_pb2.DeleteSettingResponse)
    answer = yield from _telling_locked(limits, writing)
    return _change(answer)


def set_below(
    limits: Limits, place: Place, path: Path, value: Any
) -> Operation[types.SettingsChange]:
    _json.dumps(value, "value")
    if not path.below:
        return (yield from update(limits, place, path.key, value, None, "merge", ""))
    return (yield from _rewrite(limits, place, path, lambda top: _paths.put(top, path, value)))


def merge_below(
    limits: Limits, place: Place, path: Path, patch: Mapping[str, Any]
) -> Operation[types.SettingsChange]:
    if not isinstance(patch, Mapping):
        raise words.invalid("patch", f"expected a dictionary, not {type(patch).__name__}")
    _json.dumps(patch, "patch")

    def merged(top: Any) -> Any:
        there = _paths.find(top, path.below)
        return _paths.put(top, path, _paths.merged(there, patch, path))

    return (yield from _rewrite(limits, place, path, merged))


def unset_below(limits: Limits, place: Place, path: Path) -> Operation[types.SettingsChange]:
    if not path.below:
        return (yield from unset(limits, place, path.key, ""))

    def removed(top: Any) -> Any:
        return types.ABSENT if top is types.ABSENT else _paths.remove(top, path.below)

    return (yield from _rewrite(limits, place, path, removed))


def _rewrite(
    limits: Limits, place: Place, path: Path, change: Callable[[Any], Any]
) -> Operation[types.SettingsChange]:
    """Change the value of a key, however many others write at the same time.

    It is written only where nothing was written since it was read; else it is read again.
    """
    give_up = time.monotonic() + limits.timeout
    pauses = Pauses()
    while True:
        found = yield from _read(limits, place, path.key)
        top = _json.loads(found.value_json) if found.found else types.ABSENT
        value = change(top)
        if value is types.ABSENT:
            # Nothing to remove, and so nothing to write.
            whole = yield from _read(limits, place, None)
            settings = _json.loads(whole.settings_json)
            return types.SettingsChange(
                "unchanged", convert.scope(whole.scope), settings, whole.etag, 0
            )
        request = settings_pb2.UpdateSettingsRequest(
            session_id=place.session_id,
            scope=place.scope_number,
            key=path.key,
            value_json=_json.dumps(value, "value"),
            actor=place.actor,
            source=place.source,
            etag=found.etag,
        )
        try:
            return (yield from _update(limits, request))
        except EtagMismatch:
            pause = pauses.next()
            if time.monotonic() + pause >= give_up:
                raise
        yield Sleep(pause)


def _telling_locked(limits: Limits, writing: Operation[Any]) -> Operation[Any]:
    """Write; where the defaults are locked, the error has all of their settings."""
    try:
        return (yield from writing)
    except DefaultsLocked as error:
        if error._told() is None:
            state = yield from get_controls(limits, "")
            error._settings = state.defaults.settings
        raise


def get_controls(limits: Limits, session_id: str) -> Operation[types.ControlsState]:
    request = controls_pb2.GetControlsRequest(session_id=session_id)
    answer = yield from call(limits, request, controls_pb2.GetControlsResponse)
    has_session = answer.HasField("session")
    return types.ControlsState(
        session=convert.scoped_controls(answer.session) if has_session else None,
        defaults=convert.scoped_controls(answer.defaults),
        defaults_editable=answer.defaults_editable,
        default_lock_reason=answer.default_lock_reason,
    )


def apply_controls(
    limits: Limits,
    place: Place,
    controls: types.Controls | Mapping[str, Any],
    settings: Mapping[str, Any] | None,
    etag: str,
) -> Operation[types.ControlsChange]:
    request = controls_pb2.ApplyControlsRequest(
        session_id=place.session_id,
        scope=place.scope_number,
        controls=convert.controls_message(controls),
        settings_json=None if settings is None else _json.dumps(settings, "settings"),
        actor=place.actor,
        source=place.source,
        etag=etag,
    )
    writing = call(limits, request, controls_pb2.ApplyControlsResponse)
    answer = yield from _telling_locked(limits, writing)
    return types.ControlsChange(
        outcome=convert.outcome(answer.outcome),
        scope=convert.scope(answer.scope),
        applied=convert.scoped_controls(answer.applied),
        summary=answer.summary,
        audit_seq=answer.audit_seq,
    )
