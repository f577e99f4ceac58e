"""Programs that use the client: how they end, and what it is in a process that is forked."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import script
from following import running
from harness import GIVE_UP, Server, until

from switchboard import Chat, Reconnect, Switchboard, SwitchboardError
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


@pytest.mark.parametrize(
    "program",
    [
        # The iterator goes at once, or with the program.
        "for event in chat.events(): break",
        "events = chat.events()\nfor event in events: break",
        "events = chat.events()\nfor event in events:\n    if event.seq == 100: break",
        "events = chat.events('now', kinds=['session_deleted'])\n"
        "threading.Timer(0.1, os.kill, (os.getpid(), 2)).start()\n"
        "try:\n    next(events)\nexcept KeyboardInterrupt: pass",
        "with sb:\n    for event in chat.events(): break",
        "with sb:\n    events = chat.events()\n    next(events)",
        "for event in chat.events(): sys.exit()",
        "def follow():\n    for event in chat.events(): told.set()\n"
        "told = threading.Event()\n"
        "threading.Thread(target=follow, daemon=True).start()\n"
        "told.wait()",
        "changes = sb.sessions.watch()\nnext(changes)",
    ],
)
def test_a_program_that_reads_no_further_ends(talk: Chat, shared: Server, program: str) -> None:
    done = run(program, shared, talk.id)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_client_that_is_closed_leaves_no_thread(talk: Chat, shared: Server) -> None:
    def reading() -> int:
        return [thread.name for thread in threading.enumerate()].count("switchboard-stream")

    # Those of the tests before.
    until("the end of each", lambda: not reading())
    sb = Switchboard(f"unix:{shared.socket}")
    chat = sb.session(talk.id)
    # More is there than is read ahead, and of the last one nothing.
    streams: list[Iterator[Any]] = [chat.events(), chat.events(since=20), sb.sessions.watch()]
    for stream in streams:
        next(stream)
    news: list[Reconnect] = []

    def idle() -> None:
        with pytest.raises(RuntimeError, match="the client is closed"):
            next(chat.events("now", on_reconnect=news.append))

    with running(idle):
        until("all of them", lambda: reading() == 4 and sb.info().open_watches >= 3)
        sb.close()
        until("their end", lambda: not reading())
    assert not news
    for stream in streams:
        with pytest.raises(RuntimeError, match="the client is closed"):
            list(stream)


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
