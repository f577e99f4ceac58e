# Generated from `_async` by `clients/python/generate`.
"""One session: its turns, its events, its settings and controls."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from typing import Literal

from switchboard._operations import sessions as operations
from switchboard._operations import watch
from switchboard._operations.watch import OnReconnect
from switchboard._sync.controls import SessionControls
from switchboard._sync.driver import Driver
from switchboard._sync.locks import ChatLock
from switchboard._sync.settings import Settings
from switchboard.types import (
    ApprovalPolicy,
    Codex,
    Event,
    FilesystemSandbox,
    Message,
    NetworkAccess,
    Session,
    SessionState,
    Step,
    Turn,
)

__all__ = ["Chat"]


class Chat:
    """A session by its whole id. Making one asks the server nothing."""

    def __init__(self, driver: Driver, session_id: str) -> None:
        #: The id of the session.
        self.id = session_id
        #: Its settings.
        self.settings = Settings(driver, session_id)
        #: Its controls.
        self.controls = SessionControls(driver, session_id)
        #: What it runs with, written down and compared.
        self.lock = ChatLock(driver, session_id)
        self._driver = driver

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    def get(self) -> Session:
        """Return the session as it is now."""
        return self._driver.run(operations.get(self._driver.limits, self.id))

    def send(self, prompt: str, *, images: Sequence[str | os.PathLike[str]] = ()) -> Turn:
        """Give the session its next prompt; return the turn, which runs or waits for its place.

        `images` are files on the server's machine; relative paths are those of this process.
        Where a turn runs already: `SessionRunning`. Where it would run with something else than
        the session's config lock has: `ConfigLockDrift`. Where it is interrupted or cancelled the
        turn may have been started all the same.
        """
        operation = operations.send(self._driver.limits, self.id, prompt, images)
        return self._driver.run(operation)

    def interrupt(self) -> Session:
        """Ask the running turn to stop, as Ctrl-C in codex does. It is over when `wait` says so.

        Where none runs: `NoActiveTurn`.
        """
        return self._driver.run(operations.interrupt(self._driver.limits, self.id))

    def kill(self) -> Session:
        """End the running turn, with every process that it started, whatever it takes.

        It is over when `wait` says so. Where none runs: `NoActiveTurn`.
        """
        return self._driver.run(operations.kill(self._driver.limits, self.id))

    def wait(
        self, timeout: float | None = None, *, states: Sequence[SessionState] | None = None
    ) -> Session:
        """Wait until the session is at rest, or in one of these states; return it.

        Where that takes longer than `timeout` seconds: `WaitTimeout`. Without, it waits as long as
        it takes. Whoever waits no longer leaves the turn as it is: `interrupt` stops it.
        """
        return self._driver.run(operations.wait(self._driver.limits, self.id, states, timeout))

    def events(
        self,
        since: int | Literal["now"] | None = None,
        *,
        kinds: Sequence[str] | None = None,
        follow: bool = True,
        stop_at_end: bool = False,
        on_reconnect: OnReconnect | None = None,
        patience: float | None = 300.0,
        max_event_bytes: int | None = None,
    ) -> Generator[Event, None, None]:
        """Iterate over the events after `since`, each once and in order, and then live.

        `since` is the seq of the last event that is known, or `"now"` for new ones only; by default
        it begins with the oldest that is there. `kinds` lets through only these. With
        `follow=False` it ends with the events that are there, with `stop_at_end` when no turn runs
        any more, and else when the session is deleted.

        It goes on where it was when the connection is lost, and when the server is started again.
        One that says nothing for 45 seconds is lost too: every 15 it says at least that it is
        there. Each time, `on_reconnect` is called with a `Reconnect`, and the log `switchboard`
        has a line. `patience` is how long the server may be away, in seconds; None is for ever.
        Events above `max_event_bytes` (3 MiB by default) come `elided`. Whoever interrupts or
        cancels a step of it ends it, and goes on with another, `since` the last seq.
        """
        cursor = watch.EventCursor(self.id, since, kinds, follow, stop_at_end, max_event_bytes)
        operation = watch.follow(self._driver.limits, cursor, on_reconnect, patience)
        return self._driver.iterate(operation)

    def turns(self) -> list[Turn]:
        """Return the turns, first to last, with what became of each and what it used."""
        return self._driver.run(operations.turns(self._driver.limits, self.id))

    def messages(self, turn: int | None = None) -> list[Message]:
        """Return what was said in the session, or in one turn of it, the first of which is 1.

        Where there is no such turn: `TurnNotFound`.
        """
        return self._driver.run(operations.messages(self._driver.limits, self.id, turn))

    def trajectory(
        self, turn: int | None = None, *, full: bool = False, max_characters: int | None = None
    ) -> list[Step]:
        """Return what happened step by step, in the session or in one turn of it.

        Texts are cut at `max_characters`, 200 by default, unless `full`. Where there is no such
        turn: `TurnNotFound`.
        """
        operation = operations.trajectory(self._driver.limits, self.id, turn, full, max_characters)
        return self._driver.run(operation)

    def output(
        self,
        turn: int | None = None,
        *,
        stream: Literal["stdout", "stderr"] = "stdout",
        offset: int = 0,
        length: int | None = None,
    ) -> bytes:
        """Return what the agent printed in a turn, the latest by default, byte for byte.

        It has `length` bytes from `offset` on, or what there is of them: what runs may print more
        later. Where there is no such turn: `TurnNotFound`.
        """
        operation = operations.output(self._driver.limits, self.id, turn, offset, length, stream)
        return self._driver.run(operation)

    def fork(
        self,
        prompt: str = "",
        *,
        cwd: str | os.PathLike[str] | None = None,
        model: str | None = None,
        approval_policy: ApprovalPolicy | None = None,
        network_access: NetworkAccess | None = None,
        filesystem_sandbox: FilesystemSandbox | None = None,
        codex: Codex | None = None,
        images: Sequence[str | os.PathLike[str]] = (),
        title: str = "",
        labels: Mapping[str, str] | None = None,
        source: str = "",
        system_owned: bool = False,
        persist_session: bool = False,
        session_id: str = "",
    ) -> Session:
        """Make a new session that begins with the history of this one.

        What is not given is as in this one, but for title and labels. It is held to the config
        lock of this one (`ConfigLockDrift`), and persisted where this one is. A session that ran
        no turn yet has no history: `InvalidArgument`.
        """
        operation = operations.fork(
            self._driver.limits,
            self.id,
            prompt,
            images,
            session_id,
            cwd=cwd,
            source=source,
            title=title,
            labels=labels,
            model=model,
            approval_policy=approval_policy,
            network_access=network_access,
            filesystem_sandbox=filesystem_sandbox,
            codex=codex,
            system_owned=system_owned,
            persist_session=persist_session,
        )
        return self._driver.run(operation)

    def delete(self, *, etag: str = "") -> Session:
        """Kill what runs and delete the session for ever; return what it was.

        With the `etag` that was seen, only where it is still that: `EtagMismatch`.
        """
        return self._driver.run(operations.delete(self._driver.limits, self.id, etag))
