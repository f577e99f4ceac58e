//! An agent that prints synthetic codex events: the executable of the bench in
//! the place of codex.
//!
//! Its prompt says how many and how fast. It prepares all lines, connects to the
//! bench to say so, and begins when the bench sends it a byte.
#![allow(clippy::print_stdout, reason = "an agent prints events")]

use std::{
    fmt::Write as _,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

/// The lines that frame the items: `thread.started`, `turn.started` and
/// `turn.completed`.
pub(crate) const FRAMING_LINES: usize = 3;

/// What an agent shall print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    /// How many lines.
    pub(crate) lines: usize,
    /// How long to wait between two; none to print all at once.
    pub(crate) interval: Option<Duration>,
}

/// The bench's end of the connection to an agent.
#[derive(Debug)]
pub(crate) struct Start {
    listener: TcpListener,
}

impl Start {
    pub(crate) fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").expect("a free port") }
    }

    /// The prompt that makes an agent wait for this and then print.
    pub(crate) fn prompt(&self, script: Script) -> String {
        let Script { lines, interval } = script;
        let address = self.listener.local_addr().expect("a listener has an address");
        format!("{address} {lines} {}", interval.unwrap_or_default().as_nanos())
    }

    /// Waits until the agent is there.
    pub(crate) fn prepared(&self) -> TcpStream {
        self.listener.accept().expect("an agent that connects").0
    }
}

/// Lets an agent begin.
pub(crate) fn begin(mut agent: TcpStream) {
    agent.write_all(b"!").expect("an agent that waits");
}

pub(crate) fn is_question(argument: &str) -> bool {
    matches!(argument, "--version" | "features")
}

/// Answers what a server asks codex before it starts it.
pub(crate) fn answer(question: &str) {
    match question {
        "--version" => println!("codex-cli 0.169.0"),
        _ => println!("unbounded_connection_retries  stable  true"),
    }
}

/// Prints what the prompt says.
pub(crate) fn exec() {
    let prompt = io::read_to_string(io::stdin()).expect("a prompt");
    let words: Vec<&str> = prompt.split_whitespace().collect();
    let [address, lines, interval] = words[..] else { panic!("no script: {prompt}") };
    let address: SocketAddr = address.parse().expect("an address");
    let lines: usize = lines.parse().expect("a number of lines");
    let interval = Duration::from_nanos(interval.parse().expect("nanoseconds"));

    let all = if interval.is_zero() { all(lines) } else { String::new() };
    let mut bench = TcpStream::connect(address).expect("a bench that waits");
    if bench.read(&mut [0]).unwrap_or(0) == 0 {
        // The bench is gone.
        return;
    }
    let mut stdout = io::stdout().lock();
    if interval.is_zero() {
        stdout.write_all(all.as_bytes()).expect("room for the output");
    } else {
        write!(stdout, "{}", head()).expect("room for the output");
        stdout.flush().expect("room for the output");
        let begin = now();
        let mut line = String::new();
        for number in 0..lines - FRAMING_LINES {
            let due = begin + interval * u32::try_from(number).expect("a moderate number");
            thread::sleep(due.saturating_sub(now()));
            line.clear();
            item(&mut line, number, now());
            stdout.write_all(line.as_bytes()).expect("room for the output");
        }
        stdout.write_all(END.as_bytes()).expect("room for the output");
    }
    stdout.flush().expect("room for the output");
}

/// The time on the clock that all processes share.
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(
        u64::try_from(time.tv_sec).expect("the clock began at 0"),
        u32::try_from(time.tv_nsec).expect("nanoseconds are below a second"),
    )
}

/// When a line was printed.
pub(crate) fn printed_at(line: &[u8]) -> Option<Duration> {
    let at = memchr::memmem::find(line, AT)? + AT.len();
    let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let nanos = digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    Some(Duration::from_nanos(nanos))
}

const AT: &[u8] = b"printed at ";
const END: &str = "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":24763,\"cached_input_tokens\":24448,\"output_tokens\":122,\"reasoning_output_tokens\":64}}\n";

fn head() -> &'static str {
    "{\"type\":\"thread.started\",\"thread_id\":\"0199a213-81c0-7800-8aa1-bbab2a035a53\"}\n{\"type\":\"turn.started\"}\n"
}

fn all(lines: usize) -> String {
    let mut text = String::with_capacity(lines * 360);
    text.push_str(head());
    for number in 0..lines - FRAMING_LINES {
        item(&mut text, number, Duration::ZERO);
    }
    text.push_str(END);
    text
}

/// Writes a line about an item: messages, reasoning, and commands with their
/// output in turn, of 356 bytes on average.
pub(crate) fn item(out: &mut String, number: usize, time: Duration) {
    let time = time.as_nanos();
    let written = match number % 4 {
        0 => writeln!(
            out,
            r#"{{"type":"item.completed","item":{{"id":"item_{number}","type":"reasoning","text":"**Looking at the failing test**\n\nThe cursor is one behind after the second page, printed at {time}; the loop ends before the last event is taken, which only shows with a full page."}}}}"#
        ),
        1 => writeln!(
            out,
            r#"{{"type":"item.started","item":{{"id":"item_{number}","type":"command_execution","command":"/bin/bash -lc 'cargo test --lib pages'","aggregated_output":"printed at {time}","exit_code":null,"status":"in_progress"}}}}"#
        ),
        2 => writeln!(
            out,
            r#"{{"type":"item.completed","item":{{"id":"item_{number}","type":"command_execution","command":"/bin/bash -lc 'cargo test --lib pages'","aggregated_output":"printed at {time}\n   Compiling pages v0.1.0\n    Finished `test` profile [unoptimized + debuginfo] target(s) in 1.21s\n     Running unittests src/lib.rs\n\nrunning 4 tests\ntest pages::tests::an_empty_page ... ok\ntest pages::tests::one_page ... ok\ntest pages::tests::the_last_page_is_full ... ok\ntest pages::tests::a_cursor_beyond_the_end ... ok\n\ntest result: ok. 4 passed; 0 failed; 0 ignored; 0 measured\n","exit_code":0,"status":"completed"}}}}"#
        ),
        _ => writeln!(
            out,
            r#"{{"type":"item.completed","item":{{"id":"item_{number}","type":"agent_message","text":"The tests pass now, printed at {time}: the cursor was off by one when a page was full. I kept the bound of a page as it was and moved the check behind the read, so that the last event of a page is never skipped or given twice."}}}}"#
        ),
    };
    written.expect("a String grows");
}
