//! What the message of a refusal does not say and a person needs to act: what is
//! there, what matches, and where the whole of it is.

use super::Problem;
use crate::cli::render::text;

/// How much of a value that is there is shown beside a refusal.
const SHOWN_VALUE: usize = 400;

/// What a person needs to act and the message does not say.
pub(super) fn needed(problem: &Problem) -> String {
    let mut text = match problem.reason.as_str() {
        "DEFAULTS_LOCKED" => current(problem),
        "AMBIGUOUS_ID" => {
            let matches = problem.metadata.get("matches").map_or("", String::as_str);
            let ids = matches.split(',').filter(|id| !id.is_empty());
            ids.map(|id| format!("\n  {}", text::one_line(id, SHOWN_VALUE))).collect()
        }
        _ => String::new(),
    };
    if problem.metadata.contains_key("truncated") {
        text.push_str(
            "\n  what is long here is cut short, since gRPC has no room for it; /rpc and /v1 say all of it",
        );
    }
    text
}

/// What is there in the place of what was refused, and where all of it is.
fn current(problem: &Problem) -> String {
    let mut text = "\nthe defaults are:".to_owned();
    for name in ["model", "approval_policy", "network_access", "filesystem_sandbox", "settings"] {
        let Some(value) = problem.metadata.get(name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let name = name.replace('_', " ");
        text.push_str(&format!("\n  {name:<19} {}", text::one_line(value, SHOWN_VALUE)));
    }
    text.push_str(
        "\n  all of them: switchboard controls get --scope default, settings get --scope default",
    );
    text
}
