use proptest::prelude::*;

use super::*;

fn end(verdict: Option<Verdict>, stop: StopAsked, cause: EndCause) -> End {
    End { verdict, stop, cause, last_words: None }
}

#[test]
fn every_row_of_the_table_is_judged_as_written() {
    use SessionState as S;
    use StateReason as R;
    let failed = || Some(Verdict::Failed("no".to_owned()));
    let code = |code| EndCause::Exited(ExitStatus::Code(code));
    let killed = EndCause::Exited(ExitStatus::Signal(9));
    let lost = || EndCause::Lost("gone".to_owned());
    let limit = |limit| StopAsked::Limit(limit, Limits::default());
    let rows = [
        (end(Some(Verdict::Completed), StopAsked::No, code(0)), S::Completed, R::Unspecified),
        (
            end(Some(Verdict::Completed), StopAsked::Kill, killed.clone()),
            S::Completed,
            R::Unspecified,
        ),
        (end(Some(Verdict::Completed), StopAsked::No, lost()), S::Completed, R::Unspecified),
        (end(failed(), StopAsked::Interrupt, code(1)), S::Failed, R::AgentError),
        (end(None, StopAsked::Kill, killed.clone()), S::Killed, R::Unspecified),
        (end(None, StopAsked::Kill, lost()), S::Killed, R::Unspecified),
        (end(None, StopAsked::Interrupt, code(1)), S::Interrupted, R::Unspecified),
        (end(None, limit(Limit::Inactivity), code(1)), S::Failed, R::Inactive),
        (end(None, limit(Limit::WallClock), killed.clone()), S::Failed, R::Deadline),
        (end(None, limit(Limit::Output), EndCause::StorageFull), S::Failed, R::OutputLimit),
        (end(None, limit(Limit::Other), code(1)), S::Failed, R::ExitStatus),
        (
            end(Some(Verdict::Completed), limit(Limit::Inactivity), code(1)),
            S::Completed,
            R::Unspecified,
        ),
        (end(failed(), limit(Limit::WallClock), code(1)), S::Failed, R::AgentError),
        (end(None, StopAsked::No, code(0)), S::Failed, R::Incomplete),
        (end(None, StopAsked::No, code(3)), S::Failed, R::ExitStatus),
        (end(None, StopAsked::No, killed), S::Failed, R::ExitStatus),
        (end(None, StopAsked::No, lost()), S::Failed, R::Lost),
        (end(None, StopAsked::No, EndCause::StorageFull), S::Failed, R::StorageFull),
        (
            end(None, StopAsked::No, EndCause::SpawnFailed("x".to_owned())),
            S::Failed,
            R::SpawnFailed,
        ),
    ];
    for (end, state, reason) in rows {
        let (is_state, is_reason, _) = judge(&end);
        assert_eq!((is_state, is_reason), (state, reason), "{end:?}");
    }
}

#[test]
fn a_limit_that_was_passed_is_named_with_its_number() {
    let limits = Limits {
        inactivity: Some(std::time::Duration::from_secs(90)),
        wall_clock: None,
        output_bytes: Some(8 << 30),
    };
    for (limit, text) in [
        (Limit::Inactivity, "the agent printed nothing for its inactivity limit of 1m 30s"),
        (Limit::WallClock, "the turn took longer than its wall-clock limit"),
        (Limit::Output, "the agent printed more than its output limit of 8GiB"),
    ] {
        let cause = EndCause::Exited(ExitStatus::Code(1));
        let mut end = end(None, StopAsked::Limit(limit, limits), cause);
        end.last_words = Some("interrupted".to_owned());
        assert_eq!(judge(&end).2, text);
    }
}

#[test]
fn the_agents_last_words_explain_a_turn_without_a_verdict() {
    let mut end = end(None, StopAsked::No, EndCause::Exited(ExitStatus::Code(1)));
    end.last_words = Some("Error: no such model".to_owned());
    assert_eq!(judge(&end).2, "Error: no such model");
}

#[test]
fn a_thread_that_begins_anew_counts_from_zero() {
    let mut session = session();
    let report = |input: i64, cached: i64, output: i64| {
        let usage = proto::Usage {
            input_tokens: input,
            cached_input_tokens: cached,
            output_tokens: output,
            ..proto::Usage::default()
        };
        Kind::TurnCompleted(proto::TurnCompleted { usage: Some(usage) })
    };
    let thread = |id: &str| Kind::ThreadStarted(proto::ThreadStarted { thread_id: id.to_owned() });
    let used = |session: &Session| {
        let used = proto::Session::from(session).last_turn.unwrap().usage.unwrap();
        (used.input_tokens, used.cached_input_tokens, used.output_tokens)
    };
    let mut turn = |number: u32, events: [Kind; 2]| {
        let running = SessionState::Running;
        session.last_turn = Some(new_turn(TurnNumber(number), running, session.usage, at(1)));
        for kind in events {
            apply(&mut session, TurnNumber(number), &kind, at(1));
        }
        used(&session)
    };
    assert_eq!(turn(1, [thread("one"), report(100, 90, 20)]), (100, 90, 20));
    assert_eq!(turn(2, [thread("one"), report(150, 95, 30)]), (50, 5, 10));
    assert_eq!(turn(3, [thread("two"), report(200, 10, 40)]), (200, 10, 40), "another thread");
    assert_eq!(turn(4, [thread("two"), report(210, 10, 40)]), (10, 0, 0));
}

