# Generated from `_async` by `clients/python/generate`.
"""Settings, and the namespaces inside of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from switchboard import _paths
from switchboard._operations import settings as operations
from switchboard._operations.settings import Place
from switchboard._sync.driver import Driver
from switchboard.types import ABSENT, Scope, SettingsChange

__all__ = ["Namespace", "Settings"]


class Settings:
    """The settings of a session: a map of JSON values that its clients share.

    With `scope="default"` it is the map that new sessions begin with. Every write takes who
    writes (`actor`, `"user"` by default) and what it writes with (`source`, `"grpc"` by default),
    which the audit keeps.
    """

    def __init__(self, driver: Driver, session_id: str, scope: Scope = "session") -> None:
        self._driver = driver
        self._session_id = session_id
        self._scope: Scope = scope

    def _place(self, scope: Scope | None, actor: str = "", source: str = "") -> Place:
        return Place(self._session_id, scope or self._scope, actor, source)

    def get(
        self, key: str | None = None, *, default: Any = ABSENT, scope: Scope | None = None
    ) -> Any:
        """Return the value at `key`, or the whole map where no key is given.

        Dots mean nothing in a key. A key that is not there raises `SettingNotFound`, or gives
        `default`. Numbers come and go back to the digit.
        """
        operation = operations.get(self._driver.limits, self._place(scope), key, default)
        return self._driver.run(operation)

    def set(
        self,
        key: str | None = None,
        value: Any = ABSENT,
        *,
        settings: Mapping[str, Any] | None = None,
        mode: Literal["merge", "replace"] = "merge",
        scope: Scope | None = None,
        actor: str = "",
        source: str = "",
        etag: str = "",
    ) -> SettingsChange:
        """Write one key with its `value`, or several `settings` at once.

        With `settings`, other keys stay (`mode="merge"`) or go (`mode="replace"`); the values
        of those that are named are replaced as a whole. With the `etag` that was seen, nothing
        is written where something else is there: `EtagMismatch`.
        """
        place = self._place(scope, actor, source)
        limits = self._driver.limits
        operation = operations.update(limits, place, key, value, settings, mode, etag)
        return self._driver.run(operation)

    def unset(
        self,
        key: str,
        *,
        scope: Scope | None = None,
        actor: str = "",
        source: str = "",
        etag: str = "",
    ) -> SettingsChange:
        """Remove a key. One that is not there is no error: the outcome is `"unchanged"`."""
        place = self._place(scope, actor, source)
        return self._driver.run(operations.unset(self._driver.limits, place, key, etag))

    def namespace(self, path: str) -> Namespace:
        """Return what lies at a dotted path, such as `"team.review"`: a key and members below it.

        A part that holds dots is written in double quotes: `'"a.b".c'`.
        """
        return Namespace(self, _paths.parse(path))


class Namespace:
    """A value inside of a setting. Its writes are atomic.

    Whoever else writes to the same setting at the same time, nothing of it is lost: a value that
    was changed meanwhile is read again.
    """

    def __init__(self, settings: Settings, path: _paths.Path) -> None:
        self._settings = settings
        self._path = path

    @property
    def path(self) -> str:
        """The dotted path."""
        return str(self._path)

    def namespace(self, path: str) -> Namespace:
        """Return what lies further below."""
        return Namespace(self._settings, self._path / _paths.parse(path))

    def get(self, *, default: Any = ABSENT, scope: Scope | None = None) -> Any:
        """Return the value. Where there is none: `SettingNotFound`, or `default`."""
        driver, place = self._settings._driver, self._settings._place(scope)
        return driver.run(operations.get_below(driver.limits, place, self._path, default))

    def set(
        self, value: Any, *, scope: Scope | None = None, actor: str = "", source: str = ""
    ) -> SettingsChange:
        """Put a value in its place. Objects that are missing on the way are made."""
        driver, place = self._settings._driver, self._settings._place(scope, actor, source)
        return driver.run(operations.set_below(driver.limits, place, self._path, value))

    def merge(
        self,
        patch: Mapping[str, Any],
        *,
        scope: Scope | None = None,
        actor: str = "",
        source: str = "",
    ) -> SettingsChange:
        """Merge an object into the one that is there, to any depth.

        Arrays are replaced as a whole, and null is a value like others: it removes nothing.
        """
        driver, place = self._settings._driver, self._settings._place(scope, actor, source)
        return driver.run(operations.merge_below(driver.limits, place, self._path, patch))

    def unset(
        self, *, scope: Scope | None = None, actor: str = "", source: str = ""
    ) -> SettingsChange:
        """Remove the value. What is above it stays, also where it is empty then."""
        driver, place = self._settings._driver, self._settings._place(scope, actor, source)
        return driver.run(operations.unset_below(driver.limits, place, self._path))
