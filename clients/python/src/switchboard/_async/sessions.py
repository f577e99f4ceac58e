"""All sessions of a server."""

from __future__ import annotations

import builtins
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime, timedelta

from switchboard._async.driver import AsyncDriver
from switchboard._operations import sessions as operations
from switchboard._operations import watch
from switchboard._operations.watch import OnReconnect
from switchboard.types import (
    ApprovalPolicy,
    Codex,
    FilesystemSandbox,
    NetworkAccess,
    Session,
    SessionChange,
    SessionState,
)

__all__ = ["AsyncSessions"]


class AsyncSessions:
    """Creates, finds and deletes sessions."""

    def __init__(self, driver: AsyncDriver) -> None:
        self._driver = driver

    async def create(
        self,
        cwd: str | os.PathLike[str] | None = None,
        prompt: str = "",
        *,
        agent: str = "codex",
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
        config_lock: str | os.PathLike[str] | None = None,
        allow_codex_version_mismatch: bool = False,
        session_id: str = "",
    ) -> Session:
        """Create a session whose agent works in `cwd`, and start its first turn with a prompt.

        Relative paths are those of this process, whose directory is the default. What is not
        given is copied from the defaults, or left to the agent. `agent` is `"codex"` or
        `"replay:FILE"`, a recorded transcript. `persist_session` keeps what one needs to
        understand the session later.

        `config_lock` is the text of a lock, or the `pathlib.Path` of its file on this machine:
        each turn runs with what it has, or not at all (`ConfigLockDrift`), and what is not given,
        `cwd` included, is the lock's. With another version of codex than it was made with:
        `CodexVersionMismatch`, unless that is allowed.
        """
        operation = operations.create(
            self._driver.limits,
            prompt,
            images,
            session_id,
            config_lock,
            allow_codex_version_mismatch,
            cwd=cwd,
            agent=agent,
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
        return await self._driver.run(operation)

    async def get(self, session_id: str) -> Session:
        """Return a session by its id, or by the first four or more characters of it.

        Where there is none: `SessionNotFound`, or `SessionDeleted`; where several begin so:
        `AmbiguousId`.
        """
        return await self._driver.run(operations.get(self._driver.limits, session_id))

    async def list(
        self,
        *,
        states: Sequence[SessionState] | None = None,
        source: str = "",
        labels: Mapping[str, str] | None = None,
        archived: bool | None = False,
        cwd: str | os.PathLike[str] | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        id_prefix: str = "",
        include_system_owned: bool = False,
        limit: int | None = None,
    ) -> list[Session]:
        """Return the sessions for which all that is given holds, newest first.

        `archived=None` lists archived sessions and others. An empty value of a label means any,
        and `cwd` also finds sessions that work below it. `limit` is the most that are returned,
        by default all.
        """
        operation = operations.list_sessions(
            self._driver.limits,
            id_prefix=id_prefix,
            states=states,
            source=source,
            labels=labels,
            archived=archived,
            cwd=cwd,
            created_after=created_after,
            created_before=created_before,
            include_system_owned=include_system_owned,
            limit=limit,
        )
        return await self._driver.run(operation)

    def watch(
        self,
        cursor: str = "",
        *,
        include_system_owned: bool = False,
        on_reconnect: OnReconnect | None = None,
        patience: float | None = 300.0,
    ) -> AsyncGenerator[SessionChange, None]:
        """Iterate over each session as it is, a `"synced"`, and then each change.

        It goes on when the connection is lost and when the server is started again; every
        session that was changed meanwhile comes at least once as it is then. With the `cursor` of
        the last change that was handled it begins there. `patience` is how long the server may
        be away, in seconds; None is for ever.
        """
        place = watch.SessionsCursor(cursor, include_system_owned)
        operation = watch.follow(self._driver.limits, place, on_reconnect, patience)
        return self._driver.iterate(operation)

    async def update(
        self,
        session_id: str,
        *,
        title: str | None = None,
        labels: Mapping[str, str] | None = None,
        archived: bool | None = None,
        etag: str = "",
    ) -> Session:
        """Change what is given: the title, all labels, whether it is archived.

        Labels that are not given again go. With the `etag` that was seen, nothing is changed where
        something else is there: `EtagMismatch`.
        """
        operation = operations.update(
            self._driver.limits,
            session_id,
            title=title,
            labels=labels,
            archived=archived,
            etag=etag,
        )
        return await self._driver.run(operation)

    async def delete(self, session_id: str, *, etag: str = "") -> Session:
        """Kill what runs in a session and delete it for ever; return what it was.

        It takes the whole id. With the `etag` that was seen, only where it is still that:
        `EtagMismatch`.
        """
        operation = operations.delete(self._driver.limits, session_id, etag)
        return await self._driver.run(operation)

    async def cleanup(
        self,
        *,
        older_than: timedelta | None = None,
        states: Sequence[SessionState] | None = None,
        include_system_owned: bool = False,
        dry_run: bool = False,
    ) -> builtins.list[str]:
        """Delete the sessions at rest that did nothing for so long, seven days by default.

        Returns their ids, oldest first; with `dry_run` those of the first 1,000 that it would
        delete.
        """
        operation = operations.cleanup(
            self._driver.limits,
            older_than=older_than,
            states=states,
            include_system_owned=include_system_owned,
            dry_run=dry_run,
        )
        return await self._driver.run(operation)
