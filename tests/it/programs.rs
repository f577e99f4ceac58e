//! Runs the client programs under `tests/clients`, which are written as a user
//! of the library would write them.

use std::{
    ffi::OsString,
    fs::File,
    io::{BufRead as _, BufReader, Lines, Read as _, Seek as _},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use crate::toolchain;

/// In which language the program is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Language {
    Python,
    TypeScript,
}

/// One client program, and where it finds the server.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    language: Language,
    target: OsString,
    token: Option<String>,
}

/// A program that runs. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct RunningProgram {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    stderr: File,
}

impl Program {
    /// A client over TCP, with a token.
    pub(crate) fn over_tcp(language: Language, address: SocketAddr, token: &str) -> Self {
        Self { language, target: address.to_string().into(), token: Some(token.to_owned()) }
    }

    /// A client over TCP, without a token.
    pub(crate) fn without_token(language: Language, address: SocketAddr) -> Self {
        Self { language, target: address.to_string().into(), token: None }
    }

    /// A client over a Unix socket, which needs no token.
    pub(crate) fn over_socket(language: Language, socket: &Path) -> Self {
        let mut target = OsString::from("unix:");
        target.push(socket);
        Self { language, target, token: None }
    }

    /// Starts the program with a command and its options, such as `["list"]`.
    pub(crate) fn start(&self, arguments: &[&str]) -> RunningProgram {
        let mut command = match self.language {
            Language::Python => {
                let mut command = Command::new(toolchain::python());
                command.arg(toolchain::tests_dir().join("clients/python/client.py"));
                command.env("PYTHONPATH", toolchain::python_stubs());
                command
            }
            Language::TypeScript => {
                let mut command = Command::new("node");
                command.arg(toolchain::typescript_client());
                command
            }
        };
        command.arg("--target").arg(&self.target);
        if let Some(token) = &self.token {
            command.args(["--token", token]);
        }
        let stderr = tempfile::tempfile().unwrap();
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(stderr.try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();
        RunningProgram { child, lines, stderr }
    }

    /// Runs the program to its end, which must be a success, and returns its lines.
    pub(crate) fn run(&self, arguments: &[&str]) -> Vec<Value> {
        self.start(arguments).finish()
    }
}

impl RunningProgram {
    /// Waits for the next line; none at the end.
    pub(crate) fn next_line(&mut self) -> Option<Value> {
        self.lines.next().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
    }

    /// Waits for the end, which must be a success, and returns the lines that are left.
    pub(crate) fn finish(self) -> Vec<Value> {
        let (lines, code) = self.outcome();
        assert_eq!(code, Some(0), "{lines:#?}");
        lines
    }

    /// Waits for the end; returns the lines that are left and the exit status.
    pub(crate) fn outcome(mut self) -> (Vec<Value>, Option<i32>) {
        let lines = std::iter::from_fn(|| self.next_line()).collect();
        (lines, self.child.wait().unwrap().code())
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        // It has ended by itself where the test waited for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A test that fails shows what the program had to say beyond its lines.
        let mut said = String::new();
        self.stderr.rewind().unwrap();
        self.stderr.read_to_string(&mut said).unwrap();
        eprint!("{said}");
    }
}
