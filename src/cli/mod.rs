//! What a person types, and what they get to see.
//!
//! `main` calls [`run()`] with the arguments. Every command but `serve`, `demo`,
//! `bundle` and `replay` is a client of a server like any other: it goes through the
//! generated stubs and knows nothing of stores or agents. Exit codes: 0 done, 1
//! it failed, 2 bad usage, 3 no server answers, 4 a comparison found differences, 130 interrupted.

mod args;
mod audit;
mod bundle;
mod completions;
mod config;
mod confirm;
mod connect;
mod controls;
mod demo;
mod embedded;
mod failure;
mod follow;
mod keyboard;
mod launch;
mod list;
mod lock;
mod manage;
mod notify;
mod options;
mod output;
mod profile;
mod prompt;
mod render;
mod replay;
mod retry;
mod run;
mod scope;
mod serve;
mod server;
mod sessions;
mod settings;
mod show;
mod top;
mod views;
mod wait;

use std::{ffi::OsString, future::Future, process::ExitCode};

use clap::{Parser as _, error::ErrorKind};

pub use self::failure::Failure;
use self::{
    args::{Arguments, Command, Global},
    connect::Target,
    output::Output,
    profile::Profile,
};
use crate::{
    config::{self as configuration, Environment},
    home::Home,
};

/// What every command knows.
#[derive(Debug)]
struct Context {
    environment: Environment,
    global: Global,
    output: Output,
}

impl Context {
    /// The home that the command line names.
    fn home(&self) -> Result<Home, Failure> {
        Ok(configuration::home(self.global.home.clone(), &self.environment)?.0)
    }

    /// The server that was named, if one was: by its address, else by a profile. A
    /// profile's token goes to the profile's address alone.
    fn named(&self) -> Result<Option<Profile>, Failure> {
        if let Some(target) = &self.global.url {
            return Ok(Some(Profile { target: target.clone(), token: None }));
        }
        if let Some(text) = self.environment.text("SWITCHBOARD_URL") {
            let target = text
                .parse()
                .map_err(|error| Failure::Usage(format!("SWITCHBOARD_URL: {error}")))?;
            return Ok(Some(Profile { target, token: None }));
        }
        let name = self.global.profile.clone();
        match name.or_else(|| self.environment.text("SWITCHBOARD_PROFILE")) {
            Some(name) => Profile::find(&name, &self.environment),
            None => Ok(None),
        }
    }

    /// The server to talk to: the named one, else the home's socket.
    fn server(&self) -> Result<Profile, Failure> {
        match self.named()? {
            Some(server) => Ok(server),
            None => Ok(Profile { target: Target::Unix(self.home()?.socket()), token: None }),
        }
    }
}

/// Does what the arguments say and returns how it went.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let environment = Environment::read();
    let parsed = match Arguments::try_parse_from(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => return ExitCode::from(refuse(&error, &arguments, &environment)),
    };
    let output = Output::new(&environment, parsed.global.json);
    let cx = Context { environment, global: parsed.global, output };
    match dispatch(&cx, parsed.command) {
        Ok(code) => code,
        Err(failure) => {
            if let Some(report) = failure.report(output.json) {
                output.note(&report);
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(cx: &Context, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve(args) => serve::serve(cx, args)?,
        Command::Run(args) => block_on(run::run(cx, args))?,
        Command::Demo(args) => block_on(demo::demo(cx, args))?,
        Command::Replay(args) => return replay::replay(cx, &args),
        Command::Sessions(command) => block_on(sessions::sessions(cx, command))?,
        Command::Send(args) => block_on(run::send(cx, args))?,
        Command::Settings(command) => block_on(settings::settings(cx, command))?,
        Command::Controls(command) => block_on(controls::controls(cx, command))?,
        Command::Audit(command) => block_on(audit::audit(cx, command))?,
        Command::Lock(command) => block_on(lock::lock(cx, command))?,
        Command::Bundle(args) => bundle::bundle(cx, args)?,
        Command::Server(command) => block_on(server::server(cx, command))?,
        Command::Config(command) => config::config(cx, command)?,
        Command::Completions { shell } => completions::completions(cx, shell)?,
        // `main` takes this branch before the arguments come here.
        Command::Supervise { .. } => {
            return Err(Failure::Usage("supervise is for the server, as the first word".into()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a client's future. One thread is enough for one connection.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    let result = runtime.block_on(work);
    // Nothing that still runs in the background may hold the exit up.
    runtime.shutdown_background();
    result
}

/// Says what is wrong with the command line; help and version are no error.
fn refuse(error: &clap::Error, arguments: &[OsString], environment: &Environment) -> u8 {
    let json = arguments.iter().any(|argument| argument == "--json");
    let output = Output::new(environment, json);
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let rendered = error.render();
    let coloured = |colour: bool| {
        if colour { rendered.ansi().to_string() } else { rendered.to_string() }
    };
    if asked {
        return match output.print(&coloured(output.colour)) {
            Ok(()) => 0,
            Err(failure) => failure.exit_code(),
        };
    }
    if json {
        let plain = rendered.to_string();
        let message = plain.trim_start_matches("error: ").lines().next().unwrap_or_default();
        let failure = Failure::Usage(message.to_owned());
        output.note(&failure.report(true).unwrap_or_default());
    } else {
        output.note(coloured(output.colour_notes).trim_end());
    }
    2
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_explains_itself() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                let name = format!("{} {}", command.get_name(), argument.get_id());
                assert!(argument.is_hide_set() || argument.get_help().is_some(), "{name}");
            }
            for sub in command.get_subcommands() {
                assert!(sub.get_about().is_some(), "{}", sub.get_name());
                check(sub);
            }
        }
        check(&Arguments::command());
    }
}
