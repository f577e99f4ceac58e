"""Events: each once and in order, whatever happens to the connection and to the server."""

from __future__ import annotations

import asyncio
import itertools
import logging
import signal
import threading
from typing import Any

import pytest
from conftest import script
from following import BROKEN, CLIENTS, HEADER, Script, check, collect_async, interrupted, running
from google.protobuf.message import Message
from harness import GIVE_UP, Proxy, Server, seeded, until

from switchboard import (
    AsyncSwitchboard,
    Chat,
    Event,
    InvalidArgument,
    Reconnect,
    SessionDeleted,
    SessionNotFound,
    Switchboard,
    SwitchboardError,
)
from switchboard._operations.call import Limits
from switchboard._proto.v1 import event_pb2


@CLIENTS
def test_a_connection_that_is_cut_anywhere_costs_no_event(shared: Server, collect: Any) -> None:
    dice = seeded()
    proxy = Proxy(shared.address)
    with Switchboard(f"unix:{shared.socket}") as direct:
        chat = direct.session(direct.sessions.create(shared.work).id)
        go_on = shared.work / f"cut-{chat.id}"
        chat.send(script("thread", "turn", "print:300:1000", f"until:{go_on}", "completed"))
        told: list[Event] = []
        news: list[Reconnect] = []
        proxy.cut_after(lambda: dice.randrange(1, 60_000))

        def follow() -> None:
            collect(
                proxy.url,
                shared.token,
                chat.id,
                told,
                stop_at_end=True,
                on_reconnect=news.append,
            )

        with running(follow):
            until("many cuts", lambda: proxy.cuts >= 8)
            proxy.cut_after(None)
            go_on.touch()
        check(told, chat)
        assert news
        assert all(each.pause > 0 for each in news)
    proxy.close()


@CLIENTS
def test_a_server_that_is_killed_under_it_costs_no_event(own: Server, collect: Any) -> None:
    with Switchboard(f"unix:{own.socket}") as direct:
        chat = direct.session(direct.sessions.create(own.work).id)
        go_on = own.work / "go-on"
        chat.send(script("thread", "turn", f"until:{go_on}", "message:the last", "completed"))
        told: list[Event] = []
        news: list[Reconnect] = []

        def follow() -> None:
            collect(own.url, own.token, chat.id, told, stop_at_end=True, on_reconnect=news.append)

        with running(follow):
            for _ in range(3):
                seen, lost = len(told), len(news)
                until("events", lambda seen=seen: len(told) > seen + 20)  # type: ignore[misc]
                own.kill()
                until("the loss", lambda lost=lost: len(news) > lost)  # type: ignore[misc]
                own.start()
            seen = len(told)
            until("events", lambda: len(told) > seen)
            go_on.touch()
        check(told, chat)
        assert [event.text for event in told if event.text][-1] == "the last"
        assert news[0].attempt == 1
        assert isinstance(news[0].resume_at, int)


@CLIENTS
def test_a_server_that_is_stopped_and_started_costs_no_event(
    own: Server, collect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "switchboard")
    with Switchboard(f"unix:{own.socket}") as direct:
        chat = direct.session(direct.sessions.create(own.work).id)
        go_on = own.work / "go-on"
        chat.send(script("thread", "turn", f"wait:{go_on}", "completed"))
        told: list[Event] = []

        def follow() -> None:
            collect(own.url, own.token, chat.id, told, stop_at_end=True)

        with running(follow):
            until("events", lambda: any(event.kind == "turn_started" for event in told))
            own.ask_to_stop()
            own.stopped()
            own.start()
            go_on.touch()
        check(told, chat)
    said = [record.getMessage() for record in caplog.records]
    assert any("lost the server" in line for line in said)
    assert "connected again" in said


@CLIENTS
def test_an_async_callback_is_awaited_and_a_plain_one_is_called(
    shared: Server, collect: Any
) -> None:
    proxy = Proxy(shared.address)
    with Switchboard(f"unix:{shared.socket}") as direct:
        chat = direct.session(direct.sessions.create(shared.work).id)
        go_on = shared.work / f"callback-{chat.id}"
        chat.send(script("thread", "turn", f"wait:{go_on}", "completed"))
        told: list[Event] = []

        def plain(_: Reconnect) -> None:
            go_on.touch()

        async def awaited(_: Reconnect) -> None:
            await asyncio.sleep(0)
            go_on.touch()

        on_reconnect = awaited if collect is collect_async else plain

        def follow() -> None:
            token = shared.token
            collect(proxy.url, token, chat.id, told, stop_at_end=True, on_reconnect=on_reconnect)

        with running(follow):
            until("events", lambda: any(event.kind == "turn_started" for event in told))
            proxy.cut()
        check(told, chat)
    proxy.close()


