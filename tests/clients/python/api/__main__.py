"""Follows the contract of /api row by row, but for settings and controls.

Usage: api PART ADDRESS TOKEN [ARGUMENT...]
"""

import sys

import sessions
import streams
import turns
from client import Api

PARTS = [
    sessions.sessions, sessions.listing, sessions.after_restart, turns.turns, turns.unsupported,
    turns.transcripts, streams.stream, streams.midway, streams.limits, streams.slow, streams.draining, streams.life,
]

part, address, token, *arguments = sys.argv[1:]
{known.__name__: known for known in PARTS}[part](Api(address, token), *arguments)
