"""Where the server is: profiles, variables of the environment, and the default of this machine.

The file, `$XDG_CONFIG_HOME/switchboard/profiles.toml`, is that of the command line; its keys and
what beats what are in `docs/profiles.md`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc

from switchboard.errors import ProfileError

__all__ = ["Connection", "resolve"]

# The profile that is always there: the server of this user on this machine.
LOCAL = "local"

_KEYS = ("url", "unix", "token", "token_file", "tls_ca")


@dataclass(frozen=True, slots=True)
class Connection:
    """How a server is reached."""

    #: `http://HOST:PORT`, `https://HOST:PORT` or `unix:PATH`.
    url: str
    token: str | None = None
    #: The certificates that a server at `https` is trusted by; None for those of gRPC.
    tls_ca: Path | None = None

    def __repr__(self) -> str:
        token = None if self.token is None else "…"
        return f"Connection(url={self.url!r}, token={token!r}, tls_ca={self.tls_ca!r})"

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket."""
        return self.url.startswith("unix:")

    @property
    def is_tls(self) -> bool:
        """Whether it is encrypted."""
        return self.url.startswith("https:")

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine hears what is sent there."""
        if self.is_unix:
            return True
        host = urlsplit(self.url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def resolve(
    profile: str | None = None,
    *,
    url: str | None = None,
    token: str | None = None,
    tls_ca: str | os.PathLike[str] | None = None,
    home: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Connection:
    """Find the server: what is given here, else the environment, the profile, the default.

    A profile's token and certificates go to its own address only, and the token of the home to
    this machine only.
    """
    variables = os.environ if environment is None else environment
    # An empty variable counts as absent.
    get = {name: value for name, value in variables.items() if value}.get
    name = profile or get("SWITCHBOARD_PROFILE")
    named = url or get("SWITCHBOARD_URL")
    if named:
        connection = Connection(_url(named, "url" if url else "SWITCHBOARD_URL"))
    elif name and (found := _profile(name, get)):
        connection = found
    else:
        connection = Connection(f"unix:{_home(home, get) / 'switchboard.sock'}")

    if given := token or get("SWITCHBOARD_TOKEN"):
        connection = replace(connection, token=given)
    elif connection.token is None and connection.is_local and not connection.is_unix:
        connection = replace(connection, token=_home_token(home, get))
    if tls_ca is not None:
        connection = replace(connection, tls_ca=Path(tls_ca).absolute())
    if connection.tls_ca and not connection.is_tls:
        raise _wrong(f"tls_ca: {connection.url} is not encrypted; it is for https://HOST:PORT")
    return connection


def _wrong(problem: str) -> ProfileError:
    return ProfileError(problem, reason="PROFILE_INVALID", code=grpc.StatusCode.INVALID_ARGUMENT)


def _url(text: str, where: str) -> str:
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        path = path[2:] if path.startswith("//") else path
        if path:
            return f"unix:{Path(path).absolute()}"
    try:
        parts = urlsplit(text)
        is_address = parts.hostname and parts.port and parts.path in ("", "/")
    except ValueError:
        is_address = False
    if not is_address or parts.scheme not in ("http", "https") or parts.query or parts.username:
        raise _wrong(
            f"{where}: {text!r}: expected http://HOST:PORT, https://HOST:PORT or unix:PATH"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _profile(name: str, get: Any) -> Connection | None:
    """The profile of this name; None for the server of this machine."""
    file = _config_directory(get) / "profiles.toml"
    try:
        profiles = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        profiles = {}
    except (OSError, ValueError) as error:
        raise _wrong(f"{file}: {error}") from error
    keys = profiles.get(name)
    if keys is None and name == LOCAL:
        return None
    if keys is None:
        known = ", ".join(sorted({*profiles, LOCAL}))
        raise _wrong(f"there is no profile {name!r} in {file}; there are: {known}")
    if not isinstance(keys, dict):
        raise _wrong(f"{file}: {name}: expected a table [{name}]")
    where = f"{file}: [{name}]"
    for key, value in keys.items():
        if key not in _KEYS:
            raise _wrong(f"{where}: unknown key {key!r}; expected one of {', '.join(_KEYS)}")
        if not isinstance(value, str) or not value:
            raise _wrong(f"{where}: {key}: expected a string that is not empty")
    return _connection(keys, where, file.parent, get)


def _connection(keys: Mapping[str, str], where: str, directory: Path, get: Any) -> Connection:
    def path(key: str) -> Path | None:
        text = keys.get(key)
        if text is None:
            return None
        if text.startswith("~/"):
            return Path(get("HOME") or "/") / text.removeprefix("~/")
        return directory / text

    socket = path("unix")
    if ("url" in keys) == (socket is not None):
        raise _wrong(f"{where}: expected either url or unix")
    url = f"unix:{socket}" if socket else _url(keys["url"], f"{where}: url")
    if "token" in keys and "token_file" in keys:
        raise _wrong(f"{where}: expected either token or token_file")
    token = keys.get("token")
    if token_file := path("token_file"):
        try:
            token = token_file.read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise _wrong(f"{where}: token_file: {error}") from error
        if not token:
            raise _wrong(f"{where}: token_file: {token_file} is empty")
    connection = Connection(url, token, path("tls_ca"))
    if connection.tls_ca and not connection.is_tls:
        raise _wrong(f"{where}: tls_ca: it is for https://HOST:PORT alone")
    return connection


def _config_directory(get: Any) -> Path:
    return _directory("XDG_CONFIG_HOME", ".config", get) / "switchboard"


def _home(home: str | os.PathLike[str] | None, get: Any) -> Path:
    if named := home or get("SWITCHBOARD_HOME"):
        return Path(named).absolute()
    return _directory("XDG_STATE_HOME", ".local/state", get) / "switchboard"


def _directory(variable: str, below_home: str, get: Any) -> Path:
    # The XDG specification says to ignore relative paths.
    named = get(variable)
    if named and Path(named).is_absolute():
        return Path(named)
    if not (user := get("HOME")) or not Path(user).is_absolute():
        raise _wrong(f"neither HOME nor {variable} is set; give url=, or set SWITCHBOARD_URL")
    return Path(user) / below_home


def _home_token(home: str | os.PathLike[str] | None, get: Any) -> str | None:
    try:
        return (_home(home, get) / "token").read_text("utf-8").strip() or None
    except (OSError, ValueError, ProfileError):
        # The server says that one is missing, and where to get it.
        return None
