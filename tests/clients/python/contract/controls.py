"""The rows of the contract about controls: 1.6, 1.7, and the approval policy."""

from server import (
    DEFAULTS,
    UNKNOWN,
    combination,
    gone,
    invalid,
    no_option,
    not_found,
    reserved,
    text,
    too_big,
    too_small,
    wrong_type,
)

SCOPES = ["session", "default"]
POLICIES = ["untrusted", "on-failure", "on-request", "never"]
ACCESSES = ["restricted", "enabled"]
SANDBOXES = ["read-only", "workspace-write", "danger-full-access"]
OPEN = {
    "model": "gpt-5",
    "approvalPolicy": "never",
    "networkAccess": "enabled",
    "filesystemSandbox": "danger-full-access",
}


def run(server):
    reads(server)
    writes(server)
    scopes(server)
    validation(server)
    order(server)
    approval_policies(server)
    etags(server)


def shown(controls, defaults, locked=None):
    return {
        "controls": controls,
        "defaults": defaults,
        "defaultsEditable": locked is None,
        "defaultLockReason": locked,
    }


def summary(controls):
    words = [controls[name] for name in ["approvalPolicy", "networkAccess", "filesystemSandbox"]]
    settings = f"settings:{len(controls['settings'])}"
    return " | ".join([controls["model"] or "default", *words, settings])


def applied(session, controls, status="ok", scope="session", of_session=None, defaults=DEFAULTS):
    """The answer to a write, after which the scope has these controls."""
    of_session = controls if scope == "session" else of_session
    return {
        "status": status,
        "scope": scope,
        "applied": controls,
        "summary": summary(controls),
        "sessionId": session,
        **shown(of_session, controls if scope == "default" else defaults),
    }


def write(server, session, controls, scope="session", **members):
    place = f"{session}/session-controls"
    return server.post(place, {"scope": scope, "controls": controls, **members})


def reads(server):
    session = server.create()
    server.get(f"{session}/session-controls?other=1").is_(
        200, status="ok", sessionId=session, **shown(DEFAULTS, DEFAULTS)
    )
    # What was said when the session was made is over the default.
    named = server.create(model="m", network_access="NETWORK_ACCESS_ENABLED")
    expected = {**DEFAULTS, "model": "m", "networkAccess": "enabled"}
    server.get(f"{named}/session-controls").is_(
        200, status="ok", sessionId=named, **shown(expected, DEFAULTS)
    )


def writes(server):
    session = server.create()
    first = {**OPEN, "settings": {"a": 1, "b": None}}
    write(server, session, {**first, "model": " gpt-5\n"}, actor=" ann ", source="script").is_(
        200, **applied(session, first)
    )
    write(server, session, first).is_(200, **applied(session, first, "unchanged"))
    # Without settings they are kept, with them the whole map is replaced.
    second = {**first, "model": None, "approvalPolicy": "on-failure"}
    without = {name: value for name, value in second.items() if name != "settings"}
    write(server, session, without).is_(200, **applied(session, second))
    write(server, session, without).is_(200, **applied(session, second, "unchanged"))
    for settings in [{"c": [1.5]}, {}]:
        third = {**second, "settings": settings}
        write(server, session, third).is_(200, **applied(session, third))
    server.get(f"{session}/session-controls").is_(
        200, status="ok", sessionId=session, **shown(third, DEFAULTS)
    )
    for name, values in [
        ("approvalPolicy", POLICIES),
        ("networkAccess", ACCESSES),
        ("filesystemSandbox", SANDBOXES),
    ]:
        for value in values:
            third = {**third, name: value}
            write(server, session, third, unknown=1)
            answer = server.get(f"{session}/session-controls")
            assert answer.body.startswith(
                f'{{"status":"ok","sessionId":"{session}","controls":{text(third)}'
            ), answer.body
    # Numbers keep their text here too.
    body = text({"scope": "session", "controls": {**third, "settings": "?"}})
    body = body.replace('"?"', '{"n":9007199254740993,"x":1.0}')
    answer = server.post(f"{session}/session-controls", body)
    assert answer.body.count('"settings":{"n":9007199254740993,"x":1.0}') == 2, answer.body


def scopes(server):
    old = server.create()
    write(server, old, {**OPEN, "settings": {"mine": 1}})
    mine = {**OPEN, "settings": {"mine": 1}}
    chosen = {**DEFAULTS, "approvalPolicy": "on-request", "settings": {"all": True}}
    write(server, old, chosen, "default").is_(
        200, **applied(old, chosen, scope="default", of_session=mine)
    )
    # The settings that are kept are those of the scope, not the session's.
    without = {name: value for name, value in chosen.items() if name != "settings"}
    write(server, old, without, "default").is_(
        200, **applied(old, chosen, "unchanged", "default", mine)
    )
    new = server.create()
    server.get(f"{new}/session-controls").is_(
        200, status="ok", sessionId=new, **shown(chosen, chosen)
    )
    back = {**DEFAULTS, "settings": {}}
    write(server, new, back, "default").is_(
        200, **applied(new, back, scope="default", of_session=chosen)
    )
    # A new session has a copy, which later defaults do not reach.
    for session, controls in [(new, chosen), (old, mine)]:
        server.get(f"{session}/session-controls").is_(
            200, status="ok", sessionId=session, **shown(controls, DEFAULTS)
        )


