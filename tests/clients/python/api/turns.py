"""Turns and what is said in them: messages, interruptions, forks, transcripts."""

import json
import os

from client import ENTRY, at, check_entry, equal, issues, reply_in, script
from routes import ROUTES_OF_SESSIONS, call


def turns(api, work):
    """Turns begin, are shown while they run, end, are interrupted; sessions are forked."""
    # A policy that the agent cannot honour would be told in each turn.
    session = api.create(cwd=work, approvalPolicy="never")["sessionId"]
    equal(api.expect(409, "POST", at(session, "/fork"))["code"], "invalid_state")
    never = {"status": "no_active_turn", "sessionId": session}
    equal(api.expect(409, "POST", at(session, "/interrupt")), never)
    for body, path in [
        ({}, ["text"]), ({"text": " "}, ["text"]), ({"text": None}, ["text"]),
        ({"text": "x", "effort": "huge"}, ["effort"]), ({"text": "x", "model": None}, ["model"]),
        ({"text": "x", "approvalPolicy": ""}, ["approvalPolicy"]),
    ]:
        issues(api.expect(400, "POST", at(session, "/messages"), body), path)

    # A message that cannot be taken leaves the controls as they are.
    place = os.path.join(work, "gone")
    os.mkdir(place)
    lost = api.create(cwd=place)["sessionId"]
    before = api.get(lost)["session"]["sessionControls"]
    os.rmdir(place)
    refused = {"text": "x", "networkAccess": "enabled", "approvalPolicy": "never"}
    equal(api.expect(400, "POST", at(lost, "/messages"), refused)["code"], "invalid_params")
    equal(api.get(lost)["session"]["sessionControls"], before)

    turn = api.send(session, script("thread,turn,command:ls,message:first,message:The reply,completed"))
    equal(turn, f"{session}:1")
    equal(api.reply(session, turn), "The reply")
    _, shown = api.until_over(session, turn)
    assert shown["session"]["materialized"], "codex has a thread now"
    assert shown["thread"]["preview"].startswith("FAKE_AGENT="), shown
    equal([entry["role"] for entry in shown["transcript"]], ["user", "system", "assistant", "assistant"])
    equal([entry["type"] for entry in shown["transcript"]][1:3], ["commandExecution", "agentMessage"])
    items = shown["thread"]["turns"][0]["items"]
    equal([item["type"] for item in items][0], "userMessage")
    equal(len({item["id"] for item in items}), len(items))

    # What comes with a message stays; a running turn keeps others out, and their controls too.
    wait = os.path.join(work, "go")
    running = api.send(
        session, script(f"thread,turn,argv,message:working,wait:{wait},completed"),
        model="other", effort="low", approvalPolicy="never", networkAccess="enabled",
        filesystemSandbox="danger-full-access",
    )
    controls = api.get(session)["session"]["sessionControls"]
    expected = {
        "model": "other", "approvalPolicy": "never", "networkAccess": "enabled",
        "filesystemSandbox": "danger-full-access", "settings": {},
    }
    equal(controls, expected)
    while reply_in(api.get(session), running) != "working":
        pass
    equal(api.get(session)["thread"]["turns"][1]["status"], "inProgress")
    argv = next(
        entry["content"] for entry in api.get(session)["transcript"]
        if entry["turnId"] == running and entry["role"] == "assistant"
    )
    argv = json.loads(argv)
    assert 'model_reasoning_effort="low"' in argv and argv[argv.index("-m") + 1] == "other", argv
    busy = api.expect(409, "POST", at(session, "/messages"), {"text": "Hi", "model": "third"})
    equal(set(busy), {"status", "code", "message", "details"})
    equal((busy["status"], busy["code"]), ("error", "invalid_state"))
    equal(api.get(session)["session"]["sessionControls"], expected, "nothing was changed for it")
    other = {"turnId": f"{session}:1"}
    equal(api.expect(409, "POST", at(session, "/interrupt"), other), never)
    stopped = api.expect(200, "POST", at(session, "/interrupt"), {"turnId": running})
    equal(stopped, {"status": "ok", "sessionId": session, "turnId": running})
    status, _ = api.until_over(session, running)
    equal(status, "interrupted")
    issues(api.expect(400, "POST", at(session, "/interrupt"), {"turnId": ""}), ["turnId"])

    third = api.send(session, script("thread,turn,argv,completed"))
    said = api.reply(session, third)
    assert "model_reasoning_effort" not in said, "an effort is for one turn"
    assert "other" in said, "a model stays"
    failed = api.send(session, script("thread,turn,message:half,failed:no luck"))
    status, shown = api.until_over(session, failed)
    equal(status, "failed")
    assert any(entry["status"] == "error" for entry in shown["transcript"]), shown["transcript"]

    forked = api.expect(200, "POST", at(session, "/fork"))
    equal(set(forked), {"status", "session", "thread"})
    equal(forked["session"]["sessionControls"], expected, "a fork has the controls of its source")
    assert forked["session"]["sessionId"] != session
    turn = api.send(forked["session"]["sessionId"], script("thread,turn,argv,completed"))
    assert "fork" in api.reply(forked["session"]["sessionId"], turn)


