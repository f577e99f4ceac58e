"""The routes of one session, but for those of settings and controls, and what all of them refuse."""

import urllib.parse

from client import DELETED, ENTRY, at, equal, unknown_ids

ROUTES_OF_SESSIONS = [
    ("POST", "/rename", {"title": "T"}),
    ("POST", "/archive", None),
    ("POST", "/unarchive", None),
    ("POST", "/resume", None),
    ("POST", "/fork", None),
    ("POST", "/project", {"projectId": "p"}),
    ("POST", "/messages", {"text": "Hi"}),
    ("POST", "/interrupt", None),
    ("GET", "/approvals", None),
    ("GET", "/tool-input", None),
    ("GET", "/tool-calls", None),
    ("POST", "/compact", None),
    ("POST", "/rollback", {"numTurns": 1}),
    ("POST", "/review", None),
    ("POST", "/turns/t/steer", {"input": "x"}),
    ("POST", "/background-terminals/clean", None),
    ("POST", "/suggested-request", None),
    ("POST", "/suggested-request/jobs", None),
    ("POST", "/suggested-request/upsert", {}),
]
OTHERS = [("GET", "", None), ("DELETE", "", None), ("POST", "/transcript/upsert", ENTRY)]


def call(api, method, path, body):
    return api.call(method, path) if body is None else api.call(method, path, body)


def refused(api, deleted, system):
    """What every route says of sessions that are gone, are not there, are a system's."""
    for method, tail, body in ROUTES_OF_SESSIONS + OTHERS:
        what = f"{method} {tail}"
        status, gone = call(api, method, at(deleted, tail), body)
        equal((status, gone["status"], gone["message"]), (410, "deleted", DELETED), what)
        equal(gone["sessionId"], deleted)
        assert gone["deletedAt"].endswith("Z"), gone
        for unknown in unknown_ids():
            status, missing = call(api, method, at(unknown, tail), body)
            name = urllib.parse.unquote(unknown)
            equal((status, missing), (404, {"status": "not_found", "sessionId": name}), what)
        if (method, tail) in (("GET", ""), ("POST", "/transcript/upsert")):
            continue
        status, reserved = call(api, method, at(system, tail), body)
        equal((status, reserved["code"], reserved["sessionId"]), (403, "system_session", system), what)
    # Of what is gone the body is not looked at; of what is not there it may be.
    for tail in ("/rename", "/project", "/messages", "/transcript/upsert"):
        api.expect(410, "POST", at(deleted, tail), {})
        expected = 400 if tail in ("/rename", "/project") else 404
        api.expect(expected, "POST", at("x", tail), {})
    for tail in ("/rename", "/project", "/messages"):
        api.expect(403, "POST", at(system, tail), {})
