"""What the client that blocks does with gRPC, one thing a method. Its twin is written by hand."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
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

# So many messages of a stream are read at a time, and twice as many before anybody wants them.
_BATCH = 4

# How long Ctrl-C may go unnoticed, in seconds: Python does not see one that comes just before it
# begins to wait.
_UNSEEN = 0.2


class _Stream:
    """A stream, and the thread that reads it.

    grpcio has no bound for how long a message takes, and what Ctrl-C interrupts in it may be left
    as it was at that moment. A thread is not interrupted; whoever waits here for what it reads can
    be, and waits no longer than it wants.
    """

    def __init__(self, begin: Callable[[], Any]) -> None:
        self._reading = _Reading(begin)
        self._taken = 0
        # The program may end while it reads.
        threading.Thread(target=self._reading.read, name="switchboard-stream", daemon=True).start()

    @property
    def reading(self) -> _Reading:
        """What goes on for it."""
        return self._reading

    def next(self, within: float) -> Any:
        """Wait for the next message so many seconds; None at the end."""
        due = time.monotonic() + within
        while True:
            left = due - time.monotonic()
            try:
                told = self._reading.told.get(timeout=min(max(left, 0.0), _UNSEEN))
                break
            except queue.Empty:
                self._reading.say_forked()
                if left <= 0:
                    raise TimeoutError from None
        if isinstance(told, BaseException):
            raise told
        self._taken += 1
        if self._taken % _BATCH == 0:
            self._reading.wanted.put(True)
        return told

    def cancel(self) -> None:
        """End it."""
        self._reading.end()

    def __del__(self) -> None:
        # Whoever was interrupted while it was made has none to cancel, or less.
        with contextlib.suppress(AttributeError):
            self._reading.end()


class _Reading:
    """What a stream and its thread share. Its queues bear an interrupt at any moment."""

    def __init__(self, begin: Callable[[], Any]) -> None:
        #: What was read, and at last None or an error.
        self.told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        #: Whether to read more.
        self.wanted: queue.SimpleQueue[bool] = queue.SimpleQueue()
        for _ in range(2):
            self.wanted.put(True)
        self._begin = begin
        self._process = os.getpid()
        self._call: Any = None
        self._is_over = False
        self._is_ended = False

    def read(self) -> None:
        """Open the stream, and read it as far as it is wanted: what the thread does."""
        try:
            self._call = call = self._begin()
            if not self._read_on(call):
                # Whoever ended it may have had nothing to cancel yet. Where it was the client
                # that was closed, somebody may wait for more.
                call.cancel()
                self.told.put(ValueError("the stream was ended"))
        except BaseException as error:
            self.told.put(error)
        finally:
            self._call = None

    def _read_on(self, call: Any) -> bool:
        """Read until no more is wanted; whether it came to its end."""
        while self.wanted.get():
            for _ in range(_BATCH):
                if self._is_over:
                    return False
                message = next(call, None)
                self.told.put(message)
                if message is None:
                    return True
        return False

    def end(self) -> None:
        """End both; again where that was interrupted."""
        if self._is_ended:
            return
        self._is_over = True
        self.wanted.put(False)
        call = self._call
        # A program that ends waits for no thread, and its connections end with it. A process that
        # was forked has no say in those of the other.
        if call is not None and not sys.is_finalizing() and not self._is_forked():
            try:
                # In a thread, which is not interrupted either.
                threading.Thread(target=call.cancel, daemon=True).start()
            except RuntimeError:
                # There are no more of them.
                call.cancel()
        self._is_ended = True

    def say_forked(self) -> None:
        """Fail where the thread is in the process that this one was forked from."""
        if self._is_forked():
            raise SwitchboardError(
                "the stream is that of another process", code=grpc.StatusCode.UNAVAILABLE
            )

    def _is_forked(self) -> bool:
        return os.getpid() != self._process


class _Held:
    """What a process holds of a connection."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.channel: grpc.Channel | None = None
        #: Those that were left, for whoever still uses them.
        self.left: list[grpc.Channel] = []
        #: What is read from all of them.
        self.readings: weakref.WeakSet[_Reading] = weakref.WeakSet()


class Transport:
    """One connection, made with the first call and again whenever it is lost.

    A process that is forked from this one makes its own. The other's is of no use there, because
    gRPC's threads are missing and a lock may be taken for ever; nor may it be closed.
    """

    def __init__(self, connection: Connection, connect_timeout: float) -> None:
        self._connection = connection
        self._connect_timeout = connect_timeout
        self._metadata = _channel.metadata(connection)
        self._credentials = _channel.credentials(connection)
        self._is_closed = False
        self._by_process = {os.getpid(): _Held()}

    @property
    def _held(self) -> _Held:
        # No two threads of a process get different ones.
        return self._by_process.setdefault(os.getpid(), _Held())

    def _open(self) -> grpc.Channel:
        held = self._held
        with held.lock:
            self._say_closed()
            if held.channel is None:
                target = _channel.target(self._connection)
                options = _channel.options(self._connection, self._connect_timeout)
                if self._credentials is None:
                    held.channel = grpc.insecure_channel(target, options)
                else:
                    held.channel = grpc.secure_channel(target, self._credentials, options)
            return held.channel

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
        stream = _Stream(lambda: multicallable(request, metadata=self._metadata))
        held = self._held
        with held.lock:
            # Another thread may have closed it since.
            self._say_closed()
            held.readings.add(stream.reading)
        return stream

    def read(self, stream: _Stream, within: float) -> Message | None:
        """The next message of a stream, where it comes within so many seconds; None at its end."""
        try:
            message = stream.next(within)
        except TimeoutError:
            raise silent(within, self._connection.url) from None
        except grpc.RpcError as error:
            self._say_closed()
            raise self._converted(error) from None
        except ValueError:
            # Another thread closed it since.
            self._say_closed()
            raise
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
        held = self._held
        with held.lock:
            self._is_closed = True
            if held.channel is not None:
                held.channel.close()
            left, held.left = held.left, []
            readings = list(held.readings)
        for reading in readings:
            # Those that wait until more is wanted would wait for ever.
            reading.end()
        for channel in left:
            # Whoever was interrupted may hold its lock for ever, so that this may never end.
            threading.Thread(target=channel.close, daemon=True).start()

    @contextlib.contextmanager
    def _left_if_interrupted(self) -> Iterator[None]:
        """Make a connection anew after an interrupt; streams of other threads keep the old one.

        Such as Ctrl-C, or whatever the handler of another signal raises: all that this client
        and grpcio do not raise themselves.

        grpcio (1.85) guards a channel by a `threading.Condition`, which Python code takes and
        releases, so that an interrupt at the wrong moment leaves it taken: no stream over that
        channel is told anything from then on. Streams are read by threads, which none strikes.
        """
        try:
            yield
        except (SwitchboardError, grpc.RpcError, ValueError, RuntimeError):
            raise
        except BaseException:
            held = self._held
            with held.lock:
                if held.channel is not None:
                    held.left.append(held.channel)
                    held.channel = None
            raise

    def _say_closed(self) -> None:
        if self._is_closed:
            raise RuntimeError("the client is closed") from None

    def _converted(self, error: Any) -> SwitchboardError:
        trailers = error.trailing_metadata() or ()
        text = error.details() or ""
        return from_status(error.code(), text, trailers, self._connection.url)
