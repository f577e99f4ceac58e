"""The rows of the contract about settings: 1.2 to 1.5."""

from server import (
    UNKNOWN,
    combination,
    gone,
    invalid,
    no_option,
    not_found,
    reserved,
    too_big,
    too_small,
    wrong_type,
)

SCOPES = ["session", "default"]
MODES = ["merge", "replace"]
BOTH = "settings payload must use either {settings} or {key,value}, not both"
NEITHER = "settings payload must include {settings} or {key,value}"
ONE = "key and value are required when updating a single settings entry"


def run(server):
    reads(server)
    writes(server)
    removals(server)
    numbers(server)
    validation(server)
    order(server)
    scopes(server)
    etags(server)


def whole(session, settings, scope="session"):
    return {"status": "ok", "sessionId": session, "scope": scope, "settings": settings}


def write(server, session, scope="session", **members):
    return server.post(f"{session}/settings", {"scope": scope, **members})


def wrote(session, settings, status="ok", scope="session", **key):
    return {"status": status, "sessionId": session, "scope": scope, **key, "settings": settings}


def reads(server):
    session = server.create()
    place = f"{session}/settings"
    for query in ["", "?scope=session", "?other=1&scope=session"]:
        server.get(place + query).is_(200, **whole(session, {}))
    server.get(f"{place}?scope=default").is_(200, **whole(session, {}, "default"))
    settings = {"": 0, "a.b": 1, "a/b": None, "nö ☃": {"x": [1]}, "x" * 300: 2}
    write(server, session, settings=settings)
    server.get(place).is_(200, **whole(session, settings))

    def one(key, found, value):
        known = {"status": "ok", "sessionId": session, "scope": "session"}
        return {**known, "key": key, "found": found, "value": value}

    for query, key, found, value in [
        ("key=a.b", "a.b", True, 1),
        ("key=a%2Fb&scope=session", "a/b", True, None),
        ("key=+n%C3%B6+%E2%98%83%20", "nö ☃", True, {"x": [1]}),
        ("key=%EF%BB%BF%C2%A0a.b%0A", "a.b", True, 1),
        ("key=a", "a", False, None),
        ("key=toString", "toString", False, None),
        ("key=__proto__", "__proto__", False, None),
        (f"key={'k' * 240}", "k" * 240, False, None),
    ]:
        server.get(f"{place}?{query}").is_(200, **one(key, found, value))


def writes(server):
    session = server.create()
    # One key, its mode ignored; what is there already is unchanged.
    write(server, session, key=" team ", value={"a": 1}, mode="replace").is_(
        200, **wrote(session, {"team": {"a": 1}}, key="team")
    )
    write(server, session, key="team", value={"a": 1}).is_(
        200, **wrote(session, {"team": {"a": 1}}, "unchanged", key="team")
    )
    # Null is a value.
    write(server, session, key="none", value=None).is_(
        200, **wrote(session, {"none": None, "team": {"a": 1}}, key="none")
    )
    write(server, session, key="none", value=None).is_(
        200, **wrote(session, {"none": None, "team": {"a": 1}}, "unchanged", key="none")
    )
    # Several keys: the merge is shallow, and is what is meant where nothing is said.
    write(server, session, settings={"team": {"b": 2}}).is_(
        200, **wrote(session, {"none": None, "team": {"b": 2}})
    )
    write(server, session, settings={"none": 1}, mode="merge").is_(
        200, **wrote(session, {"none": 1, "team": {"b": 2}})
    )
    write(server, session, settings={}, mode="merge").is_(
        200, **wrote(session, {"none": 1, "team": {"b": 2}}, "unchanged")
    )
    write(server, session, settings={"b": [2, 1]}, mode="replace").is_(
        200, **wrote(session, {"b": [2, 1]})
    )
    # Equal whatever the order of keys, and not whatever that of elements.
    for settings, status in [
        ({"b": [1, 2]}, "ok"),
        ({"b": [1, 2]}, "unchanged"),
        ({"b": {"x": 1, "y": [{"z": 0, "a": 1}]}}, "ok"),
        ({"b": {"y": [{"a": 1, "z": 0}], "x": 1}}, "unchanged"),
    ]:
        answer = write(server, session, settings=settings, mode="replace")
        assert answer.body.startswith(f'{{"status":"{status}"'), answer.body
    write(server, session, settings={}, mode="replace").is_(200, **wrote(session, {}))
    # Keys in a map are taken as they are; members that nobody knows are ignored.
    write(server, session, settings={" a ": 1, "": 2}, unknown=1, actor="ann", source="s").is_(
        200, **wrote(session, {"": 2, " a ": 1})
    )
    assert server.get(f"{session}/settings?scope=default").body.endswith('"settings":{}}')


