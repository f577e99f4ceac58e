"""The settings, the controls and their audit, as a Python program uses them over gRPC or /v1.

Goes through what the services promise, and ends with an assertion where one of them is not kept.
Prints one JSON object with how many entries the audit has at the end. The stubs are those that
`tests/run` generates from proto/; their folder must be on PYTHONPATH.
"""

import argparse
import json

import scenario
from client import Client
from over_grpc import Grpc
from over_rest import Rest

TRANSPORTS = {"grpc": Grpc, "rest": Rest}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--transport", required=True, choices=TRANSPORTS)
parser.add_argument("--target", required=True, help="host:port")
parser.add_argument("--token", required=True)
parser.add_argument("--cwd", required=True, help="where the sessions work")
parser.add_argument("--locked", action="store_true", help="the defaults are locked now")
options = parser.parse_args()

client = Client(TRANSPORTS[options.transport](options.target, options.token))
differences = scenario.DIFFERENCES[options.transport]
if options.locked:
    scenario.locked(client, differences)
else:
    scenario.unlocked(client, differences, options.cwd)
print(json.dumps({"entries": len(list(client.entries()))}))
