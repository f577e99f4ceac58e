"""Errors: the class of each reason, provoked at a real server wherever one can be made to."""

from __future__ import annotations

import math
import pickle
import shutil
import uuid
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import grpc
import pytest
from conftest import script
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from harness import FAKE_AGENT, GIVE_UP, ROOT, Server, until

from switchboard import Chat, ConfigDrift, Controls, Switchboard, SwitchboardError, errors
from switchboard._channel import Method
from switchboard._operations import sessions
from switchboard._operations.call import Limits
from switchboard._operations.effects import Operation, Unary
from switchboard._proto.v1 import config_lock_pb2
from switchboard.errors import BY_REASON

TWICE = {"networkAccess": "enabled", "network_access": "restricted"}
# Before the first that the contract can tell, wherever it is.
FIRST = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
NOBODY = "00000000-0000-4000-8000-000000000000"


def refused(kind: type[SwitchboardError], call: Callable[[], Any]) -> Any:
    """The error of a call, which is of this class and has its reason and code."""
    with pytest.raises(kind) as raised:
        call()
    error = raised.value
    assert type(error) is kind
    assert BY_REASON[error.reason] is kind
    assert str(error)
    return error


@contextmanager
def server(*arguments: str | Path, config: str = "", codex: Path = FAKE_AGENT) -> Iterator[Any]:
    own = Server(*arguments, config=config, codex=codex)
    try:
        with Switchboard(f"unix:{own.socket}") as sb:
            yield own, sb
    finally:
        own.close()


def test_every_reason_of_the_contract_has_its_class() -> None:
    lines = (ROOT / "tests/fixtures/errors.txt").read_text().splitlines()
    reasons = {line.split()[0] for line in lines}
    # Those of HTTP alone.
    reasons -= {"NOT_FOUND", "METHOD_NOT_ALLOWED", "UNSUPPORTED_MEDIA_TYPE"}
    assert reasons - set(BY_REASON) == set()
    for reason, kind in BY_REASON.items():
        assert kind.__name__ in errors.__all__
        assert kind.__name__.removesuffix("Error").upper() == reason.replace("_", "")


def test_errors_can_be_copied() -> None:
    error = errors.SessionDeleted("gone", reason="SESSION_DELETED", metadata={"session_id": "x"})
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.reason, copy.session_id) == ("gone", "SESSION_DELETED", "x")


def test_arguments(sb: Switchboard, chat: Chat, shared: Server) -> None:
    error = refused(errors.InvalidArgument, lambda: sb.sessions.get("abc"))
    assert (error.field, error.code) == ("session_id", grpc.StatusCode.INVALID_ARGUMENT)
    assert isinstance(error, ValueError)
    error = refused(errors.InvalidArgument, lambda: chat.settings.set("x" * 241, 1))
    assert error.field == "key"
    error = refused(
        errors.WorkingDirectoryInvalid, lambda: sb.sessions.create(shared.work / "nowhere")
    )
    assert error.working_directory == str(shared.work / "nowhere")
    assert error.field == "session.working_directory"
    error = refused(errors.AgentNotFound, lambda: sb.sessions.create(shared.work, agent="nobody"))
    assert (error.agent, error.field) == ("nobody", "session.agent")
    error = refused(errors.PayloadTooLarge, lambda: chat.send("x" * (1 << 20) + "x"))
    assert (error.size, error.limit, error.unit) == ((1 << 20) + 1, 1 << 20, "characters")
    error = refused(errors.PayloadTooLarge, lambda: chat.send("x" * (5 << 20)))
    assert (error.limit, error.unit) == (5 << 20, "bytes")
    assert error.size is not None
    assert error.size > error.limit


