"""What the client for asyncio does with gRPC, one thing a method. Its twin is written by hand."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from switchboard import _channel
from switchboard._status import from_status, silent
from switchboard.errors import SwitchboardError
from switchboard.profiles import Connection
from switchboard.types import Reconnect


class AsyncTransport:
    """One connection, made with the first call and again whenever it is lost."""

    def __init__(self, connection: Connection, connect_timeout: float) -> None:
        self._connection = connection
        self._connect_timeout = connect_timeout
        self._metadata = _channel.metadata(connection)
        self._credentials = _channel.credentials(connection)
        self._channel: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process: int | None = None
        self._is_closed = False

    def _open(self) -> grpc.aio.Channel:
        # Only now, because it belongs to the event loop that runs then.
        if self._is_closed:
            raise RuntimeError("the client is closed")
        if self._is_forked():
            raise RuntimeError("the client belongs to another process; make one for each")
        loop = asyncio.get_running_loop()
        if self._loop not in (None, loop):
            raise RuntimeError("the client belongs to another event loop; make one for each")
        self._loop, self._process = loop, os.getpid()
        if self._channel is None:
            target = _channel.target(self._connection)
            options = _channel.options(self._connection, self._connect_timeout)
            if self._credentials is None:
                self._channel = grpc.aio.insecure_channel(target, options)
            else:
                self._channel = grpc.aio.secure_channel(target, self._credentials, options)
        return self._channel

    async def unary(self, request: Message, timeout: float) -> Message:
        """Make a call."""
        method = _channel.method(request)
        multicallable = self._open().unary_unary(
            method.path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=method.answer.FromString,
        )
        try:
            answer: Message = await multicallable(request, timeout=timeout, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise self._converted(error) from None
        except asyncio.CancelledError:
            self._say_closed()
            raise
        return answer

    async def stream(self, request: Message) -> Any:
        """Open a stream."""
        method = _channel.method(request)
        multicallable = self._open().unary_stream(
            method.path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=method.answer.FromString,
        )
        return multicallable(request, metadata=self._metadata)

    async def read(self, stream: Any, within: float) -> Message | None:
        """The next message of a stream, where it comes within so many seconds; None at its end."""
        try:
            async with asyncio.timeout(within):
                message = await stream.read()
        except TimeoutError:
            raise silent(within, self._connection.url) from None
        except grpc.aio.AioRpcError as error:
            raise self._converted(error) from None
        except asyncio.CancelledError:
            self._say_closed()
            raise
        if message is not grpc.aio.EOF:
            assert isinstance(message, Message)
            return message
        return None

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def notify(self, callback: Callable[[Reconnect], Any], news: Reconnect) -> None:
        """Tell whoever wants to know."""
        told = callback(news)
        if inspect.isawaitable(told):
            await told

    async def close(self) -> None:
        """End the connection, with all that goes on there."""
        self._is_closed = True
        # A process that was forked has no say in the connection of the other.
        if self._channel is not None and not self._is_forked():
            await self._channel.close()

    def _is_forked(self) -> bool:
        return self._process not in (None, os.getpid())

    def _say_closed(self) -> None:
        # Whoever closes the client cancels its calls, and not the tasks that wait for them. A
        # task that is cancelled as well is told of that.
        task = asyncio.current_task()
        if self._is_closed and not (task and task.cancelling()):
            raise RuntimeError("the client is closed") from None

    def _converted(self, error: grpc.aio.AioRpcError) -> SwitchboardError:
        trailers: Any = error.trailing_metadata() or ()
        text = error.details() or ""
        return from_status(error.code(), text, trailers, self._connection.url)
