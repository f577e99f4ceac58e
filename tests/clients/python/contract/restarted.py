"""What must be the same after the server was killed and started again, its
defaults locked since then."""

import locked
from controls import OPEN, shown
from server import DEFAULTS, gone

CHOSEN = {**DEFAULTS, "model": "m", "settings": {"all": [1, None], "é": {"x": 1.5}}}


def before(server):
    """Writes what is then looked for; returns what is to be known of it."""
    session = server.create()
    body = {"scope": "session", "controls": {**OPEN, "settings": {"a": 1}}}
    assert server.post(f"{session}/session-controls", body).status == 200
    number = '{"scope":"session","key":"n","value":9007199254740993}'
    assert server.post(f"{session}/settings", number).status == 200
    assert server.delete(f"{session}/settings/a").status == 200
    default = {"scope": "default", "controls": CHOSEN}
    assert server.post(f"{session}/session-controls", default).status == 200
    deleted = server.deleted(title="gone")
    pattern = gone(deleted, "gone")
    time = server.get(f"{deleted}/settings").matches(410, pattern)[1]
    etag = server.get(f"{session}/settings").etag
    return {"session": session, "etag": etag, "deleted": deleted, "time": time}


def after(server, known):
    session, deleted = known["session"], known["deleted"]
    answer = server.get(f"{session}/settings").is_(
        200,
        f'{{"status":"ok","sessionId":"{session}","scope":"session",'
        '"settings":{"n":9007199254740993}}',
    )
    assert answer.etag == known["etag"]
    server.get(f"{session}/session-controls").is_(
        200,
        status="ok",
        sessionId=session,
        **shown({**OPEN, "settings": {"n": 9007199254740993}}, CHOSEN, locked.REASON),
    )
    for path in ["settings", "settings?scope=default", "session-controls"]:
        time = server.get(f"{deleted}/{path}").matches(410, gone(deleted, "gone"))[1]
        assert time == known["time"], "it is the time of the deletion"
    locked.run(server, CHOSEN)