/// What can happen to a session, in the words of its owner.
#[derive(Debug, Clone)]
enum Step {
    /// StartTurn, and whether there is a place.
    Start { place: bool },
    /// The turn that waits gets its place.
    Grant,
    /// The agent names its thread.
    Thread(u8),
    /// The agent says how the turn ended.
    Verdict { completed: bool, tokens: i64 },
    /// A client asks for a stop.
    Stop { kill: bool },
    /// The supervisor's exit file is there.
    Exit(ExitStatus),
    /// The supervisor is gone without one.
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<bool>().prop_map(|place| Step::Start { place }),
        Just(Step::Grant),
        (0..3_u8).prop_map(Step::Thread),
        (any::<bool>(), 0..100_i64)
            .prop_map(|(completed, tokens)| Step::Verdict { completed, tokens }),
        any::<bool>().prop_map(|kill| Step::Stop { kill }),
        prop_oneof![(0..3_u32).prop_map(ExitStatus::Code), Just(ExitStatus::Signal(9))]
            .prop_map(Step::Exit),
        Just(Step::Lose),
    ]
}

/// A session in five words: the reference that the real one is held to.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    turns: u32,
    /// Of the last turn; none before the first.
    state: Option<SessionState>,
    said: Option<bool>,
    asked: Option<bool>,
    thread: Option<u8>,
    tokens: i64,
    tokens_before: i64,
}

impl Model {
    /// What becomes of it; false where the owner refuses, or nothing can happen.
    fn take(&mut self, step: &Step) -> bool {
        use SessionState::{Completed, Failed, Interrupted, Killed, Queued, Running, Stopping};
        let runs = matches!(self.state, Some(Running | Stopping));
        match *step {
            Step::Start { place } => {
                if runs || self.state == Some(Queued) {
                    return false;
                }
                self.turns += 1;
                (self.said, self.asked, self.tokens_before) = (None, None, self.tokens);
                self.state = Some(if place { Running } else { Queued });
            }
            Step::Grant if self.state == Some(Queued) => self.state = Some(Running),
            Step::Thread(thread) if runs => {
                if self.thread.is_some_and(|had| had != thread) {
                    (self.tokens, self.tokens_before) = (0, 0);
                }
                self.thread = Some(thread);
            }
            Step::Verdict { completed, tokens } if runs => {
                self.said = Some(completed);
                if completed {
                    self.tokens += tokens;
                }
            }
            Step::Stop { kill } if self.state == Some(Queued) => {
                self.state = Some(if kill { Killed } else { Interrupted });
            }
            Step::Stop { kill } if runs => {
                self.asked = Some(kill || self.asked == Some(true));
                self.state = Some(Stopping);
            }
            Step::Exit(_) | Step::Lose if runs => {
                self.state = Some(match (self.said, self.asked) {
                    (Some(true), _) => Completed,
                    (None, Some(true)) => Killed,
                    (None, Some(false)) => Interrupted,
                    (Some(false), _) | (None, None) => Failed,
                });
            }
            Step::Grant
            | Step::Thread(_)
            | Step::Verdict { .. }
            | Step::Stop { .. }
            | Step::Exit(_)
            | Step::Lose => return false,
        }
        true
    }
}

fn at(second: usize) -> SystemTime {
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second as u64)
}

fn usage(tokens: i64) -> proto::Usage {
    proto::Usage { input_tokens: tokens, ..proto::Usage::default() }
}

fn session() -> Session {
    Session {
        id: crate::id::SessionId::from_bytes([7; 16]),
        agent: "codex".to_owned(),
        source: "user".to_owned(),
        title: String::new(),
        labels: Default::default(),
        working_directory: "/".into(),
        controls: crate::controls::Controls::default(),
        options: proto::CodexOptions::default(),
        archived: false,
        system_owned: false,
        persist: false,
        lock: None,
        forked_from: None,
        revision: 1,
        queue_position: None,
        thread_id: None,
        codex_version: String::new(),
        first_prompt: String::new(),
        last_turn: None,
        usage: None,
        create_time: at(0),
        update_time: at(0),
    }
}

