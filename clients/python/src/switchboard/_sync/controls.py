# Generated from `_async` by `clients/python/generate`.
"""Controls: what an agent may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from switchboard._operations import settings as operations
from switchboard._operations.settings import Place
from switchboard._sync.driver import Driver
from switchboard.types import Controls, ControlsChange, ControlsDict, ControlsState, Scope

__all__ = ["SessionControls"]


class SessionControls:
    """The controls of a session: model, approval policy, network and sandbox."""

    def __init__(self, driver: Driver, session_id: str, scope: Scope = "session") -> None:
        self._driver = driver
        self._session_id = session_id
        self._scope: Scope = scope

    def get(self) -> ControlsState:
        """Return the controls and settings of the session, and those of new ones."""
        operation = operations.get_controls(self._driver.limits, self._session_id)
        return self._driver.run(operation)

    def apply(
        self,
        controls: Controls | ControlsDict | Mapping[str, Any],
        *,
        settings: Mapping[str, Any] | None = None,
        scope: Scope | None = None,
        actor: str = "",
        source: str = "",
        etag: str = "",
    ) -> ControlsChange:
        """Write all four controls and, where they are given, all settings.

        They are `Controls`, or a dictionary with `model` (None for the agent's own), and
        `approvalPolicy`, `networkAccess` and `filesystemSandbox`. They hold from the session's
        next turn on. Without `settings` those that are there stay. With `scope="default"` they
        are what new sessions begin with; where the operator locked those: `DefaultsLocked`. With
        the `etag` that was seen, nothing is written where something else is there: `EtagMismatch`.
        """
        place = Place(self._session_id, scope or self._scope, actor, source)
        limits = self._driver.limits
        operation = operations.apply_controls(limits, place, controls, settings, etag)
        return self._driver.run(operation)
