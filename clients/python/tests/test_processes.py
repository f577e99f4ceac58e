"""Programs that use the client: how they end, and what it is in a process that is forked."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import script
from harness import GIVE_UP, Server

from switchboard import Chat, Switchboard, SwitchboardError
from switchboard._status import lost
from switchboard._sync.transport import _Stream

SOURCE = Path(__file__).resolve().parents[1] / "src"

# What each program begins with. More was printed in the session than is read ahead.
BEGIN = """
import os, sys, threading
from switchboard import AsyncSwitchboard, Switchboard
url, session_id = sys.argv[1:]
sb = Switchboard(url)
chat = sb.session(session_id)
"""


def run(program: str, server: Server, session_id: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which has to come although the session goes on."""
    return subprocess.run(
        [sys.executable, "-c", BEGIN + program, f"unix:{server.socket}", session_id],
        env=server.environment(PYTHONPATH=str(SOURCE)),
        capture_output=True,
        text=True,
        check=False,
        timeout=GIVE_UP,
    )


@pytest.fixture
def talk(sb: Switchboard, shared: Server) -> Chat:
    """A session whose turn runs, and that said a lot."""
    chat = sb.session(sb.sessions.create(shared.work).id)
    chat.send(script("thread", "turn", "print:200", "sleep"))
    assert any(event.seq == 200 for event in chat.events())
    return chat


FORK = """
sb.info()
channel = sb._driver._transport._open()
# As if another thread made a call just now.
with sb._driver._transport._held.lock:
    child = os.fork()
    if not child:
        seqs = [event.seq for event in chat.events(follow=False)]
        assert seqs == list(range(1, len(seqs) + 1)), seqs
        assert sb._driver._transport._open() is not channel
        sb.close()
        sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert sb._driver._transport._open() is channel
print(sb.info().home)
"""

ASYNC = """
import asyncio
client = AsyncSwitchboard(url)
with asyncio.Runner() as runner:
    runner.run(client.info())
    child = os.fork()
    if not child:
        try:
            asyncio.run(client.info())
        except RuntimeError as error:
            print(error, flush=True)
        asyncio.run(client.close())
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    print(runner.run(client.info()).home)
    runner.run(client.close())
"""


def test_a_process_that_is_forked_has_a_connection_of_its_own(talk: Chat, shared: Server) -> None:
    done = run(FORK, shared, talk.id)
    assert (done.returncode, done.stdout) == (0, f"{shared.home}\n"), done.stderr


def test_a_process_that_is_forked_has_an_async_client_of_its_own(
    talk: Chat, shared: Server
) -> None:
    done = run(ASYNC, shared, talk.id)
    refused = "the client belongs to another process; make one for each"
    assert (done.returncode, done.stdout) == (0, f"{refused}\n{shared.home}\n"), done.stderr


def test_a_stream_of_another_process_is_begun_anew(talk: Chat, shared: Server) -> None:
    """It goes on after the last event that was told in the other."""
    never = threading.Event()
    stream = _Stream(lambda: iter(lambda: never.wait(GIVE_UP), True))
    stream.reading._process += 1
    with pytest.raises(SwitchboardError, match="another process") as raised:
        stream.next(GIVE_UP)
    assert lost(raised.value)
    never.set()
