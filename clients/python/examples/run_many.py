"""Runs prompts, each in a session of its own, and sums up what came of them.

    python run_many.py --cwd ~/project "list the TODOs" "explain the build" "find dead code"
    python run_many.py --cwd ~/project --at-once 4 < prompts.txt       # one prompt a line

Progress goes to standard error, the results to standard output. The exit code is 0 when every
turn was completed, else 1. Ctrl-C starts no more of them and ends with 130; the turns that run are
the server's and go on, which the last line says.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass

from switchboard import AsyncSwitchboard, Session, SwitchboardError, Usage


@dataclass
class Result:
    """What came of a prompt."""

    prompt: str
    session: Session | None = None
    answer: str = ""
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether its turn was completed."""
        return self.session is not None and self.session.state == "completed"


def show(number: int, text: str) -> None:
    """One line of progress."""
    print(f"[{number}] {text}", file=sys.stderr, flush=True)


async def run(
    sb: AsyncSwitchboard, number: int, prompt: str, options: argparse.Namespace
) -> Result:
    """Runs one prompt to its end."""
    result = Result(prompt)
    try:
        created = await sb.sessions.create(
            options.cwd,
            prompt,
            agent=options.agent,
            model=options.model,
            filesystem_sandbox=options.sandbox,
            # A title is one line.
            title=" ".join(prompt.split())[:80],
            labels={"run": "run_many"},
            source="run_many",
        )
        show(number, f"{created.id[:8]} {created.state}")
        chat = sb.session(created.id)
        async for event in chat.events(stop_at_end=True):
            if event.kind == "state_changed":
                show(number, f"{created.id[:8]} {event.data['state']}")
            elif event.text is not None:
                result.answer = event.text
        # A turn that waits for its place has not begun when the events end.
        result.session = await chat.wait()
        if not result.answer and (
            said := [m for m in await chat.messages() if m.role == "assistant"]
        ):
            result.answer = said[-1].content
        if not result.ok:
            turn = result.session.last_turn
            result.problem = (turn.error or turn.state_reason) if turn else result.session.state
    except SwitchboardError as error:
        result.problem = str(error)
    return result


def report(results: list[Result]) -> None:
    """The results, and the tokens of them all."""
    total = Usage()
    for number, result in enumerate(results, 1):
        state = result.session.state if result.session else "not started"
        print(f"== {number}. {result.prompt.strip().splitlines()[0][:80]}: {state}")
        print(result.problem if not result.ok else result.answer)
        if result.session and result.session.usage:
            usage = result.session.usage
            total += usage
            print(f"   {usage.input_tokens} tokens in, {usage.output_tokens} out")
    done = sum(result.ok for result in results)
    print(f"== {done} of {len(results)} completed,", end=" ")
    print(f"{total.input_tokens} tokens in ({total.cached_input_tokens} cached),", end=" ")
    print(f"{total.output_tokens} out")


async def main() -> int:
    """Runs them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("prompts", nargs="*", help="by default the lines of standard input")
    parser.add_argument("--profile", help="the server; by default that of this machine")
    parser.add_argument("--cwd", default=".", help="where the agents work")
    parser.add_argument("--agent", default="codex", help="codex, or replay:FILE")
    parser.add_argument("--model")
    parser.add_argument("--sandbox", choices=["read-only", "workspace-write", "danger-full-access"])
    parser.add_argument("--at-once", type=int, default=8, help="how many run at the same time")
    options = parser.parse_args()
    prompts = [each for each in options.prompts or map(str.strip, sys.stdin) if each.strip()]
    if not prompts:
        parser.error("give at least one prompt")
    if options.at_once < 1:
        parser.error("--at-once: at least one at a time")

    places = asyncio.Semaphore(options.at_once)

    async with AsyncSwitchboard.from_profile(options.profile) as sb:

        async def placed(number: int, prompt: str) -> Result:
            async with places:
                return await run(sb, number, prompt, options)

        runs = (placed(number, prompt) for number, prompt in enumerate(prompts, 1))
        results = await asyncio.gather(*runs)
    report(results)
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        print(
            "interrupted; what runs goes on: switchboard sessions list --label run=run_many",
            file=sys.stderr,
        )
        sys.exit(130)