def removals(server):
    session = server.create()
    long = {"k" * length: length for length in [100, 101, 240]}
    write(server, session, settings={"a": None, "a/b?#%": 1, "é 😀": 2, **long})

    def removed(key, was_there, settings):
        known = {"status": "ok" if was_there else "unchanged", "sessionId": session}
        return {**known, "scope": "session", "key": key, "removed": was_there, "settings": settings}

    rest = {"a": None, "a/b?#%": 1, **long, "é 😀": 2}
    for path, key in [
        ("a", "a"),
        ("a%2Fb%3F%23%25", "a/b?#%"),
        ("%20%C3%A9%20%F0%9F%98%80%20?scope=session&actor=ann&source=s&other=1", "é 😀"),
        ("k" * 100, "k" * 100),
        ("k" * 101, "k" * 101),
        ("k" * 240, "k" * 240),
    ]:
        del rest[key]
        server.delete(f"{session}/settings/{path}").is_(200, **removed(key, True, rest))
        server.delete(f"{session}/settings/{path}").is_(200, **removed(key, False, rest))
    assert rest == {}
    server.delete(f"{session}/settings/a+b").is_(200, **removed("a+b", False, {}))


def numbers(server):
    """Numbers keep their text, and are equal by what they say."""
    session = server.create()
    place = f"{session}/settings"
    big = '{"a":9007199254740993,"b":1e300,"c":1.0,"d":-0,"e":1E+2,"f":0.1000}'
    answered = f'{{"status":"%s","sessionId":"{session}","scope":"session","settings":{big}}}'
    body = f'{{"scope":"session","settings":{big}}}'
    server.post(place, body).is_(200, answered % "ok")
    server.post(place, body).is_(200, answered % "unchanged")
    same = '{"f":0.1,"e":100,"d":0,"c":1,"b":10e299,"a":9007199254740993.0}'
    server.post(place, f'{{"scope":"session","settings":{same}}}').is_(200, answered % "unchanged")
    server.get(place).is_(200, answered % "ok")
    server.get(f"{place}?key=a").is_(
        200,
        f'{{"status":"ok","sessionId":"{session}","scope":"session","key":"a","found":true,'
        '"value":9007199254740993}',
    )
    answer = server.post(place, '{"scope":"session","key":"a","value":9007199254740992}')
    assert answer.body.startswith('{"status":"ok"'), "another number is another value"


def validation(server):
    session = server.create()
    place = f"{session}/settings"
    scope = no_option(SCOPES, "scope")
    for query, issues in [
        ("scope=", [scope]),
        ("scope=Default", [scope]),
        ("scope=session&scope=session", [scope]),
        ("key=", [too_small(1, "key")]),
        ("key=%20%C2%A0", [too_small(1, "key")]),
        ("key", [too_small(1, "key")]),
        (f"key={'k' * 241}", [too_big(240, "key")]),
        (f"key={'%F0%9F%98%80' * 121}", [too_big(240, "key")]),
        ("key=a&key=b", [wrong_type("string", "array", "key")]),
        ("scope=x&key=", [scope, too_small(1, "key")]),
    ]:
        server.get(f"{place}?{query}").is_(400, **invalid(*issues))
    for query, issues in [
        ("scope=x", [scope]),
        ("actor=", [too_small(1, "actor")]),
        (f"source={'s' * 65}&actor={'a' * 121}", [too_big(120, "actor"), too_big(64, "source")]),
    ]:
        server.delete(f"{place}/k?{query}").is_(400, **invalid(*issues))
    for key, issues in [
        ("%20", [too_small(1, "key")]),
        ("", [too_small(1, "key")]),
        ("k" * 241, [too_big(240, "key")]),
    ]:
        server.delete(f"{place}/{key}").is_(400, **invalid(*issues))

    for body, issues in [
        ([], [wrong_type("object", "array")]),
        (None, [wrong_type("object", "null")]),
        ("1", [wrong_type("object", "number")]),
        ({}, [scope]),
        ({"scope": None}, [scope]),
        ({"scope": "Session", "key": "k", "value": 1}, [scope]),
        ({"scope": "session", "key": None, "value": 1}, [wrong_type("string", "null", "key")]),
        ({"scope": "session", "key": 1, "value": 1}, [wrong_type("string", "number", "key")]),
        ({"scope": "session", "key": " ", "value": 1}, [too_small(1, "key")]),
        ({"scope": "session", "key": "k" * 241, "value": 1}, [too_big(240, "key")]),
        ({"scope": "session", "settings": None}, [wrong_type("record", "null", "settings")]),
        ({"scope": "session", "settings": []}, [wrong_type("record", "array", "settings")]),
        ({"scope": "session", "settings": {}, "mode": None}, [no_option(MODES, "mode")]),
        ({"scope": "session", "settings": {}, "mode": "deep"}, [no_option(MODES, "mode")]),
        (
            {"key": False, "settings": "x", "mode": 1, "actor": "", "source": None},
            [
                scope,
                wrong_type("string", "boolean", "key"),
                wrong_type("record", "string", "settings"),
                no_option(MODES, "mode"),
                too_small(1, "actor"),
                wrong_type("string", "null", "source"),
            ],
        ),
        (
            {"scope": "session", "settings": {}, "actor": "a" * 121, "source": "s" * 65},
            [too_big(120, "actor"), too_big(64, "source")],
        ),
        # What is wrong with members comes before what is wrong with all of them.
        ({"scope": "x", "settings": {}, "key": "k"}, [scope]),
    ]:
        server.post(place, body).is_(400, **invalid(*issues))
    for members, message in [
        ({"settings": {}, "key": "k", "value": 1}, BOTH),
        ({"settings": {}, "key": "k"}, BOTH),
        ({"settings": {}, "value": None}, BOTH),
        ({}, NEITHER),
        ({"mode": "merge"}, NEITHER),
        ({"key": "k"}, ONE),
        ({"value": None}, ONE),
    ]:
        write(server, session, **members).is_(400, **combination(message))
    server.get(place).is_(200, **whole(session, {}))