def test_it_begins_where_it_is_told_to(chat: Chat) -> None:
    chat.send(script("thread", "turn", "message:one", "message:two", "completed"))
    chat.wait(GIVE_UP)
    every = list(chat.events(follow=False))
    assert [event.seq for event in every] == list(range(1, len(every) + 1))
    assert list(chat.events(since=every[3].seq, follow=False)) == every[4:]
    assert list(chat.events(since=every[-1].seq, follow=False)) == []
    assert list(chat.events("now", follow=False)) == []
    assert list(chat.events(stop_at_end=True)) == every
    live = chat.events()
    assert list(itertools.islice(live, len(every))) == every
    live.close()
    with pytest.raises(InvalidArgument, match="since"):
        chat.events(since=-1)
    with pytest.raises(InvalidArgument):
        next(iter(chat.events(since=every[-1].seq + 1)))


def test_only_the_kinds_that_are_wanted_come(chat: Chat) -> None:
    chat.send(script("thread", "turn", "message:one", "message:two", "completed"))
    chat.wait(GIVE_UP)
    kinds = ["item_completed", "state_changed"]
    found = list(chat.events(kinds=kinds, follow=False))
    assert [event.kind for event in found] == [
        "state_changed",
        "item_completed",
        "item_completed",
        "state_changed",
    ]
    assert [event.text for event in found] == [None, "one", "two", None]
    assert list(chat.events(kinds=["warning"], follow=False, since=0)) == []
    with pytest.raises(InvalidArgument, match="expected one of thread_started"):
        chat.events(kinds=["item.completed"])


def test_an_event_has_what_the_agent_printed(chat: Chat) -> None:
    chat.send(script("thread", "turn", "message:one", "line:no JSON", "completed"))
    chat.wait(GIVE_UP)
    by_kind = {event.kind: event for event in chat.events(follow=False)}
    item = by_kind["item_completed"]
    assert item.json["item"]["text"] == item.text == "one"
    assert item.data["item"]["agent_message"] == {"text": "one"}
    assert (item.origin, item.turn, item.time_source) == ("agent", 1, "live")
    assert by_kind["invalid_line"].raw == b"no JSON"
    state = by_kind["state_changed"].data
    assert (state["previous_state"], state["state"]) == ("running", "completed")
    assert by_kind["turn_completed"].data["usage"]["input_tokens"] == 100
    assert by_kind["turn_exited"].data["exit_code"] == 0
    assert by_kind["session_created"].data["session"]["session_id"] == chat.id
    assert by_kind["session_created"].json is None


def test_a_line_that_cannot_be_read_as_json_is_no_value(chat: Chat, shared: Server) -> None:
    lines = shared.base / "lines"
    many = b'{"type":"x","n":' + b"9" * 5_000 + b"}"
    deep = b'{"type":"x","n":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    unread = [b"no JSON", b"\xff\xfe", b'\xef\xbb\xbf{"type":"x"}', b"NaN", many, deep]
    lines.write_bytes(b"".join(line + b"\n" for line in (*unread, b'{"type":"x","n":[1]}')))
    chat.send(script("thread", "turn", f"cat:{lines}", "completed"))
    chat.wait(GIVE_UP)
    events = {event.raw: event for event in chat.events(follow=False)}
    assert [events[line].json for line in unread] == [None] * len(unread)
    assert events[b'{"type":"x","n":[1]}'].json == {"type": "x", "n": [1]}


def test_a_large_event_says_where_its_whole_is(chat: Chat) -> None:
    chat.send(script("thread", "turn", "big:5000000", "completed"))
    chat.wait(GIVE_UP)
    (elided,) = (event for event in chat.events(follow=False) if event.elided)
    assert elided.elided is not None
    assert elided.raw == b""
    whole = chat.output(
        elided.elided.turn, offset=elided.elided.byte_offset, length=elided.elided.size
    )
    assert len(whole) > 5_000_000
    (event,) = (e for e in chat.events(follow=False, max_event_bytes=64 << 20) if e.raw == whole)
    assert event.seq == elided.seq


def test_it_ends_with_the_session(sb: Switchboard, shared: Server) -> None:
    for kinds in (None, ["session_created"]):
        chat = sb.session(sb.sessions.create(shared.work).id)
        events = chat.events(kinds=kinds)
        assert next(iter(events)).kind == "session_created"
        chat.delete()
        rest = [event.kind for event in events]
        assert rest == ([] if kinds else ["session_deleted"])
        assert list(events) == []
        with pytest.raises(SessionDeleted):
            next(iter(chat.events()))
    with pytest.raises(SessionNotFound):
        next(iter(sb.session("00000000-0000-4000-8000-000000000000").events()))


def test_a_server_that_stays_away_is_given_up(own: Server) -> None:
    with Switchboard(own.url, token=own.token) as sb:
        chat = sb.session(sb.sessions.create(own.work).id)
        events = chat.events(patience=0.3)
        assert next(iter(events)).seq == 1
        own.kill()
        with pytest.raises(SwitchboardError, match="no server answers") as raised:
            next(iter(events))
        assert raised.value.reason == ""
    with (
        Switchboard(own.url, connect_timeout=0.3) as never,
        pytest.raises(SwitchboardError, match="switchboard serve"),
    ):
        next(iter(never.session(chat.id).events()))
    own.start()