def test_sessions(sb: Switchboard, shared: Server) -> None:
    assert refused(errors.SessionNotFound, sb.session(NOBODY).get).session_id == NOBODY
    # No other session's begins as these do.
    ids = [f"abcd00{number:02}-0000-4000-8000-000000000000" for number in (1, 2)]
    chats = [sb.session(sb.sessions.create(shared.work, session_id=each).id) for each in ids]
    assert refused(errors.AmbiguousId, lambda: sb.sessions.get("abcd000")).matches == ids
    exists = refused(
        errors.SessionExists, lambda: sb.sessions.create(shared.work, session_id=ids[0])
    )
    assert exists.session_id == ids[0]
    assert refused(errors.NoActiveTurn, chats[0].interrupt).state == "pending"
    chats[0].send(script("thread", "turn", "sleep"))
    running = refused(errors.SessionRunning, lambda: chats[0].send("and now?"))
    assert (running.session_id, running.state) == (ids[0], "running")
    assert running.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused(errors.TurnNotFound, lambda: chats[0].output(7)).turn_count == 1
    etag = refused(errors.EtagMismatch, lambda: sb.sessions.update(ids[1], title="x", etag="y"))
    assert etag.etag == chats[1].get().etag
    sb.sessions.update(ids[0], title="a title")
    chats[0].delete()
    gone = refused(errors.SessionDeleted, lambda: chats[0].send("and now?"))
    assert (gone.session_id, gone.title) == (ids[0], "a title")
    assert abs(datetime.now(UTC) - gone.delete_time) < timedelta(minutes=1)
    owned = sb.session(sb.sessions.create(shared.work, system_owned=True).id)
    assert refused(errors.SystemSession, owned.settings.get).session_id == owned.id
    assert refused(errors.SystemSession, owned.controls.get).session_id == owned.id


def test_a_request_id_that_was_used(
    sb: Switchboard, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uuid, "uuid4", lambda: "the-same")
    chat.settings.set("a", 1)
    refused(errors.IdempotencyConflict, lambda: chat.settings.set("a", 2))
    assert chat.settings.set("a", 1).changed


@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("limit", lambda chat, sb: sb.sessions.list(limit=-1)),
        ("limit", lambda chat, sb: sb.audit.list(limit=-1)),
        ("after_seq", lambda chat, sb: sb.audit.list(after_seq=-1)),
        ("known_seq", lambda chat, sb: sb.audit.verify(-1)),
        ("turn", lambda chat, sb: chat.messages(-1)),
        ("turn", lambda chat, sb: chat.trajectory(2**32)),
        ("max_characters", lambda chat, sb: chat.trajectory(max_characters=-1)),
        ("offset", lambda chat, sb: chat.output(offset=-1)),
        ("length", lambda chat, sb: chat.output(length=-1)),
        ("max_event_bytes", lambda chat, sb: chat.events(max_event_bytes=-1)),
        ("since", lambda chat, sb: chat.events(2**64)),
        ("since", lambda chat, sb: chat.events("later")),
        ("images", lambda chat, sb: chat.send("look", images="a.png")),
        ("mode", lambda chat, sb: chat.settings.set("a", 1, mode="replace")),
        ("value", lambda chat, sb: chat.settings.set("a", "\ud800")),
        ("request", lambda chat, sb: chat.send("\udcff")),
        ("controls", lambda chat, sb: chat.controls.apply(TWICE)),
        ("created_after", lambda chat, sb: sb.sessions.list(created_after=FIRST)),
        ("created_before", lambda chat, sb: sb.sessions.list(created_before="today")),
        ("written_after", lambda chat, sb: sb.audit.list(written_after=FIRST)),
        ("archived", lambda chat, sb: sb.sessions.list(archived="x")),
        ("older_than", lambda chat, sb: sb.sessions.cleanup(older_than=timedelta.max)),
        ("older_than", lambda chat, sb: sb.sessions.cleanup(older_than=7)),
        ("path", lambda chat, sb: chat.settings.namespace(".".join("a" * 3_000)).set(1)),
        ("path", lambda chat, sb: chat.settings.namespace(".".join("a" * 3_000)).merge({"b": 1})),
        ("timeout", lambda chat, sb: chat.wait(math.nan)),
        ("timeout", lambda chat, sb: Switchboard(sb.url, timeout=math.nan)),
        ("connect_timeout", lambda chat, sb: Switchboard(sb.url, connect_timeout=math.nan)),
        ("patience", lambda chat, sb: next(chat.events(patience=math.nan))),
    ],
)
def test_what_cannot_be_sent_is_refused_as_what_the_server_refuses(
    sb: Switchboard, chat: Chat, field: str, call: Callable[[Chat, Switchboard], Any]
) -> None:
    assert refused(errors.InvalidArgument, lambda: call(chat, sb)).field == field
    assert chat.settings.get() == {}
    assert chat.get().turn_count == 0