/// The events that the owner appends for a step which the model took; a new
/// turn is made in the row before.
fn events(session: &mut Session, model: &Model, step: &Step, time: SystemTime) -> Vec<Kind> {
    let previous = session.state();
    let to = |state| state_changed(previous, (state, StateReason::Unspecified, String::new()));
    let spawned = Kind::TurnSpawned(proto::TurnSpawned::default());
    match step {
        Step::Start { place } => {
            let state = if *place { SessionState::Running } else { SessionState::Queued };
            let number = TurnNumber(session.turn_count() + 1);
            session.last_turn = Some(new_turn(number, state, session.usage, time));
            if *place { vec![spawned, to(state)] } else { vec![to(state)] }
        }
        Step::Grant => vec![spawned, to(SessionState::Running)],
        Step::Thread(thread) => {
            let thread_id = thread.to_string();
            vec![Kind::ThreadStarted(proto::ThreadStarted { thread_id })]
        }
        Step::Verdict { completed: true, .. } => {
            let usage = Some(usage(model.tokens));
            vec![Kind::TurnCompleted(proto::TurnCompleted { usage })]
        }
        Step::Verdict { completed: false, .. } => {
            vec![Kind::TurnFailed(proto::TurnFailed { message: "no".to_owned() })]
        }
        Step::Stop { .. } if previous == SessionState::Queued => {
            vec![to(model.state.unwrap_or_default())]
        }
        Step::Stop { .. } if previous == SessionState::Stopping => Vec::new(),
        Step::Stop { .. } => vec![to(SessionState::Stopping)],
        Step::Exit(_) | Step::Lose => {
            let turn = session.last_turn.as_ref().unwrap();
            let (cause, exited) = match step {
                Step::Exit(status) => {
                    let (exit_code, signal) = match status {
                        ExitStatus::Code(code) => (Some(*code), None),
                        ExitStatus::Signal(signal) => (None, Some(*signal)),
                    };
                    let exited =
                        proto::TurnExited { exit_code, signal, ..proto::TurnExited::default() };
                    (EndCause::Exited(*status), Some(Kind::TurnExited(exited)))
                }
                Step::Start { .. }
                | Step::Grant
                | Step::Thread(_)
                | Step::Verdict { .. }
                | Step::Stop { .. }
                | Step::Lose => (EndCause::Lost("gone".to_owned()), None),
            };
            let stop = match model.asked {
                None => StopAsked::No,
                Some(true) => StopAsked::Kill,
                Some(false) => StopAsked::Interrupt,
            };
            let end = End { verdict: turn.verdict.clone(), stop, cause, last_words: None };
            exited.into_iter().chain([state_changed(previous, judge(&end))]).collect()
        }
    }
}

proptest! {
    #[test]
    fn a_session_is_what_the_reference_model_says_whatever_happens(
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let (mut model, mut session) = (Model::default(), session());
        for (second, step) in steps.iter().enumerate() {
            if !model.take(step) {
                continue;
            }
            let time = at(second + 1);
            let mut log = Vec::new();
            for kind in events(&mut session, &model, step, time) {
                let number = TurnNumber(session.turn_count());
                apply(&mut session, number, &kind, time);
                log.push(kind);
            }
            // A crash between the log and the row has the last events applied again.
            let once = session.clone();
            for kind in &log {
                apply(&mut session, TurnNumber(once.turn_count()), kind, time);
            }
            prop_assert_eq!(&session, &once, "twice is once");
            // What is said of an earlier turn changes nothing.
            if let Some(earlier) = once.turn_count().checked_sub(1) {
                for kind in &log {
                    apply(&mut session, TurnNumber(earlier), kind, time);
                }
                prop_assert_eq!(&session, &once);
            }
            let seen = Model {
                turns: session.turn_count(),
                state: session.last_turn.as_ref().map(|turn| turn.state),
                said: session.last_turn.as_ref().and_then(|turn| turn.verdict.as_ref()).map(
                    |verdict| *verdict == Verdict::Completed,
                ),
                thread: session.thread_id.as_ref().map(|thread| thread.parse().unwrap()),
                tokens: session.usage.map_or(0, |usage| usage.input_tokens),
                ..model.clone()
            };
            prop_assert_eq!(&seen, &model, "after {:?}", step);
            let told = proto::Session::from(&session);
            if let Some(turn) = told.last_turn.filter(|turn| turn.usage.is_some()) {
                let used = turn.usage.unwrap().input_tokens;
                prop_assert_eq!(used, model.tokens - model.tokens_before, "of this turn alone");
            }
            let turn = session.last_turn.as_ref().unwrap();
            prop_assert_eq!(turn.end_time.is_some(), is_at_rest(turn.state));
            prop_assert_eq!(session.is_active(), !is_at_rest(turn.state));
        }
    }
}
