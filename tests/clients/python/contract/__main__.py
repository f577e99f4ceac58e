"""Follows the settings contract row by row against a running server.

Stops at the first answer that is not to the byte what the contract says, and
fails. Sessions are made over gRPC, so that what is tested is /api alone.
"""

import argparse
import json
import pathlib

import audited
import controls
import failures
import locked
import restarted
import settings
from server import Server


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True, help="HOST:PORT of the server")
    parser.add_argument("--token", required=True)
    parser.add_argument("--work", required=True, help="a folder for agents to work in")
    parser.add_argument("--state", type=pathlib.Path, help="what is known across a restart")
    parser.add_argument(
        "part",
        choices=["failures", "settings", "controls", "audited", "locked", "before", "after"],
    )
    options = parser.parse_args()
    server = Server(options.target, options.token, options.work)
    match options.part:
        case "failures":
            failures.run(server)
        case "settings":
            settings.run(server)
        case "controls":
            controls.run(server)
        case "audited":
            audited.run(server)
        case "locked":
            locked.run(server)
        case "before":
            options.state.write_text(json.dumps(restarted.before(server)))
        case "after":
            restarted.after(server, json.loads(options.state.read_text()))


main()
