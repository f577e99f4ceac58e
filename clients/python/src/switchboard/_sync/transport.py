"""What the client that blocks does with gRPC, one thing a method. Its twin is written by hand."""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.protobuf.message import Message

from switchboard import _channel
from switchboard._status import from_status, silent
from switchboard.errors import SwitchboardError
from switchboard.profiles import Connection
from switchboard.types import Reconnect


class _Stream:
    """A stream, and a thread that ends it when its next message is waited for for too long.

    grpcio has no time for that. What takes whoever reads long between two messages is not counted.
    """

    def __init__(self, call: Any) -> None:
        self._call = call
        # When the message must be there that somebody waits for.
        self._due: float | None = None
        # Held while it is not over. An interrupt cannot leave a plain lock between two states.
        self._over = threading.Lock()
        self._is_watched = False
        #: Whether it was ended for that.
        self.is_silent = False

    def next(self, within: float) -> Any:
        """Wait for the next message so many seconds; None at the end."""
        self._due = time.monotonic() + within
        try:
            if not self._is_watched:
                self._over.acquire()
                self._is_watched = True
                watch = (weakref.ref(self), self._over, within)
                name = "switchboard-stream"
                threading.Thread(target=_watch, args=watch, name=name, daemon=True).start()
            return next(self._call, None)
        finally:
            self._due = None

    def cancel(self) -> None:
        """End it."""
        if self._is_watched:
            self._is_watched = False
            self._over.release()
        self._call.cancel()

    def look(self, within: float) -> float:
        """End it where its time is up; else say when to look again, in seconds."""
        due = self._due
        if due is None:
            # Whoever begins to wait from now on may do so for that long.
            return within
        left = due - time.monotonic()
        if left > 0:
            return left
        self.is_silent = True
        self._call.cancel()
        return within


def _watch(stream: weakref.ref[_Stream], over: threading.Lock, within: float) -> None:
    """Look at a stream until it is over, or nobody has it any more."""
    left = within
    while not over.acquire(timeout=min(max(left, 0.0), threading.TIMEOUT_MAX)):
        watched = stream()
        if watched is None:
            return
        left = watched.look(within)
        # Else it would be this thread's.
        del watched


class Transport:
    """One connection, made with the first call and again whenever it is lost."""

    def __init__(self, connection: Connection, connect_timeout: float) -> None:
        self._connection = connection
        self._connect_timeout = connect_timeout
        self._metadata = _channel.metadata(connection)
        self._credentials = _channel.credentials(connection)
        self._channel: grpc.Channel | None = None
        self._left: list[grpc.Channel] = []
        self._is_closed = False
        self._lock = threading.Lock()

    def _open(self) -> grpc.Channel:
        with self._lock:
            self._say_closed()
            if self._channel is None:
                target = _channel.target(self._connection)
                options = _channel.options(self._connection, self._connect_timeout)
                if self._credentials is None:
                    self._channel = grpc.insecure_channel(target, options)
                else:
                    self._channel = grpc.secure_channel(target, self._credentials, options)
            return self._channel

    def unary(self, request: Message, timeout: float) -> Message:
        """Make a call."""
        method = _channel.method(request)
        multicallable = self._open().unary_unary(
            method.path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=method.answer.FromString,
        )
        with self._left_if_interrupted():
            try:
                answer: Message = multicallable(request, timeout=timeout, metadata=self._metadata)
            except grpc.RpcError as error:
                raise self._converted(error) from None
            except ValueError:
                # Another thread closed it since.
                self._say_closed()
                raise
        return answer

    def stream(self, request: Message) -> _Stream:
        """Open a stream."""
        method = _channel.method(request)
        multicallable = self._open().unary_stream(
            method.path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=method.answer.FromString,
        )
        with self._left_if_interrupted():
            try:
                return _Stream(multicallable(request, metadata=self._metadata))
            except ValueError:
                self._say_closed()
                raise

    def read(self, stream: _Stream, within: float) -> Message | None:
        """The next message of a stream, where it comes within so many seconds; None at its end."""
        with self._left_if_interrupted():
            try:
                message = stream.next(within)
            except grpc.RpcError as error:
                if stream.is_silent:
                    raise silent(within, self._connection.url) from None
                raise self._converted(error) from None
        assert message is None or isinstance(message, Message)
        return message

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def notify(self, callback: Callable[[Reconnect], Any], news: Reconnect) -> None:
        """Tell whoever wants to know."""
        callback(news)

    def close(self) -> None:
        """End the connection, with all that goes on there."""
        with self._lock:
            self._is_closed = True
            if self._channel is not None:
                self._channel.close()
            left, self._left = self._left, []
        for channel in left:
            # Whoever was interrupted may hold its lock for ever, so that this may never end.
            threading.Thread(target=channel.close, daemon=True).start()

    @contextlib.contextmanager
    def _left_if_interrupted(self) -> Iterator[None]:
        """Make a connection anew after Ctrl-C, and let streams of other threads keep the old one.

        grpcio (1.85) guards a channel by a `threading.Condition`, which Python code takes and
        releases, so that an interrupt at the wrong moment leaves it taken: no stream over that
        channel is told anything from then on.
        """
        try:
            yield
        except Exception:
            raise
        except BaseException:
            with self._lock:
                if self._channel is not None:
                    self._left.append(self._channel)
                    self._channel = None
            raise

    def _say_closed(self) -> None:
        if self._is_closed:
            raise RuntimeError("the client is closed") from None

    def _converted(self, error: Any) -> SwitchboardError:
        trailers = error.trailing_metadata() or ()
        text = error.details() or ""
        return from_status(error.code(), text, trailers, self._connection.url)
