//! The `switchboard` program.

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    // Before anything else: a supervisor waits for hours beside every running
    // turn, and carries nothing that it does not need.
    let mut args = env::args_os().skip(1);
    if args.next().is_some_and(|command| command == "supervise") {
        return switchboard::supervise::main(args);
    }
    switchboard::cli::run(env::args_os())
}
