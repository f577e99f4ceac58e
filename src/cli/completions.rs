//! `switchboard completions`.

use clap::CommandFactory as _;

use super::{Context, Failure, args::Arguments};

pub(super) fn completions(cx: &Context, shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "switchboard", &mut script);
    cx.output.print_bytes(&script)
}
