# Generated from `_async` by `clients/python/generate`.
"""Config locks: what sessions run with, so that they can be run again."""

from __future__ import annotations

import os

from switchboard._operations import locks as operations
from switchboard._operations import sessions
from switchboard._sync.driver import Driver
from switchboard.types import (
    ApprovalPolicy,
    Codex,
    ConfigLock,
    ConfigLockVerification,
    FilesystemSandbox,
    NetworkAccess,
)

__all__ = ["ChatLock", "ConfigLocks"]


class ConfigLocks:
    """Writes down what sessions run with, and compares that with what they would run with now.

    A lock is given as its text, or as the `pathlib.Path` of a file on this machine.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def export(
        self, session_id: str, *, save_fields_resolved_from_model_catalog: bool | None = None
    ) -> ConfigLock:
        """Write down what a session's next turn would run with. No turn runs.

        `save_fields_resolved_from_model_catalog=False` leaves out what only the catalogue of
        models says; by default it is as the server is configured.
        """
        limits = self._driver.limits
        save = save_fields_resolved_from_model_catalog
        return self._driver.run(operations.export(limits, session_id, save))

    def verify(
        self,
        config_lock: str | os.PathLike[str] | None = None,
        *,
        session_id: str = "",
        cwd: str | os.PathLike[str] | None = None,
        model: str | None = None,
        approval_policy: ApprovalPolicy | None = None,
        network_access: NetworkAccess | None = None,
        filesystem_sandbox: FilesystemSandbox | None = None,
        codex: Codex | None = None,
        allow_codex_version_mismatch: bool = False,
    ) -> ConfigLockVerification:
        """Say what would differ from a lock, without starting anything.

        With `session_id` it is the next turn of that session, by default compared with the lock
        that it has. Else it is a new session, with what is given of it; its directory is the
        lock's where none is given.
        """
        operation = operations.verify(
            self._driver.limits,
            config_lock,
            session_id,
            sessions.compared(
                session_id,
                cwd=cwd,
                model=model,
                approval_policy=approval_policy,
                network_access=network_access,
                filesystem_sandbox=filesystem_sandbox,
                codex=codex,
            ),
            allow_codex_version_mismatch,
        )
        return self._driver.run(operation)


class ChatLock:
    """The config lock of one session."""

    def __init__(self, driver: Driver, session_id: str) -> None:
        self._locks = ConfigLocks(driver)
        self._session_id = session_id

    def export(self, *, save_fields_resolved_from_model_catalog: bool | None = None) -> ConfigLock:
        """Write down what the next turn would run with. No turn runs."""
        save = save_fields_resolved_from_model_catalog
        return self._locks.export(self._session_id, save_fields_resolved_from_model_catalog=save)

    def verify(
        self,
        config_lock: str | os.PathLike[str] | None = None,
        *,
        allow_codex_version_mismatch: bool = False,
    ) -> ConfigLockVerification:
        """Say what of the next turn would differ from a lock, by default from the session's own."""
        return self._locks.verify(
            config_lock,
            session_id=self._session_id,
            allow_codex_version_mismatch=allow_codex_version_mismatch,
        )
