"""The stream: what sockets are told, by what they watch; and how they end."""

import json
import os
import socket
import threading

from websockets.exceptions import ConnectionClosed, InvalidStatus

from client import DELETED, ENTRY, at, check_entry, connect, equal, script


def stream(api, work, system):
    """What sockets are told, by what they watch."""
    one = api.create(cwd=work)["sessionId"]
    two = api.create(cwd=work)["sessionId"]
    everything, only = api.stream(), api.stream(one)
    for command in ["", "ping", "[]", "{}", '{"type":"x"}', '{"type":"subscribe"}', '{"type":"ping"'] :
        only.say(command)
        equal(only.next(), {"type": "error", "message": "invalid websocket command"}, command)
    equal(only.settle(), [], "nothing else is said")

    api.expect(200, "POST", at(one, "/rename"), {"title": "Named"})
    turn = api.send(one, script("thread,turn,command:ls,message:Hi,completed"))
    other = api.send(two, script("thread,turn,message:Ho,completed"))
    for one_of in (everything, only):
        one_of.until(lambda frame: frame["type"] == "app_server.turn.completed"
                     and frame["threadId"] == one)
        one_of.next()
        mine = [frame for frame in one_of.frames if frame.get("threadId") == one]
        kinds = [frame["type"] for frame in mine]
        equal(kinds[::2], [
            "app_server.thread.started", "app_server.turn.started", "app_server.item.started",
            "app_server.item.completed", "app_server.item.completed", "app_server.turn.completed",
        ])
        equal(set(kinds[1::2]), {"notification"})
        for around, bare in zip(mine[::2], mine[1::2]):
            payload = around["payload"]
            equal(bare["payload"], {"method": payload["method"], "params": payload["params"]})
            equal(set(payload), {
                "source", "signalType", "eventType", "method", "receivedAt", "context", "params",
                "session",
            })
            equal((payload["source"], payload["signalType"]), ("app_server", "notification"))
            equal(around["type"], f"app_server.{payload['eventType']}")
            equal(payload["context"], {"threadId": one, "turnId": turn})
            equal((payload["params"]["threadId"], payload["params"]["turnId"]), (one, turn))
            equal(payload["session"], {"id": one, "title": "Named", "projectId": None})
        equal(mine[-2]["payload"]["params"]["turn"]["status"], "completed")
        equal(mine[8]["payload"]["params"]["item"]["text"], "Hi")
    api.until_over(two, other)
    only.settle()
    assert two not in {frame.get("threadId") for frame in only.frames}
    everything.find(lambda frame: frame["type"] == "app_server.turn.completed"
                    and frame["threadId"] == two)
    everything.settle()

    # Systems' own are told to those who ask for them alone.
    reserved = api.stream(system)
    open(os.path.join(work, "system"), "w").close()
    reserved.until_type("app_server.turn.completed")
    everything.settle()
    assert system not in {frame.get("threadId") for frame in everything.frames}

    # Broadcast, and not.
    api.expect(200, "POST", at(two, "/project"), {"projectId": "p"})
    for socket in (everything, only):
        moved = socket.until_type("session_project_updated")
        expected = {"sessionId": two, "projectId": "p", "previousProjectId": None}
        equal((moved["threadId"], moved["payload"]), (two, expected))
    api.expect(200, "POST", at(two, "/project"), {"projectId": None})
    for socket in (everything, only):
        moved = socket.until_type("session_project_updated")
        equal(moved["payload"]["previousProjectId"], "p")
    api.expect(200, "POST", at(two, "/transcript/upsert"), ENTRY)
    updated = everything.until_type("transcript_updated")
    equal((updated["threadId"], updated["payload"]["sessionId"]), (two, two))
    equal(updated["payload"]["entry"]["content"], "Hello")
    api.expect(200, "POST", at(two, "/settings"), {"scope": "session", "key": "a", "value": 1})
    changed = everything.until_type("session_controls_updated")
    entry = changed["payload"]["entry"]
    check_entry(entry)
    equal(entry, api.get(two)["transcript"][-1])
    equal(json.loads(entry["details"])["next"]["settings"], {"a": 1})
    # What transcripts do not show is told without an entry of theirs.
    api.expect(200, "POST", at(two, "/approval-policy"), {"approvalPolicy": "never"})
    changed = everything.until_type("session_controls_updated")
    equal(set(changed["payload"]), {"sessionId", "controls"})
    equal(changed["payload"]["controls"], api.get(two)["session"]["sessionControls"])
    equal(api.get(two)["transcript"][-1], entry)
    equal(only.settle(), [])

    # The filter is changed.
    only.say({"type": "subscribe", "threadId": two})
    equal(only.settle(), [])
    turn = api.send(two, script("thread,turn,message:Again,sleep"))
    only.until_type("app_server.item.completed")
    only.next()
    api.expect(200, "POST", at(two, "/interrupt"))
    ended = only.until_type("app_server.turn.completed")
    equal(ended["payload"]["params"]["turn"]["status"], "interrupted")
    equal(ended["payload"]["params"]["turnId"], turn)
    only.next()
    only.say({"type": "unsubscribe"})
    equal(only.settle(), [])
    api.expect(200, "POST", at(one, "/transcript/upsert"), ENTRY)
    equal(only.until_type("transcript_updated")["threadId"], one)
    only.say({"type": "subscribe", "threadId": "no-such-thread"})
    equal(only.settle(), [])

    # Deleted: once, to everybody, whether or not anything was told of it before.
    quiet = api.create(cwd=work)["sessionId"]
    late = api.stream("no-such-thread")
    api.until_over(two, turn)
    for session, title in [(two, None), (quiet, None), (one, "Named")]:
        api.expect(200, "DELETE", at(session))
        for socket in (everything, only, late):
            gone = socket.until_type("session_deleted")
            equal((gone["threadId"], gone["payload"]["sessionId"]), (session, session))
            equal((gone["payload"]["status"], gone["payload"]["message"]), ("deleted", DELETED))
            equal(gone["payload"].get("title"), title)
    for socket in (everything, only, late):
        assert "session_deleted" not in socket.settle(), "it is told once"
        socket.close()

    # Large lines come cut, and the socket lives on.
    session = api.create(cwd=work)["sessionId"]
    whole = api.stream(session)
    turn = api.send(session, script("thread,turn,big:3000000,message:after,completed"))
    whole.until_type("app_server.turn.completed")
    items = [frame["payload"]["params"]["item"] for frame in whole.frames
             if frame["type"] == "app_server.item.completed"]
    assert items[0]["truncated"] and "after" in items[1]["text"], items
    large = {**ENTRY, "content": "x" * 1_000_000, "details": "y" * 40_000}
    api.expect(200, "POST", at(session, "/transcript/upsert"), large)
    updated = whole.until_type("transcript_updated")
    equal(updated["payload"]["entry"]["messageId"], "m1")
    whole.close()