def validation(server):
    session = server.create()
    place = f"{session}/session-controls"
    scope = no_option(SCOPES, "scope")
    policy = no_option(POLICIES, "controls", "approvalPolicy")
    access = no_option(ACCESSES, "controls", "networkAccess")
    sandbox = no_option(SANDBOXES, "controls", "filesystemSandbox")
    no_model = wrong_type("string", "undefined", "controls", "model")
    for body, issues in [
        (None, [wrong_type("object", "null")]),
        ({}, [scope, wrong_type("object", "undefined", "controls")]),
        (
            {"scope": "all", "controls": [], "actor": " ", "source": 1},
            [
                scope,
                wrong_type("object", "array", "controls"),
                too_small(1, "actor"),
                wrong_type("string", "number", "source"),
            ],
        ),
        ({"scope": "session", "controls": {}}, [no_model, policy, access, sandbox]),
    ]:
        server.post(place, body).is_(400, **invalid(*issues))
    for members, issues in [
        ({"model": ""}, [too_small(1, "controls", "model")]),
        ({"model": " \u00a0"}, [too_small(1, "controls", "model")]),
        ({"model": 5}, [wrong_type("string", "number", "controls", "model")]),
        ({"approvalPolicy": "Never"}, [policy]),
        ({"approvalPolicy": None}, [policy]),
        ({"networkAccess": True, "filesystemSandbox": "readOnly"}, [access, sandbox]),
        ({"settings": None}, [wrong_type("record", "null", "controls", "settings")]),
        ({"settings": []}, [wrong_type("record", "array", "controls", "settings")]),
    ]:
        write(server, session, {**OPEN, **members}).is_(400, **invalid(*issues))
    for name, missing in [
        ("model", no_model),
        ("approvalPolicy", policy),
        ("networkAccess", access),
        ("filesystemSandbox", sandbox),
    ]:
        partly = {key: value for key, value in OPEN.items() if key != name}
        # Another name for it is a member that nobody knows.
        write(server, session, {**partly, "sandbox": "read-only"}).is_(400, **invalid(missing))
    write(server, session, OPEN, actor="a" * 121, source="s" * 65).is_(
        400, **invalid(too_big(120, "actor"), too_big(64, "source"))
    )
    answer = write(server, session, {**OPEN, "model": "m" * 201})
    assert answer.status == 400 and '"code":"invalid_request"' in answer.body, answer.body
    server.get(place).is_(200, status="ok", sessionId=session, **shown(DEFAULTS, DEFAULTS))


def order(server):
    system = server.create(system_owned=True)
    deleted = server.deleted(title="gone")
    for scope in SCOPES:
        good = {"scope": scope, "controls": OPEN}
        long = {"scope": scope, "controls": {**OPEN, "model": "m" * 201}}
        for path, bodies in [
            ("session-controls", [good, long, {}]),
            ("approval-policy", [{"approvalPolicy": "never"}, {}]),
        ]:
            for body in bodies:
                server.post(f"{system}/{path}", body).is_(403, **reserved(system))
                server.post(f"{UNKNOWN}/{path}", body).is_(404, **not_found(UNKNOWN))
                server.post(f"no-uuid/{path}", body).is_(404, **not_found("no-uuid"))
                server.post(f"{deleted}/{path}", body).matches(410, gone(deleted, "gone"))
    server.get(f"{system}/session-controls").is_(403, **reserved(system))
    server.get(f"{UNKNOWN}/session-controls").is_(404, **not_found(UNKNOWN))
    server.get(f"{deleted}/session-controls").matches(410, gone(deleted, "gone"))


def approval_policies(server):
    session = server.create()
    place = f"{session}/approval-policy"
    write(server, session, {**OPEN, "settings": {"a": 1}})
    for policy in POLICIES:
        server.post(place, {"approvalPolicy": policy, "unknown": 1}).is_(
            200, status="ok", sessionId=session, approvalPolicy=policy
        )
        expected = {**OPEN, "approvalPolicy": policy, "settings": {"a": 1}}
        server.get(f"{session}/session-controls").is_(
            200, status="ok", sessionId=session, **shown(expected, DEFAULTS)
        )
    for body in [{}, {"approvalPolicy": None}, {"approvalPolicy": "NEVER"}]:
        server.post(place, body).is_(400, **invalid(no_option(POLICIES, "approvalPolicy")))


def etags(server):
    session = server.create()
    place = f"{session}/session-controls"
    first = server.get(place).etag
    body = {"scope": "session", "controls": OPEN}
    second = server.post(place, body, **{"if-match": first}).etag
    assert second == server.get(place).etag == server.get(f"{session}/settings").etag != first
    stale = {"if-match": first}
    mismatch = r'\{"status":"error","code":"etag_mismatch","message":".*"\}'
    server.post(place, body, **stale).matches(412, mismatch)
    policy = {"approvalPolicy": "untrusted"}
    server.post(f"{session}/approval-policy", policy, **stale).matches(412, mismatch)
    answer = server.post(f"{session}/approval-policy", policy, **{"if-match": second})
    assert answer.status == 200 and answer.etag != second, answer.body
    # Of the default the etag is that of the default.
    default = server.get(f"{session}/settings?scope=default").etag
    server.post(place, {**body, "scope": "default"}, **stale).matches(412, mismatch)
    answer = write(server, session, DEFAULTS, "default")
    assert answer.etag == default, "the defaults were written as they were"
    server.post(place, body, **{"if-match": "a, b"}).is_(
        400, **combination("if-match: expected one etag, or *")
    )