def test_who_is_let_in(shared: Server) -> None:
    with Switchboard(shared.url, token="x" * 32) as sb:
        assert "token" in str(refused(errors.Unauthenticated, sb.info))
    with Switchboard(shared.url) as sb:
        refused(errors.Unauthenticated, sb.info)
    with Switchboard(shared.url, token=shared.token) as sb:
        # As a web page would call.
        sb._driver._transport._metadata += (("origin", "http://example.com"),)
        refused(errors.PermissionDenied, sb.info)


def test_a_server_that_stops_says_so() -> None:
    with server() as (own, sb):
        chat = sb.session(sb.sessions.create(own.work).id)
        events = chat.events(patience=0)
        assert next(events).seq == 1
        own.ask_to_stop()
        error = refused(errors.ShuttingDown, lambda: next(events))
        assert error.metadata["last_seq"] == "1"
        own.stopped()
        own.start()


@pytest.mark.parametrize("size", [1, 5_000])
def test_locked_defaults_are_told_whole(size: int) -> None:
    with server() as (own, sb):
        settings = {"text": "x" * size}
        controls = Controls("gpt-5.4", "never", "enabled", "read-only")
        sb.defaults.controls.apply(controls, settings=settings)
        own.kill()
        own._arguments.append("--lock-defaults")
        own.start()
        for write in (
            lambda: sb.defaults.settings.set("a", 1),
            lambda: sb.defaults.settings.unset("text"),
            lambda: sb.defaults.controls.apply(Controls("x", "never", "enabled", "read-only")),
        ):
            locked = refused(errors.DefaultsLocked, write)
            assert (locked.controls, locked.settings) == (controls, settings)
        state = sb.defaults.controls.get()
        assert not state.defaults_editable
        assert state.default_lock_reason


def test_an_agent_that_is_not_there(tmp_path: Path) -> None:
    with server(codex=tmp_path / "nowhere") as (own, sb):
        refused(errors.AgentUnavailable, lambda: sb.sessions.create(own.work, "go"))


def test_a_disk_without_room() -> None:
    with server(config='[turns]\nmin_free_disk = "8388607TiB"\n') as (own, sb):
        error = refused(errors.StorageFull, lambda: sb.sessions.create(own.work, "go"))
        assert error.retry_after == 1.0
        assert error.metadata["floor_bytes"]


def test_events_that_have_expired() -> None:
    config = '[events]\nretain_bytes = "1MB"\nsegment_bytes = "1MB"\n'
    with server(config=config) as (own, sb):
        chat = sb.session(sb.sessions.create(own.work).id)
        for _ in range(3):
            chat.send(script("thread", "turn", *["print:40:10000", "sleep:0.02"] * 5, "completed"))
            chat.wait(GIVE_UP)
        # They go soon after the turn that needed them.
        until("their end", lambda: next(iter(chat.events())).seq > 1)
        expired = refused(errors.CursorExpired, lambda: list(chat.events(since=0, follow=False)))
        assert expired.oldest_seq > 1
        assert next(iter(chat.events())).seq >= expired.oldest_seq


def test_events_that_are_damaged() -> None:
    with server() as (own, sb):
        chat = sb.session(sb.sessions.create(own.work).id)
        chat.send(script("thread", "turn", "print:30", "message:the one", "print:30", "completed"))
        chat.wait(GIVE_UP)
        told = [event.text for event in chat.events(follow=False)]
        own.kill()
        session = own.home / "sessions" / chat.id
        segment = session / "events" / "00000000000000000001.seg"
        damaged = bytearray(segment.read_bytes())
        damaged[damaged.index(b'"text":"the one"')] ^= 1
        segment.write_bytes(damaged)
        # What it could be made again from.
        shutil.rmtree(session / "turns")
        own.start()
        error = refused(errors.EventsDamaged, lambda: list(chat.events(follow=False)))
        assert error.seq == told.index("the one") + 1
        assert error.next_seq == error.seq + 1
        refused(errors.SessionReadOnly, lambda: chat.send("and now?"))


