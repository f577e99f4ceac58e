"""A server whose defaults are the operator's: 1.8, and the bodies of 423."""

from controls import OPEN, shown, summary
from server import UNKNOWN, gone, invalid, no_option, not_found, reserved

REASON = "Managed by harness configuration"


def run(server, defaults=None):
    """`defaults` are those that there are."""
    # What the operator's environment says, where nothing was ever written.
    defaults = defaults or {
        "model": None,
        "approvalPolicy": "on-request",
        "networkAccess": "enabled",
        "filesystemSandbox": "workspace-write",
        "settings": {},
    }
    session = server.create()
    everything = shown(defaults, defaults, REASON)
    reads(server, session, defaults, everything)
    refusals(server, session, defaults, everything)
    order(server)
    # What is the session's own can be written.
    mine = {**OPEN, "settings": {"a": 1}}
    body = {"scope": "session", "controls": mine}
    server.post(f"{session}/session-controls", body).is_(
        200,
        status="ok",
        scope="session",
        applied=mine,
        summary=summary(mine),
        sessionId=session,
        **shown(mine, defaults, REASON),
    )
    server.delete(f"{session}/settings/a").is_(
        200,
        status="ok",
        sessionId=session,
        scope="session",
        key="a",
        removed=True,
        settings={},
    )
    server.post(f"{session}/approval-policy", {"approvalPolicy": "untrusted"}).is_(
        200, status="ok", sessionId=session, approvalPolicy="untrusted"
    )


def reads(server, session, defaults, everything):
    place = f"{session}/session-controls"
    server.get(place).is_(200, status="ok", sessionId=session, **everything)
    server.get(f"{session}/settings?scope=default").is_(
        200, status="ok", sessionId=session, scope="default", settings=defaults["settings"]
    )


def refusals(server, session, defaults, everything):
    locked = {"status": "locked", "scope": "default", "message": REASON, "sessionId": session}
    settings = {**locked, "settings": defaults["settings"]}
    for members in [{"key": "k", "value": 1}, {"settings": {}}]:
        server.post(f"{session}/settings", {"scope": "default", **members}).is_(423, **settings)
    server.delete(f"{session}/settings/k?scope=default").is_(423, **settings)
    for controls in [OPEN, defaults]:
        body = {"scope": "default", "controls": controls}
        server.post(f"{session}/session-controls", body).is_(423, **locked, **everything)
    reads(server, session, defaults, everything)
    assert not server.audited(session), "what was refused is in the audit"


def order(server):
    system = server.create(system_owned=True)
    deleted = server.deleted()
    write = {"scope": "default", "key": "k", "value": 1}
    apply = {"scope": "default", "controls": OPEN}
    for path, body in [("settings", write), ("session-controls", apply)]:
        server.post(f"{system}/{path}", body).is_(403, **reserved(system))
        server.post(f"{UNKNOWN}/{path}", body).is_(404, **not_found(UNKNOWN))
        server.post(f"{deleted}/{path}", body).matches(410, gone(deleted))
        assert server.post(f"{server.create()}/{path}", {"scope": "default"}).status == 400
    query = "settings/k?scope=default"
    server.delete(f"{system}/{query}").is_(403, **reserved(system))
    server.delete(f"{UNKNOWN}/{query}").is_(404, **not_found(UNKNOWN))
    server.delete(f"{deleted}/{query}").matches(410, gone(deleted))
    server.delete(f"{system}/{query}&scope=x").is_(
        400, **invalid(no_option(["session", "default"], "scope"))
    )