def midway(api, work):
    """A socket that is opened while a turn runs is told what the turn says from then on."""
    session = api.create(cwd=work)["sessionId"]
    eager = api.stream(session)
    go = os.path.join(work, "midway")
    turn = api.send(session, script(f"thread,turn,print:500,wait:{go},message:after,completed"))
    eager.until(lambda frame: said_in(frame) == "500")
    late, everything = api.stream(session), api.stream()
    open(go, "w").close()
    for one_of in (late, everything):
        one_of.until_type("app_server.turn.completed")
        equal([frame["type"] for frame in one_of.frames], [
            "app_server.item.completed", "notification", "app_server.turn.completed",
        ])
        equal(said_in(one_of.frames[1]), "after")
        one_of.close()
    api.until_over(session, turn)
    eager.close()


def said_in(frame):
    """What an agent says in the bare frame of an item."""
    return frame.get("payload", {}).get("params", {}).get("item", {}).get("text") \
        if frame["type"] == "notification" else None


def limits(api):
    """Commands that are too large, tokens that are wrong, origins that are foreign."""
    socket = api.stream()
    socket.say("x" * (64 << 10))
    equal(socket.next()["type"], "error")
    socket.say("x" * ((64 << 10) + 1))
    try:
        while True:
            socket.next()
    except ConnectionClosed as closed:
        equal(closed.rcvd.code, 1009)
    # Frames by hand, masked by zeros: text that is not UTF-8, and an opcode that is reserved.
    for header, code in [(b"\x81\x81", 1007), (b"\x83\x81", 1002)]:
        broken = api.stream()
        broken.socket.socket.sendall(header + bytes(4) + b"\xff")
        try:
            broken.next()
            raise AssertionError("it was taken")
        except ConnectionClosed as closed:
            equal(closed.rcvd.code, code)
    for headers, status in [
        ({}, 401),
        ({"authorization": "Bearer x"}, 401),
        ({"authorization": f"Bearer {api.token}", "origin": "http://evil.example"}, 403),
    ]:
        try:
            connect(f"ws://{api.address}/api/stream", additional_headers=headers, proxy=None)
            raise AssertionError("it was let in")
        except InvalidStatus as refused:
            equal(refused.response.status_code, status)


