"""What the scripts that speak /api have in common: requests, checks, a socket of /api/stream.

They do what the clients of the settings contract do, by the standard library and websockets.
"""

import http.client
import json
import time
import uuid

from websockets.sync.client import connect

# How long anything may take before a script gives up, in seconds.
PATIENCE = 60
# How often a client of the contract looks whether a reply has come, in seconds.
POLL = 0.05
TERMINAL = {"completed", "complete", "failed", "error", "interrupted", "canceled", "cancelled"}
SESSION_MEMBERS = {
    "sessionId", "title", "materialized", "modelProvider", "approvalPolicy", "sessionControls",
    "createdAt", "updatedAt", "cwd", "source", "projectId",
}
CONTROLS_MEMBERS = {"model", "approvalPolicy", "networkAccess", "filesystemSandbox", "settings"}
THREAD_MEMBERS = {"id", "preview", "modelProvider", "createdAt", "updatedAt", "cwd", "source", "turns"}
ENTRY_MEMBERS = {
    "messageId", "turnId", "role", "type", "content", "details", "startedAt", "completedAt", "status",
}
ENTRY = {
    "messageId": "m1", "turnId": "t", "role": "system", "type": "note", "content": "Hello",
    "status": "complete",
}
ABSENT = object()
DELETED = "This chat was permanently deleted and is no longer available."


def script(steps):
    """A message that the scripted agent follows."""
    return f"FAKE_AGENT={steps}"


def equal(found, expected, what=""):
    assert found == expected, f"{what}: expected {expected!r}, found {found!r}"


class Api:
    def __init__(self, address, token):
        self.address = address
        self.token = token

    def headers(self):
        return {"authorization": f"Bearer {self.token}", "accept": "*/*"}

    def raw(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        connection.request(method, path, body=body, headers={**self.headers(), **(headers or {})})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        kind = response.getheader("content-type")
        equal(kind, "application/json; charset=utf-8", f"{method} {path}: {text!r}")
        return response.status, json.loads(text)

    def call(self, method, path, body=ABSENT):
        if body is ABSENT:
            return self.raw(method, path)
        headers = {"content-type": "application/json"}
        return self.raw(method, path, json.dumps(body).encode(), headers)

    def expect(self, status, method, path, body=ABSENT):
        found, answer = self.call(method, path, body)
        equal(found, status, f"{method} {path} {answer}")
        return answer

    def create(self, **members):
        made = self.expect(200, "POST", "/api/sessions", members)
        check_session(made["session"])
        check_thread(made["thread"])
        return made["session"]

    def send(self, session, text, **members):
        path = f"/api/sessions/{session}/messages"
        sent = self.expect(202, "POST", path, {"text": text, **members})
        equal(set(sent), {"status", "sessionId", "turnId"})
        equal((sent["status"], sent["sessionId"]), ("accepted", session))
        return sent["turnId"]

    def get(self, session):
        shown = self.expect(200, "GET", f"/api/sessions/{session}")
        equal(set(shown), {"session", "thread", "transcript"})
        check_session(shown["session"])
        check_thread(shown["thread"])
        for entry in shown["transcript"]:
            check_entry(entry)
        return shown

    def until_over(self, session, turn):
        """Polls as the clients do until a turn is over; gives all that is shown then."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            shown = self.get(session)
            status = {one["id"]: one["status"] for one in shown["thread"]["turns"]}.get(turn)
            if status in TERMINAL:
                return status, shown
            time.sleep(POLL)
        raise AssertionError(f"turn {turn} is not over")

    def reply(self, session, turn):
        """The last words of a turn, when it is over."""
        _, shown = self.until_over(session, turn)
        return reply_in(shown, turn)

    def stream(self, thread=None, **options):
        query = f"?threadId={thread}" if thread else ""
        socket = connect(
            f"ws://{self.address}/api/stream{query}",
            additional_headers={"authorization": f"Bearer {self.token}"},
            proxy=None,
            **options,
        )
        equal(json.loads(socket.recv(PATIENCE)), {"type": "ready", "threadId": thread})
        return Stream(socket)


def reply_in(shown, turn):
    said = [
        entry["content"]
        for entry in shown["transcript"]
        if entry["turnId"] == turn
        and entry["role"] == "assistant"
        and entry["status"] == "complete"
        and entry["content"].strip()
    ]
    return said[-1] if said else None


class Stream:
    """A socket, and what came over it."""

    def __init__(self, socket):
        self.socket = socket
        self.frames = []

    def say(self, command):
        self.socket.send(command if isinstance(command, str) else json.dumps(command))

    def next(self):
        text = self.socket.recv(PATIENCE)
        assert isinstance(text, str), "frames are text"
        assert len(text.encode()) < 1 << 20, "a frame is below 1 MiB"
        frame = json.loads(text)
        self.frames.append(frame)
        return frame

    def until(self, wanted):
        """Reads until a frame is wanted; gives it."""
        while True:
            frame = self.next()
            if wanted(frame):
                return frame

    def find(self, wanted):
        """Reads until a frame is wanted, unless one came already; gives it."""
        return next(filter(wanted, self.frames), None) or self.until(wanted)

    def until_type(self, kind):
        return self.until(lambda frame: frame["type"] == kind)

    def settle(self):
        """Reads all that was sent before the answer to a ping; gives its types."""
        before = len(self.frames)
        self.say({"type": "ping"})
        self.until_type("pong")
        return [frame["type"] for frame in self.frames[before:-1]]

    def close(self):
        self.socket.close()


def check_session(session):
    equal(set(session), SESSION_MEMBERS, "the members of a session")
    equal(set(session["sessionControls"]), CONTROLS_MEMBERS, "the members of controls")
    equal(session["approvalPolicy"], session["sessionControls"]["approvalPolicy"])
    for name in ("createdAt", "updatedAt"):
        assert isinstance(session[name], int), name
        assert session[name] < 10**11, f"{name} is in seconds"
    for name in ("sessionId", "title", "modelProvider", "cwd", "source"):
        assert isinstance(session[name], str) and session[name], name


def check_thread(thread):
    equal(set(thread), THREAD_MEMBERS, "the members of a thread")
    for turn in thread["turns"]:
        equal(set(turn), {"id", "status", "items"}, "the members of a turn")
        for item in turn["items"]:
            equal(set(item), {"id", "type"}, "the members of an item")


def check_entry(entry):
    equal(set(entry), ENTRY_MEMBERS, "the members of an entry")
    assert entry["role"] in {"user", "assistant", "system"}, entry
    assert entry["status"] in {"streaming", "complete", "canceled", "error"}, entry
    assert isinstance(entry["startedAt"], int) and isinstance(entry["completedAt"], int), entry
    assert entry["details"] is None or isinstance(entry["details"], str), entry


def unknown_ids():
    """Ids of no session: one that could be, and others that could not."""
    return [str(uuid.uuid4()), "x", "%20", "a%2Fb"]


def at(session, tail=""):
    return f"/api/sessions/{session}{tail}"


def issues(answer, *paths):
    """Checks that a body was refused for these members."""
    equal((answer["status"], answer["code"]), ("error", "invalid_request"), answer)
    equal(answer["message"], "request validation failed", answer)
    equal([issue["path"] for issue in answer["issues"]], [list(path) for path in paths], answer)
