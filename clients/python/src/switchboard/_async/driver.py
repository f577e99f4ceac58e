"""Carries out what operations ask for."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, TypeVar

from switchboard import _words as words
from switchboard._async.transport import AsyncTransport
from switchboard._operations.call import Limits
from switchboard._operations.effects import (
    Effect,
    Emit,
    Notify,
    Open,
    Operation,
    Read,
    Sleep,
    Unary,
)
from switchboard.errors import SwitchboardError

T = TypeVar("T")


class AsyncDriver:
    """Runs operations over one connection."""

    def __init__(self, transport: AsyncTransport, limits: Limits) -> None:
        self.limits = limits
        self._transport = transport

    async def run(self, operation: Operation[T]) -> T:
        """Run an operation to its end, and return its result."""
        running = _Running(self._transport, operation)
        try:
            async for _ in running.emitted():
                raise AssertionError("what is run to its end emits nothing")
        finally:
            running.close()
        result: T = running.result
        return result

    async def iterate(self, operation: Operation[None]) -> AsyncGenerator[Any, None]:
        """Run an operation as far as what it emits is wanted."""
        running = _Running(self._transport, operation)
        try:
            async for value in running.emitted():
                yield value
        finally:
            running.close()

    async def close(self) -> None:
        """End the connection."""
        await self._transport.close()


class _Running:
    """An operation under way, and the stream that it has open."""

    def __init__(self, transport: AsyncTransport, operation: Operation[Any]) -> None:
        self.result: Any = None
        self._transport = transport
        self._operation = operation
        self._stream: Any = None

    async def emitted(self) -> AsyncGenerator[Any, None]:
        answer: Any = None
        failure: SwitchboardError | None = None
        while True:
            try:
                if failure is None:
                    effect = self._operation.send(answer)
                else:
                    effect = self._operation.throw(failure)
            except StopIteration as over:
                self.result = over.value
                return
            except UnicodeError as error:
                raise words.invalid("request", f"a text in it is not Unicode: {error}") from error
            answer, failure = None, None
            if isinstance(effect, Emit):
                yield effect.value
                continue
            try:
                answer = await self._do(effect)
            except SwitchboardError as error:
                failure = error

    async def _do(self, effect: Effect) -> Any:
        match effect:
            case Unary(request, timeout):
                return await self._transport.unary(request, timeout)
            case Open(request):
                self._cancel()
                self._stream = await self._transport.stream(request)
            case Read(within):
                return await self._transport.read(self._stream, within)
            case Sleep(seconds):
                self._cancel()
                await self._transport.sleep(seconds)
            case Notify(callback, news):
                await self._transport.notify(callback, news)
            case Emit():
                raise AssertionError("it was handed on")
        return None

    def close(self) -> None:
        self._operation.close()
        self._cancel()

    def _cancel(self) -> None:
        if self._stream is not None:
            self._stream.cancel()
            self._stream = None
