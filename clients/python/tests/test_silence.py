"""A server that hangs, and says nothing any more on a connection that holds."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from conftest import script
from following import BROKEN, CLIENTS, HEADER, Script, check, running
from harness import GIVE_UP, Server, until

from switchboard import (
    AsyncSwitchboard,
    DeadlineExceeded,
    Event,
    Reconnect,
    Switchboard,
)
from switchboard._operations import watch
from switchboard._operations.call import Limits
from switchboard._status import silent
from switchboard._sync.transport import _Stream

SILENT = silent(45.0, "unix:/s")


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server says that it is there as often as it can be asked to."""
    monkeypatch.setattr(watch, "_HEARTBEAT", 1.0)


@pytest.mark.usefixtures("_often")
@CLIENTS
def test_a_server_that_hangs_is_lost_and_costs_no_event(own: Server, collect: Any) -> None:
    with Switchboard(f"unix:{own.socket}") as direct:
        chat = direct.session(direct.sessions.create(own.work).id)
        go_on = own.work / "go-on"
        chat.send(script("thread", "turn", f"wait:{go_on}", "message:the last", "completed"))
        told: list[Event] = []
        news: list[Reconnect] = []

        def follow() -> None:
            collect(own.url, own.token, chat.id, told, stop_at_end=True, on_reconnect=news.append)

        with running(follow):
            until("events", lambda: any(event.kind == "turn_started" for event in told))
            own.pause()
            until("that it stays lost", lambda: any(each.attempt > 1 for each in news))
            own.go_on()
            go_on.touch()
        check(told, chat)
        assert "it says nothing" in {each.why for each in news}


@pytest.mark.usefixtures("_often")
def test_a_watch_of_sessions_outlasts_a_server_that_hangs(own: Server) -> None:
    with Switchboard(own.url, token=own.token) as sb:
        changes = sb.sessions.watch(on_reconnect=lambda _: own.go_on())
        assert next(changes).kind == "synced"
        own.pause()
        created: list[str] = []
        create = threading.Thread(target=lambda: created.append(sb.sessions.create(own.work).id))
        create.start()
        assert next(change.session_id for change in changes if change.kind == "session")
        create.join(GIVE_UP)
        assert created


def test_an_output_is_not_waited_for_longer_than_a_call(own: Server) -> None:
    with (
        Switchboard(own.url, token=own.token) as direct,
        Switchboard(own.url, token=own.token, timeout=0.5) as sb,
    ):
        chat = direct.session(direct.sessions.create(own.work, script("thread")).id)
        chat.wait(GIVE_UP)
        own.pause()
        with pytest.raises(DeadlineExceeded):
            sb.session(chat.id).output()

        async def output() -> None:
            async with AsyncSwitchboard(own.url, token=own.token, timeout=0.5) as client:
                with pytest.raises(DeadlineExceeded):
                    await client.session(chat.id).output()

        asyncio.run(output())
        own.go_on()
        assert chat.output().startswith(b'{"type":"thread.started"')


def test_three_heartbeats_are_waited_for_and_less_where_patience_ends() -> None:
    reached = Limits(reached=True)
    assert Script(HEADER, SILENT, HEADER, limits=reached).waits == [45.0] * 4
    impatient = Script(HEADER, SILENT, HEADER, limits=reached, patience=20.0)
    assert [each.why for each in impatient.news] == ["it says nothing"]
    first, silence, again, after = impatient.waits
    assert first == silence == after == 45.0
    assert 5.0 <= again < 20.0
    # One that came back has the time to say so.
    brief = Script(BROKEN, BROKEN, limits=Limits(reached=True, connect_timeout=3.0), patience=1.0)
    assert brief.waits == [45.0, 3.0, 3.0]
    given_up = Script(SILENT, limits=reached, patience=0.0)
    assert given_up.error is SILENT
    # One that never answered has as long for its first word.
    assert Script(limits=Limits()).waits == [45.0]


class Call:
    """A stream of gRPC that has these messages, and then none until it is cancelled."""

    def __init__(self, *messages: str) -> None:
        self.cancelled = threading.Event()
        self.read = 0
        self._messages = messages

    def __next__(self) -> str:
        if self.read < len(self._messages):
            self.read += 1
            return self._messages[self.read - 1]
        assert self.cancelled.wait(GIVE_UP)
        raise StopIteration

    def cancel(self) -> None:
        self.cancelled.set()


def test_only_what_is_waited_for_can_be_late() -> None:
    call = Call(*"abcdefghijkl")
    stream = _Stream(lambda: call)
    # Whoever reads does something else meanwhile, and little is read ahead.
    until("what is read ahead", lambda: call.read == 8)
    assert [stream.next(GIVE_UP) for _ in range(12)] == list("abcdefghijkl")
    with pytest.raises(TimeoutError):
        stream.next(0.01)
    assert not call.cancelled.is_set()
    stream.cancel()
    assert call.cancelled.wait(GIVE_UP)


def test_who_reads_a_stream_is_gone_when_it_is() -> None:
    def reading() -> int:
        return [thread.name for thread in threading.enumerate()].count("switchboard-stream")

    # Those of the tests before.
    until("the end of each", lambda: not reading())
    begin = threading.Event()

    def begun() -> Call:
        assert begin.wait(GIVE_UP)
        return Call()

    streams = [_Stream(Call), _Stream(lambda: Call(*"abcdefghijkl")), _Stream(begun)]
    assert reading() == 3
    streams[0].cancel()
    streams[2].cancel()
    begin.set()
    # The other one is nobody's from now on.
    del streams
    until("their end", lambda: not reading())
