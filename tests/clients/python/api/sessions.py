"""Sessions: made, shown, listed, changed, deleted."""

import json
import os
import urllib.parse

from client import at, equal, issues
from routes import refused


def sessions(api, start, work, system):
    """Sessions begin, are shown, listed, changed, deleted."""
    # Created with nothing at all, by a body, and by hostile bodies.
    status, made = api.raw("POST", "/api/sessions")
    equal(status, 200, made)
    bare = made["session"]
    equal((bare["title"], bare["materialized"], bare["projectId"]), ("New chat", False, None))
    equal(bare["cwd"], start, "the directory where the server was started")
    controls = {
        "model": None, "approvalPolicy": "untrusted", "networkAccess": "restricted",
        "filesystemSandbox": "read-only", "settings": {},
    }
    equal(bare["sessionControls"], controls)
    equal(made["thread"]["turns"], [])
    equal(made["thread"]["id"], bare["sessionId"])
    relative = os.path.relpath(work, start)
    chosen = api.create(
        cwd=relative, model="  m ", approvalPolicy="never", networkAccess="enabled",
        filesystemSandbox="workspace-write", other=1,
        dynamicTools=[{"name": "t", "description": "", "inputSchema": {"type": "object"}}],
    )
    assert os.path.samefile(chosen["cwd"], work), chosen["cwd"]
    expected = {
        "model": "m", "approvalPolicy": "never", "networkAccess": "enabled",
        "filesystemSandbox": "workspace-write", "settings": {},
    }
    equal(chosen["sessionControls"], expected)
    equal(api.create(model=" ")["sessionControls"]["model"], None)
    issues(api.expect(400, "POST", "/api/sessions", None), [])
    for name in ("cwd", "model", "approvalPolicy", "networkAccess", "filesystemSandbox", "dynamicTools"):
        issues(api.expect(400, "POST", "/api/sessions", {name: None}), [name])
    for body, path in [
        ({"cwd": ""}, ["cwd"]),
        ({"model": ""}, ["model"]),
        ({"approvalPolicy": "Never"}, ["approvalPolicy"]),
        ({"dynamicTools": [{}] * 129}, ["dynamicTools"]),
        ({"dynamicTools": [1]}, ["dynamicTools", 0]),
        ({"dynamicTools": [{"name": "t", "description": ""}]}, ["dynamicTools", 0, "inputSchema"]),
    ]:
        found = api.expect(400, "POST", "/api/sessions", body)
        equal(found["issues"][0]["path"], path, found)
    gone = api.expect(400, "POST", "/api/sessions", {"cwd": f"{work}/nowhere"})
    equal(gone["code"], "invalid_params", gone)

    # Shown.
    session = chosen["sessionId"]
    shown = api.get(session)
    equal((shown["session"]["title"], shown["transcript"]), ("New chat", []))
    equal(api.get(system)["session"]["sessionId"], system, "systems' own can be read")

    # Changed.
    renamed = api.expect(200, "POST", at(session, "/rename"), {"title": "  A title "})
    equal((renamed["status"], renamed["session"]["title"]), ("ok", "A title"))
    for title in ("", "  ", "x" * 201, None, 1):
        issues(api.expect(400, "POST", at(session, "/rename"), {"title": title}), ["title"])
    equal(api.expect(200, "POST", at(session, "/archive")), {"status": "ok", "sessionId": session})
    assert session not in ids(api), "archived ones are not listed"
    assert session in ids(api, "?archived=true"), "but among the archived"
    back = api.expect(200, "POST", at(session, "/unarchive"))
    equal((back["status"], back["session"]["sessionId"]), ("ok", session))
    assert session in ids(api)
    resumed = api.expect(200, "POST", at(session, "/resume"), {"dynamicTools": []})
    equal(set(resumed), {"session", "thread"})
    issues(api.expect(400, "POST", at("x", "/resume"), {"dynamicTools": 1}), ["dynamicTools"])
    for project, previous in [("p1", None), ("p2", "p1"), ("p2", "p2"), (None, "p2"), (None, None)]:
        found = api.expect(200, "POST", at(session, "/project"), {"projectId": project})
        expected = {
            "status": "ok", "sessionId": session, "projectId": project, "previousProjectId": previous,
        }
        equal(found, expected)
        equal(api.get(session)["session"]["projectId"], project)
    issues(api.expect(400, "POST", at(session, "/project"), {}), ["projectId"])

    # Deleted; by then it is gone for everybody.
    deleted = api.expect(200, "DELETE", at(session))
    equal((deleted["status"], deleted["sessionId"], deleted["title"]), ("ok", session, "A title"))
    assert deleted["deletedFileCount"] > 0, deleted
    unnamed = api.expect(200, "DELETE", at(bare["sessionId"]))
    equal(unnamed["title"], None)
    refused(api, session, system)
    print(json.dumps({"deleted": session}))


def after_restart(api, session, deleted, system):
    """What there was before the server was killed."""
    refused(api, deleted, system)
    shown = api.get(session)
    equal(shown["transcript"][-1]["content"], "Kept", shown)
    assert shown["session"]["materialized"]


def ids(api, query=""):
    listed = api.expect(200, "GET", f"/api/sessions{query}")
    equal(set(listed), {"data", "nextCursor", "archived"})
    return [session["sessionId"] for session in listed["data"]]


def listing(api, system):
    """Pages, in the order of the last changes."""
    made = [api.create()["sessionId"] for _ in range(5)]
    api.expect(200, "POST", at(made[1], "/rename"), {"title": "changed last"})
    expected = [made[1], made[4], made[3], made[2], made[0]]
    equal(ids(api)[:5], expected)
    found, cursor = [], None
    while True:
        query = urllib.parse.urlencode({"limit": 2, **({"cursor": cursor} if cursor else {})})
        page = api.expect(200, "GET", f"/api/sessions?{query}")
        assert len(page["data"]) <= 2
        equal(page["archived"], False)
        found += [session["sessionId"] for session in page["data"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    equal(found[:5], expected)
    equal(len(set(found)), len(found), "none comes twice")
    assert system not in found
    assert system in ids(api, "?includeSystemOwned=true&limit=200")
    for name, value in [
        ("limit", "0"), ("limit", "201"), ("limit", "x"), ("limit", ""), ("archived", "yes"),
        ("includeSystemOwned", "1"), ("cursor", ""),
    ]:
        issues(api.expect(400, "GET", f"/api/sessions?{name}={value}"), [name])
    equal(api.expect(400, "GET", "/api/sessions?cursor=x")["code"], "invalid_request")
    api.expect(400, "GET", "/api/sessions?limit=1&limit=2")
