"""What the tests share: a server for those that leave it as it is, and clients of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Server

from switchboard import Chat, Switchboard


@pytest.fixture(autouse=True)
def _nothing_of_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("SWITCHBOARD_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="session")
def shared() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def own() -> Iterator[Server]:
    """A server for a test alone, which may end it and start it again."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def sb(shared: Server) -> Iterator[Switchboard]:
    with Switchboard(f"unix:{shared.socket}") as client:
        yield client


@pytest.fixture
def chat(sb: Switchboard, shared: Server) -> Chat:
    return sb.session(sb.sessions.create(shared.work).id)


def script(*steps: str) -> str:
    """A prompt that has the agent do this."""
    return "FAKE_AGENT=" + ",".join(steps)
