use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::{
    proto::{DeletedSession, SessionsSynced, Turn, Usage},
    time::timestamp,
};

const NOW: SystemTime = UNIX_EPOCH;
const WIDE: Size = Size { columns: 100, rows: 24 };

fn now() -> SystemTime {
    NOW + Duration::from_secs(1_800_000_000)
}

fn ago(seconds: u64) -> Option<Timestamp> {
    Some(timestamp(now() - Duration::from_secs(seconds)))
}

fn session(id: &str, state: SessionState, begun: u64) -> Session {
    let at_rest = !matches!(state, SessionState::Running | SessionState::Queued);
    Session {
        session_id: format!("{id}-0000-4000-8000-000000000000"),
        state: state.into(),
        turn_count: 1,
        working_directory: "/home/dev/project".into(),
        title: format!("title of {id}"),
        update_time: ago(begun),
        last_turn: Some(Turn {
            start_time: ago(begun),
            end_time: if at_rest { ago(begun - 5) } else { None },
            ..Turn::default()
        }),
        ..Session::default()
    }
}

fn table(sessions: impl IntoIterator<Item = Session>) -> Table {
    let mut table = Table::new(false, Paint { colour: false });
    for session in sessions {
        told(&mut table, Message::Session(session));
    }
    told(&mut table, Message::Synced(SessionsSynced {}));
    table
}

fn told(table: &mut Table, message: Message) {
    table.apply(WatchSessionsResponse { cursor: "c".into(), message: Some(message) });
}

#[test]
fn those_that_run_come_first_and_then_the_latest_change() {
    let usage = Usage { input_tokens: 12_000, output_tokens: 400, ..Usage::default() };
    let table = table([
        session("aaaaaaaa", SessionState::Completed, 100),
        Session { usage: Some(usage), ..session("bbbbbbbb", SessionState::Running, 65) },
        session("cccccccc", SessionState::Failed, 50),
        session("dddddddd", SessionState::Queued, 10),
        session("eeeeeeee", SessionState::Running, 3_723),
    ]);
    let frame = table.frame(now(), WIDE, "");
    assert_eq!(
        frame,
        [
            "5 sessions · 2 running · 1 queued · q leaves",
            "ID        STATE        TURN       TIME  TOKENS  DIRECTORY          TITLE",
            "bbbbbbbb  running         1       1:05     12k  /home/dev/project  title of bbbbbbbb",
            "eeeeeeee  running         1    1:02:03          /home/dev/project  title of eeeeeeee",
            "dddddddd  queued          1       0:10          /home/dev/project  title of dddddddd",
            "cccccccc  failed          1       0:05          /home/dev/project  title of cccccccc",
            "aaaaaaaa  completed       1       0:05          /home/dev/project  title of aaaaaaaa",
        ]
    );
}

#[test]
fn a_frame_fits_into_any_terminal() {
    let sessions = (0..30).map(|number| {
        let title = "a title\twith \x1b[2Jescapes and\nlines that is long\u{202e}".repeat(5);
        let id = format!("{number:08}");
        Session { title, ..session(&id, SessionState::Running, 100 + number) }
    });
    let table = table(sessions);
    for columns in [0, 1, 7, 40, 60, 80, 200] {
        for rows in [0, 1, 2, 3, 10, 50] {
            let frame = table.frame(now(), Size { columns, rows }, "lost the server");
            assert!(frame.len() <= rows, "{columns}x{rows}: {frame:#?}");
            for line in &frame {
                assert!(line.chars().count() <= columns, "{columns}x{rows}: {line:?}");
                assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }
    let frame = table.frame(now(), Size { columns: 60, rows: 10 }, "");
    assert_eq!(frame.len(), 10);
    assert_eq!(frame[9], "… 23 more");
    assert!(frame[2].starts_with("00000000  running"), "{frame:#?}");
    assert!(frame[2].ends_with("a title wit…"), "{frame:#?}");
}

#[test]
fn archived_and_deleted_sessions_leave_the_table() {
    let gone = session("aaaaaaaa", SessionState::Completed, 10);
    let aside = session("bbbbbbbb", SessionState::Completed, 10);
    let mut table = table([gone.clone(), aside.clone()]);
    let session_id = gone.session_id;
    told(&mut table, Message::Deleted(DeletedSession { session_id, ..Default::default() }));
    told(&mut table, Message::Session(Session { archived: true, ..aside }));
    assert_eq!(table.frame(now(), WIDE, "")[0], "0 sessions · 0 running · q leaves");
}

#[test]
fn nothing_is_shown_before_all_is_known() {
    let mut table = table([session("aaaaaaaa", SessionState::Running, 10)]);
    table.clear();
    told(&mut table, Message::Session(session("bbbbbbbb", SessionState::Running, 10)));
    assert_eq!(table.frame(now(), WIDE, ""), ["reading the sessions"]);
    assert_eq!(table.frame(now(), WIDE, "lost"), ["lost"]);
}

#[test]
fn the_state_alone_has_a_colour() {
    let mut table = table([session("aaaaaaaa", SessionState::Failed, 10)]);
    table.paint = Paint { colour: true };
    let frame = table.frame(now(), WIDE, "");
    assert!(frame[2].starts_with("aaaaaaaa  \x1b[31mfailed\x1b[0m  "), "{:?}", frame[2]);
    // Where there is no room for it, no half of a colour is left.
    let frame = table.frame(now(), Size { columns: 12, rows: 5 }, "");
    assert_eq!(frame[2], "aaaaaaaa  f…");
}

#[test]
fn times_and_counts_are_short() {
    let turn = |seconds| Turn { start_time: ago(seconds), ..Turn::default() };
    for (seconds, expected) in [
        (0, "0:00"),
        (59, "0:59"),
        (3_600, "1:00:00"),
        (90_061, "1d 01:01"),
        (8_640_000, "100d 00:00"),
    ] {
        assert_eq!(runtime(&turn(seconds), now()), expected);
    }
    assert_eq!(runtime(&turn(5), now() - Duration::from_secs(60)), "0:00");
    for (count, expected) in [(9_999, "9999"), (10_000, "10k"), (12_345_678, "12M")] {
        assert_eq!(short_count(count), expected);
    }
}
