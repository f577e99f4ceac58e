"""Sessions, their turns and what they said."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import script
from following import interrupted
from harness import GIVE_UP, Server, seeded

from switchboard import (
    Chat,
    Codex,
    Session,
    SessionChange,
    SessionDeleted,
    SessionRunning,
    Switchboard,
    Usage,
    WaitTimeout,
)


def test_a_session_is_created_found_changed_and_deleted(sb: Switchboard, shared: Server) -> None:
    created = sb.sessions.create(
        shared.work,
        title="first",
        labels={"team": "a"},
        model="gpt-5.4",
        approval_policy="never",
        filesystem_sandbox="workspace-write",
        codex=Codex(config={"model_reasoning_effort": '"high"'}, web_search="cached"),
        source="orchestrator:7",
    )
    assert (created.state, created.title, created.model) == ("pending", "first", "gpt-5.4")
    assert (created.approval_policy, created.network_access) == ("never", None)
    assert created.codex.web_search == "cached"
    assert created.codex.config == {"model_reasoning_effort": '"high"'}
    assert not created.at_rest
    found = sb.sessions.get(created.id[:8])
    assert found.id == created.id
    assert found.disk_bytes
    now = datetime.now(UTC)
    assert created.create_time is not None
    assert now - timedelta(minutes=1) < created.create_time <= now

    changed = sb.sessions.update(created.id, title="second", archived=True, etag=created.etag)
    assert (changed.title, changed.labels, changed.archived) == ("second", {"team": "a"}, True)
    listed = sb.sessions.list(archived=None, labels={"team": ""}, source="orchestrator:7")
    assert [each.id for each in listed] == [created.id]
    assert sb.sessions.list(source="orchestrator:7") == []
    assert sb.sessions.delete(created.id).title == "second"
    with pytest.raises(SessionDeleted):
        sb.sessions.get(created.id)


def test_a_relative_directory_is_that_of_this_process(
    sb: Switchboard, shared: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shared.work / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(shared.work / "here")
    assert sb.sessions.create(cwd=".").working_directory == str(shared.work / "here")
    assert sb.sessions.create(cwd=Path("below/..")).working_directory == str(Path.cwd())
    below = sb.sessions.create("below")
    assert [each.id for each in sb.sessions.list(cwd="below")] == [below.id]
    assert len(sb.sessions.list(cwd=".")) == 3
    assert len(sb.sessions.list(cwd=".", limit=2)) == 2


def test_a_turn_is_sent_waited_for_and_read(chat: Chat) -> None:
    turn = chat.send(script("thread", "turn", "command:ls", "message:it is done", "completed"))
    assert (turn.number, turn.state) == (1, "running")
    session = chat.wait(timeout=GIVE_UP)
    assert (session.state, session.at_rest, session.turn_count) == ("completed", True, 1)
    assert session.usage == Usage(100, 10, 0, 20, 5)
    assert session.usage + session.usage == Usage(200, 20, 0, 40, 10)
    messages = chat.messages()
    assert [message.role for message in messages] == ["user", "tool", "assistant"]
    assert messages[0].content.startswith("FAKE_AGENT=")
    assert (messages[1].name, messages[1].input, messages[1].exit_code) == (
        "command",
        "/bin/bash -lc 'ls'",
        0,
    )
    assert (messages[2].content, messages[2].truncated) == ("it is done", False)
    steps = chat.trajectory(turn=1)
    assert [step.kind for step in steps] == ["prompt", "command", "message"]
    assert steps[1].data["exit_code"] == 0
    assert chat.trajectory(max_characters=5)[0].data["text"] == "FAKE_"
    output = chat.output()
    assert output.splitlines()[0].startswith(b'{"type":"thread.started"')
    assert chat.output(1, offset=5, length=10) == output[5:15]
    assert chat.output(stream="stderr") == b""
    (only,) = chat.turns()
    assert (only.state, only.exit_code, only.usage) == ("completed", 0, Usage(100, 10, 0, 20, 5))
    assert only.at_rest


def test_a_running_turn_is_interrupted_and_killed(chat: Chat) -> None:
    chat.send(script("thread", "turn", "sleep"))
    with pytest.raises(SessionRunning):
        chat.send("and now?")
    with pytest.raises(WaitTimeout) as raised:
        chat.wait(timeout=0.01)
    assert (raised.value.state, raised.value.session_id) == ("running", chat.id)
    assert chat.wait(states=["running"]).state == "running"
    assert chat.interrupt().state == "stopping"
    assert chat.wait(GIVE_UP).state == "interrupted"
    chat.send(script("ignore-int", "thread", "turn", "sleep"))
    assert chat.kill().state == "stopping"
    assert chat.wait(GIVE_UP).state == "killed"
    assert [turn.state for turn in chat.turns()] == ["interrupted", "killed"]


def test_ctrl_c_ends_what_is_waited_for_and_leaves_the_turn(sb: Switchboard, chat: Chat) -> None:
    dice = seeded()
    with interrupted(dice.uniform(0, 0.02)):
        chat.send(script("thread", "turn", "sleep"))
        chat.wait()
    # It may have arrived, or arrive yet.
    with suppress(SessionRunning):
        chat.send(script("thread", "turn", "sleep"))
    for _ in range(5):
        with interrupted(dice.uniform(0, 0.02)):
            chat.wait()
        with interrupted(dice.uniform(0, 0.02)):
            while True:
                chat.output()
    assert [turn.state for turn in chat.turns()] == ["running"]
    chat.kill()
    assert chat.wait(GIVE_UP).state == "killed"


def test_a_fork_begins_with_the_history(sb: Switchboard, chat: Chat) -> None:
    chat.send(script("thread", "turn", "message", "completed"))
    source = chat.wait(GIVE_UP)
    fork = chat.fork(title="a fork", filesystem_sandbox="read-only")
    assert (fork.forked_from, fork.title) == (chat.id, "a fork")
    assert fork.working_directory == source.working_directory
    assert fork.filesystem_sandbox == "read-only"
    sb.session(fork.id).delete()


def test_sessions_that_did_nothing_for_long_are_cleaned_up(sb: Switchboard, shared: Server) -> None:
    label = {"cleanup": "yes"}
    session = sb.sessions.create(shared.work, script("thread", "turn", "completed"), labels=label)
    sb.session(session.id).wait(GIVE_UP)
    age = timedelta(0)
    assert session.id in sb.sessions.cleanup(older_than=age, states=["completed"], dry_run=True)
    assert sb.sessions.cleanup(older_than=timedelta(days=1)) == []
    assert session.id in sb.sessions.cleanup(older_than=age, states=["completed"])
    assert sb.sessions.list(labels=label) == []


def test_all_sessions_are_watched_across_a_restart() -> None:
    server = Server()
    try:
        with Switchboard(f"unix:{server.socket}") as sb:
            first = sb.sessions.create(server.work, title="first")
            news: list[SessionChange] = []
            lost = threading.Event()

            def watched(kind: str, session: Session | None = None) -> SessionChange:
                for change in changes:
                    news.append(change)
                    wanted = session is None or change.session_id == session.id
                    if change.kind == kind and wanted:
                        return change
                raise AssertionError("it ended")

            changes = sb.sessions.watch(on_reconnect=lambda _: lost.set())
            assert watched("session").session_id == first.id
            assert watched("synced").cursor
            server.kill()
            server.start()
            second = sb.sessions.create(server.work, title="second")
            assert watched("session", second).session == second
            assert lost.is_set()
            sb.sessions.delete(first.id)
            gone = watched("deleted")
            assert (gone.session_id, gone.session) == (first.id, None)
            assert gone.delete_time is not None
            resumed = next(iter(sb.sessions.watch(gone.cursor)))
            assert resumed.kind == "synced"
    finally:
        server.close()


def test_a_transcript_is_replayed(sb: Switchboard, shared: Server) -> None:
    root = Path(__file__).resolve().parents[3]
    transcript = os.path.relpath(root / "src/cli/demo/transcript.jsonl")
    plain = shared.work / "plain.jsonl"
    # Without its pauses.
    plain.write_bytes(Path(transcript).read_bytes())
    session = sb.sessions.create(shared.work, "go", agent=f"replay:{os.path.relpath(plain)}")
    assert sb.session(session.id).wait(GIVE_UP).state == "completed"


def test_the_server_tells_about_itself(sb: Switchboard, shared: Server) -> None:
    info = sb.info()
    assert info.home == str(shared.home)
    assert f"unix:{shared.socket}" in info.addresses
    assert info.codex_version == "0.169.0"
    assert info.limits["max_prompt_bytes"] == 4 << 20
    assert info.limits["json_rpc"]["ping_interval"] == 20.0
