# Generated from `_async` by `clients/python/generate`.
"""The way in: a client of one server."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from switchboard import _words as words
from switchboard._operations import sessions as operations
from switchboard._operations.call import Limits
from switchboard._sync.audit import Audit
from switchboard._sync.chat import Chat
from switchboard._sync.controls import SessionControls
from switchboard._sync.driver import Driver
from switchboard._sync.locks import ConfigLocks
from switchboard._sync.sessions import Sessions
from switchboard._sync.settings import Settings
from switchboard._sync.transport import Transport
from switchboard.profiles import Connection, resolve
from switchboard.types import ServerInfo

__all__ = ["Defaults", "Switchboard"]


class Defaults:
    """What new sessions begin with."""

    def __init__(self, driver: Driver) -> None:
        #: Their settings.
        self.settings = Settings(driver, "", "default")
        #: Their controls.
        self.controls = SessionControls(driver, "", "default")


class Switchboard:
    """A client of one server, over one connection that is made with the first call.

    Without arguments it is the server that the environment names (`SWITCHBOARD_URL`,
    `SWITCHBOARD_PROFILE`), else that of this user on this machine. `url` is `http://HOST:PORT`,
    `https://HOST:PORT` or `unix:PATH`; over TCP it needs the `token`, which by default is that in
    the server's `home` where the server is on this machine. `tls_ca` is a file of the
    certificates to trust in place of the usual ones. `timeout` bounds each call with all its
    attempts (`DeadlineExceeded`), and `connect_timeout` the wait for a server that never answered,
    in seconds. An address that is none, and a profile of no use, is a `ProfileError`.

    Calls are made again when the server is away for a moment. One that changes something has an
    id of its own, so that it is done once.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        tls_ca: str | os.PathLike[str] | None = None,
        home: str | os.PathLike[str] | None = None,
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
    ) -> None:
        connection = resolve(None, url=url, token=token, tls_ca=tls_ca, home=home)
        self._set_up(connection, timeout, connect_timeout)

    @classmethod
    def from_profile(
        cls,
        profile: str | None = None,
        *,
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
    ) -> Self:
        """Return a client of the server that a profile names.

        Profiles are in `$XDG_CONFIG_HOME/switchboard/profiles.toml`, which the command line reads
        too. `SWITCHBOARD_URL` and `SWITCHBOARD_TOKEN` beat what a profile says. `"local"` is the
        server of this user on this machine, unless the file says otherwise.
        """
        client = cls.__new__(cls)
        client._set_up(resolve(profile), timeout, connect_timeout)
        return client

    def _set_up(self, connection: Connection, timeout: float, connect_timeout: float) -> None:
        words.seconds(timeout, "timeout")
        words.seconds(connect_timeout, "connect_timeout")
        limits = Limits(timeout, connect_timeout)
        self._connection = connection
        self._driver = Driver(Transport(connection, connect_timeout), limits)
        #: All sessions.
        self.sessions = Sessions(self._driver)
        #: Who changed which settings and controls.
        self.audit = Audit(self._driver)
        #: What sessions run with, written down and compared.
        self.lock = ConfigLocks(self._driver)
        #: What new sessions begin with.
        self.defaults = Defaults(self._driver)

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._connection.url

    def session(self, session_id: str) -> Chat:
        """Return one session, by its whole id. The server is not asked."""
        return Chat(self._driver, session_id)

    def info(self) -> ServerInfo:
        """Return what the server says about itself."""
        return self._driver.run(operations.server_info(self._driver.limits))

    def close(self) -> None:
        """End the connection, with all that goes on there."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"