def order(server):
    """Which refusal comes first."""
    system = server.create(system_owned=True)
    deleted = server.deleted(title="gone")
    untitled = server.deleted()
    good = {"scope": "session", "key": "k", "value": 1}
    for body in [good, {}, {**good, "settings": {}}, {**good, "scope": "default"}]:
        server.post(f"{system}/settings", body).is_(403, **reserved(system))
        server.post(f"{UNKNOWN}/settings", body).is_(404, **not_found(UNKNOWN))
        server.post(f"{deleted}/settings", body).matches(410, gone(deleted, "gone"))
        server.post(f"{untitled}/settings", body).matches(410, gone(untitled))
    for scope in SCOPES:
        query = f"?scope={scope}"
        server.get(f"{system}/settings{query}").is_(403, **reserved(system))
        server.get(f"{UNKNOWN}/settings{query}").is_(404, **not_found(UNKNOWN))
        server.get(f"{deleted}/settings{query}").matches(410, gone(deleted, "gone"))
        server.delete(f"{system}/settings/k{query}").is_(403, **reserved(system))
        server.delete(f"{UNKNOWN}/settings/k{query}").is_(404, **not_found(UNKNOWN))
        server.delete(f"{deleted}/settings/k{query}").matches(410, gone(deleted, "gone"))
    # Reads and removals look at their parameters first.
    for session in [system, deleted, UNKNOWN, "no-uuid"]:
        issues = invalid(no_option(SCOPES, "scope"))
        server.get(f"{session}/settings?scope=x").is_(400, **issues)
        server.delete(f"{session}/settings/k?scope=x").is_(400, **issues)
        server.delete(f"{session}/settings/%20").is_(400, **invalid(too_small(1, "key")))
    # The time is that of the deletion, whenever it is told.
    pattern = gone(deleted, "gone")
    times = {server.get(f"{deleted}/settings").matches(410, pattern)[1] for _ in range(2)}
    assert len(times) == 1, times


def scopes(server):
    """The default scope is one for all, and reaches new sessions alone."""
    old, other = server.create(), server.create()
    write(server, old, "default", settings={"a": 1, "b": 2}).is_(
        200, **wrote(old, {"a": 1, "b": 2}, scope="default")
    )
    server.get(f"{other}/settings?scope=default").is_(
        200, **whole(other, {"a": 1, "b": 2}, "default")
    )
    server.get(f"{other}/settings?scope=default&key=b").is_(
        200, status="ok", sessionId=other, scope="default", key="b", found=True, value=2
    )
    new = server.create()
    server.get(f"{new}/settings").is_(200, **whole(new, {"a": 1, "b": 2}))
    server.get(f"{old}/settings").is_(200, **whole(old, {}))
    server.delete(f"{other}/settings/a?scope=default").is_(
        200,
        status="ok",
        sessionId=other,
        scope="default",
        key="a",
        removed=True,
        settings={"b": 2},
    )
    write(server, other, "default", key="b", value=2).is_(
        200, **wrote(other, {"b": 2}, "unchanged", "default", key="b")
    )
    # What was copied is the session's own.
    server.get(f"{new}/settings").is_(200, **whole(new, {"a": 1, "b": 2}))
    write(server, old, "default", settings={}, mode="replace")


def etags(server):
    """Ours: whoever says what they saw overwrites nothing else."""
    session = server.create()
    place = f"{session}/settings"
    first = server.get(place).etag
    assert first[0] == first[-1] == '"', first
    default = server.get(f"{place}?scope=default").etag
    body = {"scope": "session", "key": "k", "value": 1}
    answer = server.post(place, body, **{"if-match": first})
    second = answer.is_(200, **wrote(session, {"k": 1}, key="k")).etag
    assert second == server.get(place).etag != first
    mismatch = r'\{"status":"error","code":"etag_mismatch","message":".*"\}'
    for stale in [first, '"nothing"', '""']:
        server.post(place, body, **{"if-match": stale}).matches(412, mismatch)
        server.delete(f"{place}/k", **{"if-match": stale}).matches(412, mismatch)
    answer = server.post(place, body, **{"if-match": "*"})
    answer.is_(200, **wrote(session, {"k": 1}, "unchanged", key="k"))
    assert answer.etag == second
    server.post(place, body, **{"if-match": f"{first}, {second}"}).is_(
        400, **combination("if-match: expected one etag, or *")
    )
    answer = server.delete(f"{place}/k", **{"if-match": second})
    assert answer.status == 200 and answer.etag != second, answer.body
    assert server.get(f"{place}?scope=default").etag == default
