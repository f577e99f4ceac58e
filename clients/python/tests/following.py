"""Streams that are followed: by both clients at a real server, and an operation played alone."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from harness import GIVE_UP

from switchboard import AsyncSwitchboard, Chat, Event, Reconnect, Switchboard, SwitchboardError
from switchboard._operations.call import Limits
from switchboard._operations.effects import Emit, Notify, Open, Read
from switchboard._operations.watch import EventCursor, follow
from switchboard._proto.v1 import event_pb2

#: Runs `events()` of one of the two clients to its end, in a thread.
Collect = Callable[..., list[Event]]


def collect_sync(url: str, token: str, session_id: str, told: list[Event], **how: Any) -> None:
    with Switchboard(url, token=token, connect_timeout=GIVE_UP) as sb:
        for event in sb.session(session_id).events(**how):
            told.append(event)


def collect_async(url: str, token: str, session_id: str, told: list[Event], **how: Any) -> None:
    async def collect() -> None:
        async with AsyncSwitchboard(url, token=token, connect_timeout=GIVE_UP) as sb:
            async for event in sb.session(session_id).events(**how):
                told.append(event)

    asyncio.run(collect())


CLIENTS = pytest.mark.parametrize("collect", [collect_sync, collect_async], ids=["sync", "async"])


@contextmanager
def running(work: Callable[[], None]) -> Iterator[threading.Thread]:
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    yield thread
    thread.join(GIVE_UP)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


@contextmanager
def interrupted(delay: float = 0.0) -> Iterator[None]:
    """Expect that what is done here is interrupted, and see to it, so many seconds later."""
    main = threading.main_thread().ident
    assert main is not None
    begun, over = threading.Event(), threading.Event()

    def interrupt() -> None:
        assert begun.wait(GIVE_UP)
        time.sleep(delay)
        signal.pthread_kill(main, signal.SIGINT)
        # Python says nothing of one that strikes where it tidies up.
        while not over.wait(GIVE_UP / 4):
            signal.pthread_kill(main, signal.SIGINT)

    with running(interrupt):
        with pytest.raises(KeyboardInterrupt):
            begun.set()
            yield
        over.set()


def check(told: list[Event], chat: Chat) -> None:
    """They are all that there are, each once and in order."""
    seqs = [event.seq for event in told]
    assert seqs == list(range(1, len(seqs) + 1))
    assert told == list(chat.events(follow=False))
    printed = [event.raw for event in told if event.origin == "agent"]
    assert printed == chat.output().splitlines()


class Script:
    """Plays the server to the operation of a stream: what connections bring until they break."""

    def __init__(
        self,
        *answers: Message | SwitchboardError | None,
        limits: Limits,
        patience: float | None = 300.0,
    ) -> None:
        #: How long each message was waited for.
        self.waits: list[float] = []
        #: What it ended with.
        self.error: SwitchboardError | None = None
        self.news: list[Reconnect] = []
        self.told: list[Any] = []
        self.requests: list[Any] = []
        cursor = EventCursor("x", None, None, True, False, None)
        operation = follow(limits, cursor, self.news.append, patience)
        script, answer = iter(answers), None
        try:
            effect = next(operation)
            while True:
                match effect:
                    case Read(within):
                        self.waits.append(within)
                        answer = next(script)
                    case Notify(callback, news):
                        callback(news)
                    case Open(request):
                        self.requests.append(request)
                    case Emit(value):
                        self.told.append(value)
                given, answer = answer, None
                if isinstance(given, SwitchboardError):
                    effect = operation.throw(given)
                    continue
                effect = operation.send(given)
        except StopIteration:
            # The script is at its end.
            operation.close()
        except SwitchboardError as error:
            self.error = error


HEADER = event_pb2.WatchEventsResponse(header=event_pb2.WatchHeader(start_seq=1, epoch="e"))
BROKEN = SwitchboardError("broken", code=grpc.StatusCode.UNAVAILABLE)
