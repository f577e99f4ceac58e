"""One call, made again until it is answered or the time is up.

Every request that changes something carries an id of its own, so that the server does it once
however often it is sent; what only reads may be sent again anyway. So every call is made again
when the server is away, is going down or has too much to do, and none for any other reason.
"""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from switchboard import _words as words
from switchboard._operations.effects import Operation, Sleep, Unary
from switchboard._status import lost
from switchboard.errors import DeadlineExceeded, SwitchboardError

log = logging.getLogger("switchboard")

R = TypeVar("R", bound=Message)
T = TypeVar("T")

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0

# More than gRPC can count is as if no time was left.
_LONGEST_CALL = 1e7


@dataclass(slots=True)
class Limits:
    """How long a client waits for what."""

    #: For the answer to a call, all attempts together, in seconds.
    timeout: float = 30.0
    #: For a server that never answered yet.
    connect_timeout: float = 5.0
    #: Whether it has.
    reached: bool = False

    def patience(self, usual: float) -> float:
        """How long a server may be away."""
        return usual if self.reached else min(usual, self.connect_timeout)


class Pauses:
    """How long to wait before the next attempt: ever longer, and never the same for all."""

    def __init__(self) -> None:
        self.attempt = 0

    def shorten(self, attempt: int = 0) -> None:
        """Something came of it: the next pause is not longer than that after so many attempts."""
        self.attempt = min(self.attempt, attempt)

    def next(self, least: float | None = None) -> float:
        """The next pause; not shorter than the server asks for."""
        self.attempt += 1
        longest = min(_FIRST_PAUSE * 2 ** min(self.attempt, 10), _LONGEST_PAUSE)
        return max(random.uniform(longest / 2, longest), least or 0.0)


def call(
    limits: Limits,
    request: Message,
    answer: type[R],
    timeout: float | None = None,
    prepare: Callable[[], None] = lambda: None,
) -> Operation[R]:
    """Make a call; its answer is of the type `answer`.

    `prepare` is called before each attempt.
    """
    # The same for all attempts.
    if "request_id" in request.DESCRIPTOR.fields_by_name and not getattr(request, "request_id"):  # noqa: B009
        request.request_id = str(uuid.uuid4())  # type: ignore[attr-defined]
    usual = limits.timeout if timeout is None else timeout
    begun = time.monotonic()
    pauses = Pauses()
    while True:
        remaining = begun + usual - time.monotonic()
        if remaining <= 0:
            raise too_late(usual)
        prepare()
        try:
            result: R = yield Unary(request, min(remaining, _LONGEST_CALL))
        except SwitchboardError as error:
            if error.reason and not isinstance(error, DeadlineExceeded):
                limits.reached = True
            why = lost(error)
            pause = pauses.next(error.retry_after)
            if why is None or time.monotonic() + pause >= begun + limits.patience(usual):
                raise
            if pauses.attempt == 1:
                log.info("lost the server (%s) before it answered; asking again", why)
            yield Sleep(pause)
        else:
            limits.reached = True
            return result


def too_late(timeout: float) -> DeadlineExceeded:
    """What is raised when the time of a call is up."""
    return DeadlineExceeded(
        f"no answer came within {timeout:g} s",
        reason="DEADLINE_EXCEEDED",
        code=grpc.StatusCode.DEADLINE_EXCEEDED,
    )


def pages(
    limits: Limits,
    request: Any,
    answer: type[R],
    items: Callable[[R], Iterable[T]],
    limit: int | None = None,
) -> Operation[list[T]]:
    """All items of all pages, or the first `limit` of them."""
    found: list[T] = []
    if limit is not None:
        words.count(limit, "limit")
    while True:
        page = yield from call(limits, request, answer)
        found.extend(items(page))
        token: str = getattr(page, "next_page_token")  # noqa: B009
        if not token or (limit is not None and len(found) >= limit):
            return found[:limit]
        request.page_token = token
