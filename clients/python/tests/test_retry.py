"""What changes something is done once, however often it must be sent."""

from __future__ import annotations

import copy
import itertools
import threading

import grpc
import pytest
from conftest import script
from harness import GIVE_UP, Proxy, Server, seeded

from switchboard import Switchboard, SwitchboardError
from switchboard._operations import sessions
from switchboard._operations.call import Limits
from switchboard._operations.effects import Sleep, Unary
from switchboard._proto.v1.session_pb2 import WaitSessionRequest


def test_a_change_whose_answer_is_lost_is_done_once(shared: Server) -> None:
    dice = seeded()
    proxy = Proxy(shared.address)
    with (
        Switchboard(f"unix:{shared.socket}") as direct,
        Switchboard(proxy.url, token=shared.token, timeout=GIVE_UP) as sb,
    ):
        sb.info()
        # An answer has some hundred bytes, so that many are cut within.
        proxy.cut_after(lambda: dice.randrange(1, 3_000))
        label = {"retry": str(dice.random())}
        sessions = [
            sb.sessions.create(shared.work, title=str(number), labels=label) for number in range(12)
        ]
        chat = sb.session(sessions[0].id)
        counts = chat.settings.namespace("counts")
        writes = []
        for number in itertools.count():
            writes.append(chat.settings.set("n", number))
            writes.append(counts.merge({"n": number}))
            if number >= 8 and proxy.cuts >= 6:
                break
        proxy.close()
        found = direct.sessions.list(labels=label)
        assert sorted(each.id for each in found) == sorted(each.id for each in sessions)
        entries = direct.audit.list(session_id=chat.id)
        assert [entry.seq for entry in entries] == [write.audit_seq for write in writes]
        assert all(write.changed for write in writes)


def test_a_change_outlasts_a_restart_of_the_server(own: Server) -> None:
    with Switchboard(own.url, token=own.token, timeout=GIVE_UP) as sb:
        chat = sb.session(sb.sessions.create(own.work).id)
        own.kill()
        restart = threading.Timer(0.3, own.start)
        restart.start()
        assert chat.settings.set("a", 1).changed
        restart.join()
        chat.send(script("thread", "turn", "sleep"))
        assert next(chat.events(kinds=["turn_started"])).turn == 1
        own.kill()
        restart = threading.Timer(0.3, own.start)
        restart.start()
        assert chat.get().state == "running"
        restart.join()

        found: list[str] = []
        waiting = threading.Thread(target=lambda: found.append(chat.wait(GIVE_UP).state))
        waiting.start()
        own.kill()
        own.start()
        chat.kill()
        waiting.join()
        assert found == ["killed"]


def test_a_server_that_stays_away_is_given_up_when_the_time_is_up(own: Server) -> None:
    with (
        Switchboard(own.url, token=own.token) as patient,
        Switchboard(own.url, token=own.token, timeout=0.5) as sb,
    ):
        chat = sb.session(patient.sessions.create(own.work).id)
        own.kill()
        with pytest.raises(SwitchboardError) as raised:
            chat.settings.set("a", 1)
        assert raised.value.reason in ("", "DEADLINE_EXCEEDED")


def test_a_wait_that_is_sent_again_waits_for_what_is_left() -> None:
    waiting = sessions.wait(Limits(), "x", None, 20.0)
    first = next(waiting)
    assert isinstance(first, Unary)
    asked = copy.deepcopy(first.request)
    gone = SwitchboardError("gone", code=grpc.StatusCode.UNAVAILABLE)
    assert isinstance(waiting.throw(gone), Sleep)
    again = next(waiting)
    assert isinstance(again, Unary)
    assert isinstance(asked, WaitSessionRequest)
    assert isinstance(again.request, WaitSessionRequest)
    assert again.request.timeout.ToNanoseconds() < asked.timeout.ToNanoseconds()
    assert again.timeout < first.timeout
    waiting.close()
