"""JSON-RPC by POST and over a WebSocket, with nothing but the standard library and websockets.

The WebSockets have the limits that the library has by default: no message over 1 MiB.

Prints one JSON object: what it found.
"""

import argparse
import asyncio
import base64
import json
import urllib.request

import websockets

parser = argparse.ArgumentParser()
parser.add_argument("--url", required=True)
parser.add_argument("--token", required=True)
parser.add_argument("--session", required=True)
options = parser.parse_args()
headers = {"authorization": f"Bearer {options.token}", "content-type": "application/json"}


def post(request):
    body = json.dumps(request).encode()
    with urllib.request.urlopen(urllib.request.Request(options.url, body, headers)) as answer:
        return json.loads(answer.read() or "null")


def request(number, method, **params):
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def connect():
    url = options.url.replace("http:", "ws:")
    return websockets.connect(url, additional_headers={"authorization": headers["authorization"]})


async def call(socket, method, **params):
    await socket.send(json.dumps(request(method, method, sessionId=options.session, **params)))
    answer = json.loads(await socket.recv())
    assert answer["id"] == method and "result" in answer, answer
    return answer["result"]


async def pages():
    """Reads all that a session has page by page, with what is said to be the default of a page."""
    found = {}
    async with connect() as socket:
        listed, after, latest = [], "0", None
        while after != latest:
            page = await call(socket, "events/list", afterSeq=after)
            listed += [int(event["seq"]) for event in page["events"]]
            after, latest = page["nextAfterSeq"], page["latestSeq"]
        found["listed"] = listed
        for method, entries, more in (
            ("session/listMessages", "messages", {}),
            ("session/getTrajectory", "steps", {"full": True}),
        ):
            seqs, token = [], ""
            while token is not None:
                page = await call(socket, method, pageToken=token, **more)
                seqs += [int(entry["seq"]) for entry in page.get(entries, [])]
                token = page.get("nextPageToken")
            assert seqs == sorted(set(seqs)), seqs
            found[entries] = len(seqs)
        output, size = b"", None
        while len(output) != size:
            chunk = await call(socket, "session/readOutput", offset=str(len(output)))
            output += base64.b64decode(chunk["data"])
            size = int(chunk["totalSize"])
        found["lines"] = output.count(b"\n")
    return found


async def watch():
    """Follows the session."""
    seqs, last = [], None
    async with connect() as socket:
        params = {"sessionIds": [options.session], "startSeq": "1", "stopAtEnd": True}
        await socket.send(json.dumps(request(1, "events/watch", **params)))
        subscription = json.loads(await socket.recv())["result"]
        async for text in socket:
            params = json.loads(text)["params"]
            assert params["subscription"] == subscription
            messages = params["result"]["messages"]
            seqs += [int(message["event"]["seq"]) for message in messages if "event" in message]
            if last := params["result"].get("closed"):
                break
        await socket.send(json.dumps(request("two", "audit/verify")))
        answer = json.loads(await socket.recv())
        assert answer["id"] == "two" and answer["result"]["valid"], answer
    return seqs, last["reason"]


batch = post([request(1, "server/info"), {"jsonrpc": "2.0", "method": "audit/verify"}, request(2, "nope")])
refused = post(request(3, "session/get", sessionId="00000000-0000-4000-8000-000000000000"))
seqs, reason = asyncio.run(watch())
read = asyncio.run(pages())
found = {
    "ids": [answer["id"] for answer in batch],
    "reasons": [batch[1]["error"]["data"]["reason"], refused["error"]["data"]["reason"]],
    "seqs": seqs,
    "closed": reason,
    **read,
}
print(json.dumps(found))
