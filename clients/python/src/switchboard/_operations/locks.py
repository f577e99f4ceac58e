"""Config locks: what sessions run with, written down and compared."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from switchboard import _convert as convert
from switchboard import types
from switchboard._operations.call import Limits, call
from switchboard._operations.effects import Operation
from switchboard._proto.v1 import config_lock_pb2 as pb
from switchboard._proto.v1 import session_pb2
from switchboard.errors import ConfigLockDrift, ConfigLockInvalid, SwitchboardError

Lock = str | os.PathLike[str]


def text(lock: Lock | None) -> str:
    """The text of a lock, whose file is one of this machine; empty where none is given.

    One that is there and empty is refused: to the server it would be as if none was given, and
    the session would run with whatever there is.
    """
    if lock is None:
        return ""
    where = "config_lock"
    if isinstance(lock, str):
        found = lock
    else:
        where = f"config_lock: {os.fspath(lock)}"
        try:
            found = Path(lock).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise _invalid(f"{where}: {error}", "file") from error
    if not found.strip():
        raise _invalid(f"{where}: it is empty", "version")
    return found


def _invalid(problem: str, rule: str) -> ConfigLockInvalid:
    return ConfigLockInvalid(
        problem,
        reason="CONFIG_LOCK_INVALID",
        metadata={"field": "config_lock", "rule": rule},
        code=grpc.StatusCode.INVALID_ARGUMENT,
    )


def export(
    limits: Limits, session_id: str, save_fields_resolved_from_model_catalog: bool | None
) -> Operation[types.ConfigLock]:
    request = pb.ExportConfigLockRequest(
        session_id=session_id,
        save_fields_resolved_from_model_catalog=save_fields_resolved_from_model_catalog,
    )
    exporting = call(limits, request, pb.ExportConfigLockResponse)
    answer = yield from telling_drift(limits, exporting, lambda: of_session(session_id))
    return convert.config_lock(answer)


def verify(
    limits: Limits,
    lock: Lock | None,
    session_id: str,
    session: session_pb2.Session | None,
    allow_codex_version_mismatch: bool,
) -> Operation[types.ConfigLockVerification]:
    request = pb.VerifyConfigLockRequest(
        config_lock=text(lock),
        session_id=session_id,
        session=session,
        allow_codex_version_mismatch=allow_codex_version_mismatch,
    )
    answer = yield from call(limits, request, pb.VerifyConfigLockResponse)
    return convert.lock_verification(answer)


def of_session(session_id: str) -> pb.VerifyConfigLockRequest:
    """What compares the next turn of a session with the lock that it has."""
    return pb.VerifyConfigLockRequest(session_id=session_id)


def telling_drift(
    limits: Limits, asking: Operation[Any], again: Callable[[], pb.VerifyConfigLockRequest | None]
) -> Operation[Any]:
    """Ask; where something differs from a lock, the error has all of that.

    A status holds less than that may be, so that it is asked for by itself.
    """
    try:
        return (yield from asking)
    except ConfigLockDrift as error:
        request = again() if error.is_truncated else None
        if request is not None:
            try:
                answer = yield from call(limits, request, pb.VerifyConfigLockResponse)
            except SwitchboardError:
                # What is told already is better than why there is no more of it.
                answer = pb.VerifyConfigLockResponse(matches=True)
            if not answer.matches:
                found = convert.lock_verification(answer)
                error._set(found.drift, found.diff)
        raise
