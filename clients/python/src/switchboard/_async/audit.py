"""The audit: who changed which settings and controls."""

from __future__ import annotations

from datetime import datetime

from switchboard._async.driver import AsyncDriver
from switchboard._operations import audit as operations
from switchboard.types import AuditEntry, AuditVerification, Scope

__all__ = ["AsyncAudit"]


class AsyncAudit:
    """The record of all writes of settings and controls, of all sessions."""

    def __init__(self, driver: AsyncDriver) -> None:
        self._driver = driver

    async def list(
        self,
        *,
        session_id: str = "",
        scope: Scope | None = None,
        actor: str = "",
        source: str = "",
        key: str = "",
        written_after: datetime | None = None,
        written_before: datetime | None = None,
        after_seq: int = 0,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[AuditEntry]:
        """Return the entries for which all that is given holds, oldest first by default.

        `after_seq` is the last entry that is known, and `limit` the most that are returned, by
        default all.
        """
        operation = operations.list_entries(
            self._driver.limits,
            session_id=session_id,
            scope=scope,
            actor=actor,
            source=source,
            key=key,
            written_after=written_after,
            written_before=written_before,
            after_seq=after_seq,
            newest_first=newest_first,
            limit=limit,
        )
        return await self._driver.run(operation)

    async def verify(self, known_seq: int = 0, known_hash: str = "") -> AuditVerification:
        """Follow the chain of hashes from its first entry to its last.

        With the `last_seq` and `last_hash` of an earlier verification it also shows that nothing
        up to there was altered.
        """
        operation = operations.verify(self._driver.limits, known_seq, known_hash)
        return await self._driver.run(operation)
