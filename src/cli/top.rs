//! `switchboard sessions top`: the catalogue of sessions, live.
//!
//! ```text
//!  WatchSessions ─▶ follow (a task) ─▶ news ─┬─▶ table ─▶ screen     on a terminal
//!                   comes back by its cursor └─▶ one JSON object     elsewhere
//! ```

mod follow;
mod screen;
mod table;

use std::{
    io::{self, IsTerminal as _},
    pin::pin,
    time::{Duration, SystemTime},
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::Receiver,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use self::{
    follow::{News, follow},
    screen::{Screen, quit_key},
    table::Table,
};
use super::{
    Context, Failure,
    args::TopArgs,
    connect::Connector,
    keyboard::{Keyboard, OnInterrupt},
    render::text::Paint,
    sessions::json,
};

/// How long apart two frames are at least.
const PACE: Duration = Duration::from_millis(50);

/// How long it is said that the server is back.
const SAID: Duration = Duration::from_secs(5);

pub(super) async fn top(cx: &Context, connector: Connector, args: TopArgs) -> Result<(), Failure> {
    let dumb = cx.environment.text("TERM").is_some_and(|term| term == "dumb");
    let news = follow(connector, args.system);
    if cx.output.json || dumb || !io::stdout().is_terminal() {
        return print(cx, news).await;
    }
    let paint = Paint { colour: cx.output.colour };
    show(Table::new(args.all, paint), news).await
}

/// Prints every message as JSON, and what happens to the connection beside it.
async fn print(cx: &Context, mut news: Receiver<Result<News, Failure>>) -> Result<(), Failure> {
    let mut keyboard = Keyboard::new(cx, OnInterrupt::Return)?;
    while let Some(news) = keyboard.unless_left(news.recv()).await? {
        match news? {
            News::Message(message) => json(cx, &*message)?,
            News::Heartbeat => {}
            News::Lost(why) => cx.output.note(&format!("lost the server ({why}); trying again")),
            News::Back => cx.output.note("connected again"),
            News::Anew => cx.output.note("the server's catalogue is another one; beginning anew"),
        }
    }
    Err(Failure::Failed("the watch ended".into()))
}

/// Shows the table until the user leaves.
async fn show(mut table: Table, mut news: Receiver<Result<News, Failure>>) -> Result<(), Failure> {
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let mut resize = listen(SignalKind::window_change())?;
    let mut screen = Screen::enter()?;
    let mut quit = pin!(quit_key());
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drawn = Instant::now();
    let mut due = None;
    let mut status = Status { text: String::new(), until: None };
    loop {
        let at = due.unwrap_or(drawn);
        tokio::select! {
            news = news.recv() => {
                let Some(news) = news else {
                    return Err(Failure::Failed("the watch ended".into()));
                };
                match news? {
                    News::Message(message) => table.apply(*message),
                    News::Heartbeat => {}
                    News::Lost(why) => status.set(&format!("lost the server ({why}); trying again")),
                    News::Back => status.set_for("connected again", SAID),
                    News::Anew => table.clear(),
                }
                due = Some(at.max(drawn + PACE));
            }
            _ = second.tick() => due = Some(Instant::now()),
            _ = resize.recv() => due = Some(Instant::now()),
            () = sleep_until(at), if due.is_some() => {
                let frame = table.frame(SystemTime::now(), screen.size(), status.now());
                screen.draw(&frame)?;
                (drawn, due) = (Instant::now(), None);
            }
            () = &mut quit => return Ok(()),
            _ = interrupt.recv() => return Err(Failure::Interrupted),
            _ = terminate.recv() => return Err(Failure::Interrupted),
            _ = hangup.recv() => return Err(Failure::Interrupted),
        }
    }
}

/// What is said about the connection.
struct Status {
    text: String,
    until: Option<Instant>,
}

impl Status {
    fn set(&mut self, text: &str) {
        (self.text, self.until) = (text.to_owned(), None);
    }

    fn set_for(&mut self, text: &str, time: Duration) {
        (self.text, self.until) = (text.to_owned(), Some(Instant::now() + time));
    }

    fn now(&self) -> &str {
        if self.until.is_some_and(|until| until <= Instant::now()) { "" } else { &self.text }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::Failed(format!("cannot handle signals: {error}")))
}
