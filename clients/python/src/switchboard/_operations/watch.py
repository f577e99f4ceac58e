"""Streams that outlast a lost connection and a restart of the server.

A cursor knows which message was the last, makes the request that goes on after it, and says when
the stream is over. `follow` asks again with it until then.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, Final, Literal, Protocol

from google.protobuf.message import Message
from grpc import StatusCode

from switchboard import _convert as convert
from switchboard import _words as words
from switchboard import types
from switchboard._operations.call import Limits, Pauses
from switchboard._operations.effects import Emit, Notify, Open, Operation, Read, Sleep
from switchboard._proto.v1 import event_pb2, session_pb2
from switchboard._status import lost
from switchboard.errors import CursorExpired, SwitchboardError

log = logging.getLogger("switchboard")

OnReconnect = Callable[[types.Reconnect], Any]

# The kind of a session's last event.
_LAST: Final = event_pb2.EVENT_KIND_SESSION_DELETED

# The longest silence of a server that is there, in seconds: it is asked to say that it is.
_HEARTBEAT = 15.0

# Whoever misses so many of those has lost it: it hangs, or something on the way does that answers
# for it.
_MISSED = 3

# A connection that held for so long may be made again at once, in seconds. One that breaks before
# anything comes of it may not, or every client would do so all the time.
_STEADY = 5.0

# The pauses of a server that answers, and whose connections break then, grow no further than those
# after so many attempts: a bad line brings an event now and then.
_ANSWERED = 2


class Cursor(Protocol):
    """Where a stream is."""

    #: Whether nothing more is wanted.
    is_over: bool
    #: Whether an end of the stream, without an error, is its end.
    ends_with_stream: bool

    def request(self) -> Message:
        """What asks for everything after the last message."""

    def take(self, message: Any) -> Iterable[Any]:
        """What whoever iterates gets of a message."""

    def starts_over(self, error: SwitchboardError) -> bool:
        """Whether it begins anew, nothing having been told yet."""

    def resume_at(self) -> int | str:
        """Where it goes on, for people."""


class EventCursor:
    """A place among the events of a session."""

    def __init__(
        self,
        session_id: str,
        since: int | Literal["now"] | None,
        kinds: Sequence[str] | None,
        follow: bool,
        stop_at_end: bool,
        max_event_bytes: int | None,
    ) -> None:
        if isinstance(since, int):
            words.count(since, "since", 63)
        elif since not in (None, "now"):
            raise words.invalid("since", f'{since!r}: expected the seq of an event, or "now"')
        self.is_over = False
        self.ends_with_stream = stop_at_end
        self._session_id = session_id
        # With 0 the server goes by `_oldest`.
        self._next = since + 1 if isinstance(since, int) else 0
        self._oldest = since is None
        self._kinds = {words.number(words.EVENT_KIND, kind, "kinds") for kind in kinds or ()}
        self._unwanted = set() if _LAST in self._kinds or not kinds else {"session_deleted"}
        self._follow = follow
        self._max_event_bytes = words.count(max_event_bytes or 0, "max_event_bytes", 32)
        self._epoch = ""
        # The last event that was there at first; None before that is known.
        self._latest: int | None = None
        # Whether an event was told.
        self._is_begun = False

    def request(self) -> event_pb2.WatchEventsRequest:
        """What asks for everything after the last event."""
        return event_pb2.WatchEventsRequest(
            session_ids=[self._session_id],
            start_seq=self._next,
            default_start=(
                event_pb2.DEFAULT_START_BEGINNING if self._oldest else event_pb2.DEFAULT_START_NOW
            ),
            epoch=self._epoch,
            # The last of all is asked for too, so that the end is known for one.
            kinds=self._kinds | {_LAST} if self._kinds else (),
            heartbeat=words.duration(timedelta(seconds=_HEARTBEAT), "heartbeat"),
            stop_at_end=self.ends_with_stream,
            max_event_bytes=self._max_event_bytes,
        )

    def take(self, message: event_pb2.WatchEventsResponse) -> Iterable[types.Event]:
        """The event that a message has, if it is one."""
        match message.WhichOneof("message"):
            case "header":
                self._epoch = message.header.epoch
                self._next = message.header.start_seq
                if self._latest is None:
                    self._latest = message.header.latest_seq
            case "event" if message.event.seq >= self._next:
                self._next, self._is_begun = message.event.seq + 1, True
                event = convert.event(message.event)
                if not self._follow and event.seq > (self._latest or 0):
                    self.is_over = True
                elif event.kind not in self._unwanted:
                    yield event
                if event.kind == "session_deleted":
                    self.is_over = True
            case "heartbeat":
                # Past what the filter left out.
                past = message.heartbeat.latest_seqs.get(self._session_id, 0)
                self._next = max(self._next, past + 1) if past else self._next
            case "synced" if not message.synced.session_id:
                self.is_over = not self._follow
            case _:
                pass
        if not self._follow and self._latest is not None and self._next > self._latest:
            self.is_over = True

    def starts_over(self, error: SwitchboardError) -> bool:
        """Whether the oldest events expired before the first of them came."""
        is_new = self._oldest and not self._is_begun
        if is_new and isinstance(error, CursorExpired):
            self._next, self._latest = 0, None
            return True
        return False

    def resume_at(self) -> int:
        """The next event."""
        return self._next


class SessionsCursor:
    """A place in the catalogue of sessions."""

    is_over = False
    ends_with_stream = False

    def __init__(self, cursor: str, include_system_owned: bool) -> None:
        self._cursor = cursor
        self._include_system_owned = include_system_owned

    def request(self) -> session_pb2.WatchSessionsRequest:
        """What asks for everything that was changed since."""
        return session_pb2.WatchSessionsRequest(
            cursor=self._cursor,
            include_system_owned=self._include_system_owned,
            heartbeat=words.duration(timedelta(seconds=_HEARTBEAT), "heartbeat"),
        )

    def take(self, message: session_pb2.WatchSessionsResponse) -> Iterable[types.SessionChange]:
        """The change that a message has, if it has one."""
        self._cursor = message.cursor or self._cursor
        change = convert.session_change(message)
        if change is not None:
            yield change

    def starts_over(self, error: SwitchboardError) -> bool:
        """Never: it has no beginning that could go."""
        return False

    def resume_at(self) -> str:
        """The cursor."""
        return self._cursor


def follow(
    limits: Limits,
    cursor: Cursor,
    on_reconnect: OnReconnect | None,
    patience: float | None,
) -> Operation[None]:
    """Emit everything from the cursor on, each once and in order."""
    words.seconds(patience, "patience")
    pauses, attempt = Pauses(), 0
    usual = float("inf") if patience is None else patience
    # A server that never answered is waited for from now on.
    lost_since = None if limits.reached else time.monotonic()
    while True:
        opened = time.monotonic()
        try:
            yield Open(cursor.request())
            while (message := (yield Read(_patience(limits, usual, lost_since)))) is not None:
                if attempt:
                    log.info("connected again")
                limits.reached, lost_since, attempt = True, None, 0
                pauses.shorten(_ANSWERED)
                for item in cursor.take(message):
                    pauses.shorten()
                    yield Emit(item)
                if cursor.is_over:
                    return
            if cursor.ends_with_stream:
                return
            why: str | None = "it ended the stream"
            error = SwitchboardError(f"the server is of no use: {why}", code=StatusCode.UNAVAILABLE)
        except SwitchboardError as failed:
            if cursor.starts_over(failed):
                continue
            # One that says why is there.
            limits.reached = limits.reached or bool(failed.reason)
            why, error = lost(failed), failed
        lost_since = lost_since or time.monotonic()
        if why is None or time.monotonic() - lost_since >= limits.patience(usual):
            raise error
        attempt += 1
        log.debug("attempt %d: %s", attempt, error)
        if time.monotonic() - opened >= _STEADY:
            pauses.shorten()
        pause = pauses.next(error.retry_after)
        news = types.Reconnect(why, attempt, pause, cursor.resume_at())
        if news.attempt == 1:
            log.warning("lost the server (%s); going on at %s", why, news.resume_at)
        if on_reconnect is not None:
            yield Notify(on_reconnect, news)
        yield Sleep(pause)


def _patience(limits: Limits, usual: float, lost_since: float | None) -> float:
    """How long the next message may take."""
    longest = _MISSED * _HEARTBEAT
    if lost_since is None:
        return longest
    # One that is away is given up in time; one that came back has the time to say so.
    left = lost_since + usual - time.monotonic()
    return min(longest, max(left, limits.connect_timeout))
