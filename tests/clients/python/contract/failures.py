"""What HTTP itself refuses, and who is not let in."""

import json

from server import UNKNOWN, failed, invalid, not_found, wrong_type

MALFORMED = "Body is not valid JSON but content-type is set to 'application/json'"
EMPTY = "Body cannot be empty when content-type is set to 'application/json'"
LIMIT = 1_048_576

WRITES = ["settings", "session-controls", "approval-policy"]


def run(server):
    session = server.create()
    bodies(server, session)
    sizes(server, session)
    content_types(server, session)
    places(server, session)
    ids(server)
    strangers(server)


def bodies(server, session):
    good = {"scope": "session", "key": "k", "value": 1}
    for path in WRITES:
        # Whatever is wrong with the session, this comes first.
        for of in [session, UNKNOWN, "no-uuid"]:
            place = f"{of}/{path}"
            server.post(place, "").is_(400, **failed(EMPTY))
            for body in ["{", '{"a":1}x', "nul", "{'a':1}", '{"a":01}', "\ufeff", "[1,]"]:
                server.post(place, body).is_(400, **failed(MALFORMED))
            for body in [
                '{"__proto__":1}',
                '{"scope":"session","key":"k","value":{"a":[{"__proto__":null}]}}',
                '{"\\u005f_proto__":{}}',
                '{"constructor":{"prototype":{}}}',
            ]:
                server.post(place, body).is_(400, **failed(MALFORMED))
    server.request(
        "POST",
        f"/api/sessions/{session}/settings",
        b'{"scope":"session","key":"k","value":"\xff"}',
        {"content-type": "application/json"},
    ).is_(400, **failed(MALFORMED))
    # `constructor` alone is a member as others, and a byte order mark is left out.
    server.post(f"{session}/settings", {**good, "value": {"constructor": {"a": 1}}})
    server.post(f"{session}/settings", "\ufeff" + json.dumps(good))

    # What two programs could read differently is refused for what it is.
    place = f"{session}/settings"
    before = server.get(place).body
    value = '{"scope":"session","key":"k","value":%s}'
    server.post(place, value % '{"a":1,"a":1}').is_(
        400, **failed('the key "a" is twice in the object at /value: each may be there once')
    )
    for lone in ["\\ud800", "\\udc00x", "\\ud800\\ud800"]:
        answer = server.post(place, value % f'"{lone}"')
        assert answer.status == 400 and "half of a surrogate pair" in answer.body, answer.body
        assert '"code":"request_failed"' in answer.body, answer.body
    deep = "[" * 64 + "]" * 64
    for nested in [f"[{deep}]", f"[[{deep}]]", "[" * 100_000]:
        answer = server.post(place, value % nested)
        assert answer.status == 400 and "nested too deep" in answer.body, answer.body
        assert '"code":"request_failed"' in answer.body, answer.body
    assert server.get(place).body == before, "nothing that was refused was written"
    server.post(place, value % deep).is_(
        200, f'{{"status":"ok","sessionId":"{session}","scope":"session","key":"k",'
        f'"settings":{{"k":{deep}}}}}'
    )
    server.post(place, f'{{"scope":"session","settings":{{"k":{deep}}}}}')
    server.delete(f"{session}/settings/k")

    # What settings take, controls take with them, and no more.
    controls = (
        '{"scope":"session","controls":{"model":null,"approvalPolicy":"never",'
        '"networkAccess":"restricted","filesystemSandbox":"read-only","settings":{"k":%s}}}'
    )
    answer = server.post(f"{session}/session-controls", controls % deep)
    assert answer.status == 200 and deep in answer.body, answer.body
    for path, body in [
        (place, f'{{"scope":"session","settings":{{"k":[{deep}]}}}}'),
        (f"{session}/session-controls", controls % f"[{deep}]"),
    ]:
        answer = server.post(path, body)
        assert answer.status == 400 and "nested too deep" in answer.body, answer.body
        assert '"code":"request_failed"' in answer.body, answer.body
    server.delete(f"{session}/settings/k")


