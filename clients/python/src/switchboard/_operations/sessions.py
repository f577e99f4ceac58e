"""Sessions: what creates, finds, changes and ends them, and what they said."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from switchboard import _convert as convert
from switchboard import _words as words
from switchboard import types
from switchboard._operations.call import Limits, Pauses, call, pages, too_late
from switchboard._operations.effects import Open, Operation, Read, Sleep
from switchboard._operations.locks import Lock, of_session, telling_drift
from switchboard._operations.locks import text as lock_text
from switchboard._proto.v1 import config_lock_pb2, system_pb2
from switchboard._proto.v1 import session_pb2 as pb
from switchboard._status import is_silent, lost
from switchboard.errors import SwitchboardError, WaitTimeout

Path = str | os.PathLike[str]

# How long one call waits for a session's state.
_WAIT = 60.0


def _described(
    *,
    cwd: Path | None,
    agent: str | None,
    source: str,
    title: str,
    labels: Mapping[str, str] | None,
    model: str | None,
    approval_policy: str | None,
    network_access: str | None,
    filesystem_sandbox: str | None,
    codex: types.Codex | None,
    system_owned: bool,
    persist_session: bool,
) -> pb.Session:
    """What a session shall be. What is None is left to the server."""
    return pb.Session(
        agent="" if agent is None else convert.agent(agent),
        source=source,
        title=title,
        labels=labels or {},
        working_directory="" if cwd is None else words.absolute(cwd),
        model=model or "",
        approval_policy=words.number(words.APPROVAL_POLICY, approval_policy, "approval_policy"),
        network_access=words.number(words.NETWORK_ACCESS, network_access, "network_access"),
        filesystem_sandbox=words.number(
            words.FILESYSTEM_SANDBOX, filesystem_sandbox, "filesystem_sandbox"
        ),
        codex_options=convert.codex_options(codex),
        system_owned=system_owned,
        persist_session=persist_session,
    )


def _states(states: Sequence[str] | None) -> list[Any]:
    return [words.number(words.STATE, state, "states") for state in states or ()]


def _archived(archived: bool | None) -> pb.ArchivedFilter:
    if archived is None:
        return pb.ARCHIVED_FILTER_ALL
    if not isinstance(archived, bool):
        raise words.invalid("archived", f"{archived!r}: expected True, False or None")
    return pb.ARCHIVED_FILTER_ONLY if archived else pb.ARCHIVED_FILTER_UNSPECIFIED


def _turn(turn: int | None) -> int:
    return words.count(turn or 0, "turn", 32)


def _images(images: Sequence[Path]) -> list[str]:
    return words.paths(images, "images")


def create(
    limits: Limits,
    prompt: str,
    images: Sequence[Path],
    session_id: str,
    config_lock: Lock | None,
    allow_codex_version_mismatch: bool,
    *,
    cwd: Path | None,
    **described: Any,
) -> Operation[types.Session]:
    if cwd is None and config_lock is None:
        cwd = "."
    request = pb.CreateSessionRequest(
        session=_described(cwd=cwd, **described),
        session_id=session_id,
        prompt=prompt,
        images=_images(images),
        config_lock=lock_text(config_lock),
        allow_codex_version_mismatch=allow_codex_version_mismatch,
    )

    def compared() -> config_lock_pb2.VerifyConfigLockRequest | None:
        # The lock that the server is configured with is not there to be compared.
        if not request.config_lock:
            return None
        return config_lock_pb2.VerifyConfigLockRequest(
            config_lock=request.config_lock,
            session=request.session,
            allow_codex_version_mismatch=request.allow_codex_version_mismatch,
        )

    creating = call(limits, request, pb.CreateSessionResponse)
    answer = yield from telling_drift(limits, creating, compared)
    return convert.session(answer.session)


def compared(session_id: str, **described: Any) -> pb.Session | None:
    """What a new session would be, to be compared with a lock; None where there is one."""
    session = _described(
        agent=None,
        source="",
        title="",
        labels=None,
        system_owned=False,
        persist_session=False,
        **described,
    )
    # What is chosen beside a session is for the server to refuse.
    return None if session_id and session == pb.Session() else session


def fork(
    limits: Limits,
    of: str,
    prompt: str,
    images: Sequence[Path],
    session_id: str,
    **described: Any,
) -> Operation[types.Session]:
    request = pb.ForkSessionRequest(
        session_id=of,
        session=_described(agent=None, **described),
        new_session_id=session_id,
        prompt=prompt,
        images=_images(images),
    )
    own = pb.Session()
    own.CopyFrom(request.session)
    for name in ("source", "title", "labels", "system_owned", "persist_session"):
        own.ClearField(name)
    # With nothing of its own to run with, it differs in what the next turn there would.
    same = own == pb.Session()
    forking = call(limits, request, pb.ForkSessionResponse)
    answer = yield from telling_drift(limits, forking, lambda: of_session(of) if same else None)
    return convert.session(answer.session)


def get(limits: Limits, session_id: str) -> Operation[types.Session]:
    request = pb.GetSessionRequest(session_id=session_id)
    answer = yield from call(limits, request, pb.GetSessionResponse)
    return convert.session(answer.session, answer.disk_bytes)


def list_sessions(
    limits: Limits,
    *,
    id_prefix: str,
    states: Sequence[str] | None,
    source: str,
    labels: Mapping[str, str] | None,
    archived: bool | None,
    cwd: Path | None,
    created_after: datetime | None,
    created_before: datetime | None,
    include_system_owned: bool,
    limit: int | None,
) -> Operation[list[types.Session]]:
    request = pb.ListSessionsRequest(
        page_size=0 if limit is None else max(1, min(limit, 1000)),
        id_prefix=id_prefix,
        states=_states(states),
        source=source,
        labels=labels or {},
        archived=_archived(archived),
        working_directory="" if cwd is None else words.absolute(cwd),
        created_after=words.timestamp(created_after, "created_after"),
        created_before=words.timestamp(created_before, "created_before"),
        include_system_owned=include_system_owned,
    )
    found = yield from pages(
        limits, request, pb.ListSessionsResponse, lambda page: page.sessions, limit
    )
    return [convert.session(each) for each in found]


def update(
    limits: Limits,
    session_id: str,
    *,
    title: str | None,
    labels: Mapping[str, str] | None,
    archived: bool | None,
    etag: str,
) -> Operation[types.Session]:
    given = {"title": title, "labels": labels, "archived": archived}
    request = pb.UpdateSessionRequest(
        session_id=session_id,
        session=pb.Session(title=title or "", labels=labels or {}, archived=bool(archived)),
        update_mask=FieldMask(paths=[name for name, value in given.items() if value is not None]),
        etag=etag,
    )
    answer = yield from call(limits, request, pb.UpdateSessionResponse)
    return convert.session(answer.session)


def delete(limits: Limits, session_id: str, etag: str) -> Operation[types.Session]:
    request = pb.DeleteSessionRequest(session_id=session_id, etag=etag)
    answer = yield from call(limits, request, pb.DeleteSessionResponse)
    return convert.session(answer.session)


def cleanup(
    limits: Limits,
    *,
    older_than: timedelta | None,
    states: Sequence[str] | None,
    include_system_owned: bool,
    dry_run: bool,
) -> Operation[list[str]]:
    found: list[str] = []
    while True:
        request = pb.CleanupSessionsRequest(
            older_than=words.duration(older_than, "older_than"),
            dry_run=dry_run,
            states=_states(states),
            include_system_owned=include_system_owned,
        )
        answer = yield from call(limits, request, pb.CleanupSessionsResponse)
        found.extend(answer.session_ids)
        # What a dry run tells does not go away, so that it would tell the same again.
        if dry_run or not answer.more:
            return found


def send(
    limits: Limits, session_id: str, prompt: str, images: Sequence[Path]
) -> Operation[types.Turn]:
    request = pb.StartTurnRequest(
        session_id=session_id,
        prompt=prompt,
        images=_images(images),
    )
    starting = call(limits, request, pb.StartTurnResponse)
    answer = yield from telling_drift(limits, starting, lambda: of_session(session_id))
    return convert.turn(answer.session.last_turn)


def interrupt(limits: Limits, session_id: str) -> Operation[types.Session]:
    request = pb.InterruptTurnRequest(session_id=session_id)
    answer = yield from call(limits, request, pb.InterruptTurnResponse)
    return convert.session(answer.session)


def kill(limits: Limits, session_id: str) -> Operation[types.Session]:
    request = pb.KillSessionRequest(session_id=session_id)
    answer = yield from call(limits, request, pb.KillSessionResponse)
    return convert.session(answer.session)


def wait(
    limits: Limits, session_id: str, states: Sequence[str] | None, timeout: float | None
) -> Operation[types.Session]:
    words.seconds(timeout, "timeout")
    until = None if timeout is None else time.monotonic() + timeout
    request = pb.WaitSessionRequest(session_id=session_id, states=_states(states))

    def part() -> float:
        return _WAIT if until is None else max(0.0, min(_WAIT, until - time.monotonic()))

    def prepare() -> None:
        # A server that was started again waits for what is left of it.
        request.timeout.FromNanoseconds(round(part() * 1e9))

    while True:
        longest = part() + limits.timeout
        answer = yield from call(limits, request, pb.WaitSessionResponse, longest, prepare)
        if answer.reached:
            return convert.session(answer.session)
        if until is not None and time.monotonic() >= until:
            found = convert.session(answer.session)
            raise WaitTimeout(
                f"session {session_id} is {found.state} after {timeout:g} s",
                reason="WAIT_TIMEOUT",
                metadata={"session_id": session_id, "state": found.state},
                code=grpc.StatusCode.DEADLINE_EXCEEDED,
            )


def turns(limits: Limits, session_id: str) -> Operation[list[types.Turn]]:
    request = pb.ListTurnsRequest(session_id=session_id)
    found = yield from pages(limits, request, pb.ListTurnsResponse, lambda page: page.turns)
    return [convert.turn(each) for each in found]


def messages(limits: Limits, session_id: str, turn: int | None) -> Operation[list[types.Message]]:
    request = pb.ListMessagesRequest(session_id=session_id, turn=_turn(turn))
    found = yield from pages(limits, request, pb.ListMessagesResponse, lambda page: page.messages)
    return [convert.said(each) for each in found]


def trajectory(
    limits: Limits, session_id: str, turn: int | None, full: bool, max_characters: int | None
) -> Operation[list[types.Step]]:
    request = pb.GetTrajectoryRequest(
        session_id=session_id,
        turn=_turn(turn),
        full=full,
        max_characters=words.count(max_characters or 0, "max_characters", 32),
    )
    found = yield from pages(limits, request, pb.GetTrajectoryResponse, lambda page: page.steps)
    return [convert.step(each) for each in found]


def output(
    limits: Limits,
    session_id: str,
    turn: int | None,
    offset: int,
    length: int | None,
    stream: str,
) -> Operation[bytes]:
    request = pb.ReadOutputRequest(
        session_id=session_id,
        turn=_turn(turn),
        stream=words.number(words.OUTPUT_STREAM, stream, "stream"),
    )
    words.count(offset, "offset")
    words.count(length or 0, "length")
    read = bytearray()
    pauses, begun = Pauses(), time.monotonic()
    while length is None or len(read) < length:
        # A connection that is lost costs no byte: the rest is asked for.
        request.offset = offset + len(read)
        request.length = 0 if length is None else length - len(read)
        try:
            yield Open(request)
            while (chunk := (yield Read(limits.timeout))) is not None:
                limits.reached = True
                # The latest turn may be another one the next time.
                request.turn = chunk.turn
                read += chunk.data
                pauses, begun = Pauses(), time.monotonic()
            break
        except SwitchboardError as error:
            limits.reached = limits.reached or bool(error.reason)
            pause = pauses.next(error.retry_after)
            is_over = time.monotonic() + pause >= begun + limits.patience(limits.timeout)
            if is_over and is_silent(error):
                raise too_late(limits.timeout) from None
            if lost(error) is None or is_over:
                raise
        yield Sleep(pause)
    return bytes(read)


def server_info(limits: Limits) -> Operation[types.ServerInfo]:
    request = system_pb2.GetServerInfoRequest()
    answer = yield from call(limits, request, system_pb2.GetServerInfoResponse)
    return convert.server_info(answer)