def unsupported(api, work):
    """What these agents cannot do, and lists of which nothing can be."""
    session = api.create(cwd=work)["sessionId"]
    for method, tail, body in ROUTES_OF_SESSIONS[11:]:
        status, answer = call(api, method, at(session, tail), body)
        equal((status, answer["code"]), (501, "method_not_supported"), tail)
        equal(set(answer), {"status", "code", "message", "details"})
    for tail in ("/approvals", "/tool-input", "/tool-calls"):
        equal(api.expect(200, "GET", at(session, tail)), {"data": []})
    for path in ("approvals/1/decision", "tool-input/1/decision", "tool-calls/1/response"):
        equal(api.expect(501, "POST", f"/api/{path}", {})["code"], "method_not_supported")
    for method, path in [("PUT", at(session)), ("GET", at(session, "/rename")), ("GET", "/api/stream")]:
        equal(api.expect(404, method, path)["message"], f"Route {method}:{path} not found")
    for path in ("/api/sessions", at(session, "/rename"), at(session, "/messages")):
        status, answer = api.raw("POST", path, b"{", {"content-type": "application/json"})
        equal((status, answer["code"]), (400, "request_failed"))
        status, answer = api.raw("POST", path, b"", {"content-type": "application/json"})
        equal((status, answer["code"]), (400, "request_failed"))
        status, answer = api.raw("POST", path, b"x", {"content-type": "text/csv"})
        equal(status, 415)


def transcripts(api, work):
    """Entries that clients add: after those of turns, before those of the audit."""
    session = api.create(cwd=work, approvalPolicy="never")["sessionId"]
    turn = api.send(session, script("thread,turn,message:said,completed"))
    api.until_over(session, turn)
    controls = {
        "model": "m", "approvalPolicy": "never", "networkAccess": "restricted",
        "filesystemSandbox": "read-only",
    }
    applied = {"scope": "session", "controls": controls, "actor": "ann"}
    api.expect(200, "POST", at(session, "/session-controls"), applied)
    path = at(session, "/transcript/upsert")
    first = api.expect(200, "POST", path, {**ENTRY, "startedAt": 5, "completedAt": 6})
    equal((first["status"], first["sessionId"]), ("ok", session))
    check_entry(first["entry"])
    equal((first["entry"]["startedAt"], first["entry"]["details"]), (5, None))
    api.expect(200, "POST", path, {**ENTRY, "messageId": "m2", "details": None, "status": "streaming"})
    api.expect(200, "POST", path, {**ENTRY, "content": "Kept", "details": "d"})
    shown = [entry["content"] for entry in api.get(session)["transcript"]]
    equal(shown[1:4], ["said", "Kept", "Hello"], "written anew in its place")
    audit = api.get(session)["transcript"][-1]
    equal((audit["turnId"], audit["type"]), ("session-controls", "session.controls.updated"))
    # One that stands for what was said stands in its place.
    said = api.get(session)["transcript"][1]["messageId"]
    api.expect(200, "POST", path, {**ENTRY, "messageId": said, "content": "redacted"})
    equal([entry["content"] for entry in api.get(session)["transcript"]][1:3], ["redacted", "Kept"])
    for name in ("messageId", "turnId", "role", "type", "content", "status"):
        body = {**ENTRY}
        del body[name]
        issues(api.expect(400, "POST", path, body), [name])
    for name, value in [
        ("role", "tool"), ("status", "done"), ("startedAt", 1.5), ("completedAt", -1), ("details", 1),
        ("messageId", " "),
    ]:
        issues(api.expect(400, "POST", path, {**ENTRY, name: value}), [name])
    kept = api.create(cwd=work)["sessionId"]
    turn = api.send(kept, script("thread,turn,message:said,completed"))
    api.until_over(kept, turn)
    api.expect(200, "POST", at(kept, "/transcript/upsert"), {**ENTRY, "content": "Kept"})
    print(json.dumps({"kept": kept}))