def sizes(server, session):
    place = f"{session}/settings"
    shell = '{"scope":"session","ignored":"%s","key":"k","value":1}'
    whole = shell % ("x" * (LIMIT - len(shell) + 2))
    assert len(whole) == LIMIT
    assert server.post(place, whole).status == 200
    for body in [whole + " ", shell % ("x" * 3 * LIMIT)]:
        server.post(place, body).is_(413, **failed("Request body is too large"))
    # A client that says how much comes is answered before it comes.
    headers = {"content-type": "application/json", "content-length": str(1 << 40)}
    server.request("POST", f"/api/sessions/{place}", b"{}", headers).is_(
        413, **failed("Request body is too large")
    )
    server.connection.close()
    # Writes that each are small enough do not make a map that is too large.
    for key in "ab":
        answer = server.post(place, {"scope": "session", "key": key, "value": "x" * (LIMIT * 6 // 10)})
    assert answer.status == 413 and '"code":"request_failed"' in answer.body, answer.body[:200]
    assert '"b"' not in server.get(place).body
    server.post(place, {"scope": "session", "settings": {}, "mode": "replace"})


def content_types(server, session):
    path = f"/api/sessions/{session}/settings"
    body = b'{"scope":"session","key":"k","value":1}'
    for content_type in ["application/xml", "application/x-www-form-urlencoded", "application/jsonx"]:
        server.request("POST", path, body, {"content-type": content_type}).is_(
            415, **failed(f"Unsupported Media Type: {content_type}")
        )
    server.request("POST", path, body).is_(415, **failed("Unsupported Media Type: undefined"))
    plain = {"content-type": "text/plain;charset=UTF-8"}
    server.request("POST", path, body, plain).is_(400, **invalid(wrong_type("object", "string")))
    server.request("POST", path).is_(400, **invalid(wrong_type("object", "undefined")))
    for content_type in ["application/json", "APPLICATION/JSON; charset=utf-8"]:
        answer = server.request("POST", path, body, {"content-type": content_type})
        assert answer.status == 200, answer.body
    # So also where nothing is expected in the body.
    empty = {"content-type": "application/json"}
    server.request("DELETE", f"{path}/k", headers=empty).is_(400, **failed(EMPTY))
    server.request("DELETE", f"{path}/k", b"{", empty).is_(400, **failed(MALFORMED))
    # GET has no body, whatever its headers say.
    assert server.request("GET", path, headers=empty).status == 200


def places(server, session):
    for method, path in [
        ("PUT", f"/api/sessions/{session}/settings"),
        ("PATCH", f"/api/sessions/{session}/settings?scope=session"),
        ("POST", f"/api/sessions/{session}/settings/k"),
        ("GET", f"/api/sessions/{session}/settings/k"),
        ("DELETE", f"/api/sessions/{session}/settings"),
        ("DELETE", f"/api/sessions/{session}/session-controls"),
        ("GET", f"/api/sessions/{session}/approval-policy"),
        ("GET", f"/api/sessions/{session}/settings/"),
        ("DELETE", f"/api/sessions/{session}/settings/a/b?x=1"),
        ("GET", f"/api/sessions/{'x' * 101}/settings"),
        ("GET", "/api"),
        ("GET", "/api/"),
        ("POST", "/api/nothing"),
        ("GET", "/api/v1/sessions"),
    ]:
        server.request(method, path).is_(
            404, message=f"Route {method}:{path} not found", error="Not Found", statusCode=404
        )
    for path in [
        f"/api/sessions/{session}/settings/100%",
        f"/api/sessions/{session}/settings/%zz?scope=session",
        f"/api/sessions/{session}/settings/%ff",
        "/api/sessions/%/settings",
        "/api/nothing/%4",
    ]:
        for method in ["GET", "DELETE", "PUT"]:
            server.request(method, path).is_(
                400,
                error="Bad Request",
                code="FST_ERR_BAD_URL",
                message=f"'{path}' is not a valid url component",
                statusCode=400,
            )
    # HEAD is GET without the body.
    answer = server.request("HEAD", f"/api/sessions/{session}/settings")
    assert (answer.status, answer.body) == (200, ""), answer.body


def ids(server):
    for given, path in [
        ("no-uuid", "no-uuid"),
        ("x" * 100, "x" * 100),
        ('a"b/c', "a%22b%2Fc"),
        (UNKNOWN.upper().replace("0", "A"), UNKNOWN.upper().replace("0", "A")),
    ]:
        server.get(f"{path}/settings").is_(404, **not_found(given))
        server.get(f"{path}/session-controls").is_(404, **not_found(given))
        server.post(f"{path}/settings", {}).is_(404, **not_found(given))
        server.delete(f"{path}/settings/k").is_(404, **not_found(given))


def strangers(server):
    server.request("GET", "/api/sessions/x/settings", token=False).matches(
        401, r'\{"status":"error","code":"unauthorized","message":"a bearer token is missing: .*"\}'
    )
    wrong = {"authorization": "Bearer wrong"}
    server.request("PUT", "/api/nothing", headers=wrong, token=False).matches(
        401, r'\{"status":"error","code":"unauthorized","message":".*"\}'
    )
    origin = {"origin": "https://evil.example"}
    server.request("GET", "/api/sessions/x/settings", headers=origin).matches(
        403, r'\{"status":"error","code":"permission_denied","message":".*"\}'
    )