def slow(api, work, lines):
    """A client that does not read holds nobody up, and reads all in the end."""
    session = api.create(cwd=work)["sessionId"]
    host, port = api.address.rsplit(":", 1)
    narrow = socket.create_connection((host, int(port)))
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
    # Its library would ask it for what it does not read.
    lazy = api.stream(session, sock=narrow, max_queue=1, ping_interval=None)
    eager = api.stream(session)
    turn = api.send(session, script(f"thread,turn,print:{lines}:2000,completed"))
    eager.until_type("app_server.turn.completed")
    api.until_over(session, turn)
    lazy.until_type("app_server.turn.completed")
    for reader in (eager, lazy):
        texts = [frame["payload"]["params"]["item"]["text"] for frame in reader.frames
                 if frame["type"] == "notification" and frame["payload"]["method"] == "item/completed"]
        equal(len(texts), int(lines))
        equal([int(text.split()[0]) for text in texts], list(range(1, int(lines) + 1)))
        reader.close()


def draining(api, work, count):
    """Sockets that are open when the server goes down, one of which does not read."""
    session = api.create(cwd=work)["sessionId"]
    host, port = api.address.rsplit(":", 1)
    narrow = socket.create_connection((host, int(port)))
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
    deaf = api.stream(session, sock=narrow, max_queue=1, ping_interval=None)
    open_ones = [api.stream() for _ in range(int(count))]
    turn = api.send(session, script("thread,turn,print:2000:2000,completed"))
    api.until_over(session, turn)
    codes = []

    def read(one):
        try:
            while True:
                one.next()
        except ConnectionClosed as closed:
            codes.append(closed.rcvd.code if closed.rcvd else None)

    readers = [threading.Thread(target=read, args=(one,)) for one in open_ones]
    for reader in readers:
        reader.start()
    print("open", flush=True)
    for reader in readers:
        reader.join()
    equal(codes, [1001] * int(count))
    deaf.socket.socket.close()


def life(api, work, text, reply):
    """What the clients of the contract do with an agent that nobody scripts: all of a session's life."""
    session = api.create(cwd=work, approvalPolicy="never")["sessionId"]
    watcher = api.stream(session)
    turn = api.send(session, text)
    equal(api.reply(session, turn), reply)
    ended = watcher.until_type("app_server.turn.completed")
    equal(ended["payload"]["params"]["turn"], {"id": turn, "status": "completed", "items": []})
    said = [frame["payload"]["params"]["item"] for frame in watcher.frames
            if frame["type"] == "app_server.item.completed"]
    equal((said[-1]["type"], said[-1]["text"]), ("agent_message", reply))
    shown = api.get(session)
    assert shown["session"]["materialized"] and shown["session"]["title"] == "New chat"
    deleted = api.expect(200, "DELETE", at(session))
    assert deleted["deletedFileCount"] > 0
    watcher.until_type("session_deleted")
    api.expect(410, "GET", at(session))
