"""JSON-RPC by POST and over a WebSocket, with nothing but the standard library and websockets.

Prints one JSON object: what it found.
"""

import argparse
import asyncio
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


async def watch():
    """Follows the session with the limits that the library has by default."""
    url = options.url.replace("http:", "ws:")
    seqs, last = [], None
    async with websockets.connect(url, additional_headers={"authorization": headers["authorization"]}) as socket:
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
found = {
    "ids": [answer["id"] for answer in batch],
    "reasons": [batch[1]["error"]["data"]["reason"], refused["error"]["data"]["reason"]],
    "seqs": seqs,
    "closed": reason,
}
print(json.dumps(found))