def test_operations_that_the_server_does_not_have(
    sb: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = Method("/switchboard.v1.SystemService/Nothing", AnyMessage)
    monkeypatch.setattr("switchboard._channel.method", lambda _: nowhere)
    refused(errors.Unimplemented, sb.info)


def test_the_time_of_a_call_is_bounded(shared: Server) -> None:
    def ask() -> None:
        # One that grpc looks at late may be answered before.
        for _ in range(1_000):
            sb.info()

    with Switchboard(f"unix:{shared.socket}", timeout=1e-6) as sb:
        error = refused(errors.DeadlineExceeded, ask)
        assert isinstance(error, TimeoutError)


def test_no_server(tmp_path: Path) -> None:
    for url in (f"unix:{tmp_path}/nothing.sock", "http://127.0.0.1:1"):
        with Switchboard(url, connect_timeout=0.1) as sb, pytest.raises(SwitchboardError) as raised:
            sb.info()
        assert type(raised.value) is SwitchboardError
        assert (raised.value.reason, raised.value.metadata) == ("", {})
        assert raised.value.code is grpc.StatusCode.UNAVAILABLE
        assert f"no server answers at {url}" in str(raised.value)
        assert "switchboard serve" in str(raised.value)


class Answering:
    """A server that gives these answers, the last of them to everything that follows."""

    def __init__(self, code: grpc.StatusCode, *details: bytes | None) -> None:
        self._details = details
        self._code = code
        self.calls = 0
        self._server = grpc.server(futures.ThreadPoolExecutor(1))
        self._server.add_generic_rpc_handlers((self,))  # type: ignore[arg-type]
        self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def service(self, _: Any) -> Any:
        def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
            told = self._details[min(self.calls, len(self._details) - 1)]
            self.calls += 1
            if told is not None:
                context.set_trailing_metadata((("grpc-status-details-bin", told),))
            context.abort(self._code, "in words")
            raise AssertionError

        return grpc.unary_unary_rpc_method_handler(answer)

    def __enter__(self) -> Answering:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None)


def details(reason: str, *more: Any, **metadata: str) -> bytes:
    info = error_details_pb2.ErrorInfo(reason=reason, domain="switchboard", metadata=metadata)
    packed = [AnyMessage() for _ in (info, *more)]
    for each, message in zip(packed, (info, *more), strict=True):
        each.Pack(message)
    return bytes(status_pb2.Status(code=9, message="x", details=packed).SerializeToString())


# Longer than any call may take.
LATER = error_details_pb2.RetryInfo()
LATER.retry_delay.FromSeconds(3_600)


@pytest.mark.parametrize(
    ("code", "sent", "kind", "reason"),
    [
        ("PERMISSION_DENIED", [details("MISDIRECTED_REQUEST")], "MisdirectedRequest", None),
        ("INTERNAL", [details("INTERNAL")], "InternalError", None),
        # These are asked again, as long as there is time.
        (
            "RESOURCE_EXHAUSTED",
            [details("OVERLOADED"), details("OVERLOADED", LATER)],
            "Overloaded",
            None,
        ),
        (
            "UNAVAILABLE",
            [details("SHUTTING_DOWN"), details("SHUTTING_DOWN", LATER)],
            "ShuttingDown",
            None,
        ),
        # A later server's, and those of whatever is on the way.
        ("ABORTED", [details("BRAND_NEW", key="value")], "SwitchboardError", "BRAND_NEW"),
        ("UNAVAILABLE", [details("STORAGE_FULL")], "StorageFull", None),
        ("PERMISSION_DENIED", [None], "SwitchboardError", ""),
        ("PERMISSION_DENIED", [b"\xff\xff"], "SwitchboardError", ""),
    ],
    ids=["misdirected", "internal", "overloaded", "stopping", "new", "full", "bare", "garbled"],
)
def test_any_other_answer(
    code: str, sent: list[bytes | None], kind: str, reason: str | None
) -> None:
    with (
        Answering(grpc.StatusCode[code], *sent) as there,
        Switchboard(there.url, timeout=GIVE_UP) as sb,
        pytest.raises(SwitchboardError) as raised,
    ):
        sb.info()
    error = raised.value
    assert type(error).__name__ == kind
    assert error.code is grpc.StatusCode[code]
    assert "in words" in str(error)
    assert there.calls == len(sent)
    if reason is not None:
        assert error.reason == reason
    if reason == "BRAND_NEW":
        assert error.metadata == {"key": "value"}