def test_whoever_closes_the_client_ends_its_streams(shared: Server, chat: Chat) -> None:
    first = threading.Event()
    with Switchboard(f"unix:{shared.socket}") as sb:

        def follow() -> None:
            with pytest.raises(RuntimeError, match="closed"):
                for _ in sb.session(chat.id).events():
                    first.set()

        with running(follow):
            assert first.wait(GIVE_UP)
            sb.close()

    async def both() -> None:
        client = AsyncSwitchboard(f"unix:{shared.socket}")
        told = asyncio.Event()

        async def follow() -> None:
            async for _ in client.session(chat.id).events():
                told.set()

        task = asyncio.create_task(follow())
        await asyncio.wait_for(told.wait(), GIVE_UP)
        await client.close()
        with pytest.raises(RuntimeError, match="closed"):
            await asyncio.wait_for(task, GIVE_UP)

    asyncio.run(both())


def test_a_task_that_is_cancelled_leaves_its_stream(shared: Server, chat: Chat) -> None:
    async def cancel() -> None:
        async with AsyncSwitchboard(f"unix:{shared.socket}") as sb:
            told = asyncio.Event()

            async def follow() -> None:
                async for _ in sb.session(chat.id).events():
                    told.set()

            task = asyncio.create_task(follow())
            await asyncio.wait_for(told.wait(), GIVE_UP)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # Those of the tests before end as well, so that none is what remains.
            while (await sb.info()).open_watches > 0:
                await asyncio.sleep(0.01)
            # The client goes on.
            assert [e.seq async for e in sb.session(chat.id).events(follow=False)] == [1]

    asyncio.run(asyncio.wait_for(cancel(), GIVE_UP))


def test_a_task_that_is_cancelled_when_the_client_is_closed_is_cancelled(
    shared: Server, chat: Chat
) -> None:
    async def both() -> None:
        client = AsyncSwitchboard(f"unix:{shared.socket}")
        told = asyncio.Event()

        async def follow() -> None:
            async for _ in client.session(chat.id).events():
                told.set()

        task = asyncio.create_task(follow())
        await asyncio.wait_for(told.wait(), GIVE_UP)
        task.cancel()
        await client.close()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, GIVE_UP)

    asyncio.run(both())


def test_ctrl_c_ends_it_and_its_stream(sb: Switchboard, chat: Chat) -> None:
    main = threading.main_thread().ident
    assert main is not None
    told = threading.Event()

    def interrupt() -> None:
        assert told.wait(GIVE_UP)
        signal.pthread_kill(main, signal.SIGINT)

    with running(interrupt):
        with pytest.raises(KeyboardInterrupt):
            for _ in chat.events():
                told.set()
        # Those of the tests before end as well, so that none is what remains.
        until("the end of each watch", lambda: sb.info().open_watches == 0)
    # The client goes on.
    assert [event.seq for event in chat.events(follow=False)] == [1]


def test_ctrl_c_at_any_moment_leaves_no_stream_behind(own: Server) -> None:
    dice = seeded()
    with Switchboard(f"unix:{own.socket}") as sb:
        chat = sb.session(sb.sessions.create(own.work).id)
        go_on = own.work / "go-on"
        chat.send(script("thread", "turn", f"until:{go_on}", "completed"))
        for _ in range(20):
            with interrupted(dice.uniform(0, 0.02)):
                for _ in chat.events():
                    pass
        until("the end of each watch", lambda: sb.info().open_watches == 0)
        go_on.touch()
        chat.wait(GIVE_UP)
        check(list(chat.events(follow=False)), chat)


def test_a_connection_that_breaks_before_anything_comes_is_made_less_often() -> None:
    event = event_pb2.Event(seq=1, session_created=event_pb2.SessionCreated())
    useless: list[Message | SwitchboardError] = [HEADER, BROKEN] * 8
    played = Script(
        *useless, HEADER, event_pb2.WatchEventsResponse(event=event), BROKEN, limits=Limits()
    )
    pauses = [each.pause for each in played.news]
    assert pauses[7] >= 2 * pauses[0]
    assert pauses[7] >= 2 * pauses[8], "an event came"
    assert {each.attempt for each in played.news} == {1}
    assert [each.seq for each in played.told] == [1]
    assert [each.start_seq for each in played.requests] == [0, *[1] * 8, 2]
    # So are those that end without an error.
    ended = Script(*[None] * 8, limits=Limits())
    assert ended.news[7].pause > 4 * ended.news[0].pause
    assert [each.attempt for each in ended.news] == list(range(1, 9))


def test_a_server_that_says_why_it_does_not_serve_is_there() -> None:
    busy = SwitchboardError("busy", reason="OVERLOADED", retry_after=7.0)
    never = Limits(connect_timeout=0.0)
    assert [each.pause for each in Script(busy, busy, limits=never).news] == [7.0, 7.0]
