"""What an operation asks its driver for."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from google.protobuf.message import Message

from switchboard.types import Reconnect

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unary:
    """Make a call and send its answer."""

    request: Message
    timeout: float


@dataclass(frozen=True, slots=True)
class Open:
    """Open a stream, in place of the one that was open."""

    request: Message


@dataclass(frozen=True, slots=True)
class Read:
    """Send the next message of the stream, or None at its end.

    One that does not come within so many seconds is an error, and the stream of no more use.
    """

    within: float


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand this to whoever iterates."""

    value: Any


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell whoever wants to know that the connection is lost."""

    callback: Callable[[Reconnect], Any]
    news: Reconnect


Effect: TypeAlias = Unary | Open | Read | Sleep | Emit | Notify

Operation: TypeAlias = Generator[Effect, Any, T]