def test_what_a_config_lock_is_refused_for() -> None:
    violation = error_details_pb2.PreconditionFailure.Violation
    broken = error_details_pb2.PreconditionFailure(
        violations=[violation(type="CONFIG_LOCK_DRIFT", subject="config_lock", description="x")]
    )
    field = error_details_pb2.BadRequest.FieldViolation(field="config_lock", description="x")

    def answered(kind: type[SwitchboardError], sent: bytes) -> Any:
        with (
            Answering(grpc.StatusCode.FAILED_PRECONDITION, sent) as there,
            Switchboard(there.url) as sb,
        ):
            return refused(kind, sb.info)

    sent = details("CONFIG_LOCK_DRIFT", broken, keys="config.model,cwd", diff="-a\n+b\n")
    drift = answered(errors.ConfigLockDrift, sent)
    assert (drift.diff, drift.keys) == ("-a\n+b\n", ["config.model", "cwd"])
    assert drift.violations == {"config_lock": "x"}
    assert not drift.is_truncated
    assert drift.drift == []
    # A comma in quotes is a part of a key.
    sent = details(
        "CONFIG_LOCK_DRIFT",
        keys=r'cwd,instructions."./a,\"b/AGENTS.md",config.model',
        drift='[{"key":"cwd","locked":null,"actual":"\\"/b\\"","origin":"codex"}]',
    )
    several = answered(errors.ConfigLockDrift, sent)
    assert several.keys == ["cwd", r'instructions."./a,\"b/AGENTS.md"', "config.model"]
    assert several.drift == [ConfigDrift("cwd", "", '"/b"', "codex")]
    cut = details("CONFIG_LOCK_DRIFT", keys="cwd", drift='[{"key":"c', truncated="true")
    assert answered(errors.ConfigLockDrift, cut).drift == []
    assert pickle.loads(pickle.dumps(several)).drift == several.drift
    sent = details(
        "CONFIG_LOCK_INVALID",
        error_details_pb2.BadRequest(field_violations=[field]),
        rule="secret",
        key="config.x",
    )
    invalid = answered(errors.ConfigLockInvalid, sent)
    assert (invalid.field, invalid.rule, invalid.key) == ("config_lock", "secret", "config.x")
    sent = details("CODEX_VERSION_MISMATCH", locked="0.169.0", actual="0.170.0")
    mismatch = answered(errors.CodexVersionMismatch, sent)
    assert (mismatch.locked, mismatch.actual) == ("0.169.0", "0.170.0")


def test_what_a_fork_differs_in_is_told_whole_where_it_chooses_nothing_itself() -> None:
    fixed: dict[str, Any] = dict.fromkeys(
        ["cwd", "approval_policy", "network_access", "filesystem_sandbox", "codex"]
    )
    fixed.update(source="", labels={"a": "b"}, system_owned=False, persist_session=True)
    cut = {"keys": "cwd", "diff": "-a", "truncated": "true"}

    def forked(model: str | None) -> Operation[Any]:
        forking = sessions.fork(Limits(), "x", "", (), "", title="t", model=model, **fixed)
        assert isinstance(next(forking), Unary)
        return forking

    drifted = errors.ConfigLockDrift("x", reason="CONFIG_LOCK_DRIFT", metadata=cut)
    asking = forked(None)
    asked = asking.throw(drifted)
    assert isinstance(asked, Unary)
    assert asked.request == config_lock_pb2.VerifyConfigLockRequest(session_id="x")
    told = config_lock_pb2.ConfigDrift(key="config.model", locked="1", actual="2", origin="codex")
    with pytest.raises(errors.ConfigLockDrift) as raised:
        asking.send(config_lock_pb2.VerifyConfigLockResponse(drift=[told], diff="-1\n+2\n"))
    assert raised.value is drifted
    assert (drifted.keys, drifted.diff, drifted.is_truncated) == (
        ["config.model"],
        "-1\n+2\n",
        False,
    )
    # The server compares no other fork, so that what is known is told.
    other = errors.ConfigLockDrift("x", reason="CONFIG_LOCK_DRIFT", metadata=cut)
    with pytest.raises(errors.ConfigLockDrift) as raised:
        forked("gpt-5.4").throw(other)
    assert (raised.value.diff, raised.value.is_truncated) == ("-a", True)
