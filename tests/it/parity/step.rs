//! The lines of a scenario, and what stands for what in them.

/// Ids that scenarios call by a name.
pub(super) const NAMES: [(&str, &str); 7] = [
    ("$A", "11111111-1111-4111-8111-111111111111"),
    ("$B", "22222222-2222-4222-8222-222222222222"),
    ("$C", "11112222-2222-4222-8222-222222222222"),
    ("$F", "44444444-4444-4444-8444-444444444444"),
    ("$G", "55555555-5555-4555-8555-555555555555"),
    ("$R", "66666666-6666-4666-8666-666666666666"),
    ("$NONE", "33333333-3333-4333-8333-333333333333"),
];

/// A step of a scenario.
pub(super) struct Step<'a> {
    pub line: &'a str,
    /// What comes before the colon.
    pub mark: &'a str,
    pub expected: &'a str,
    pub method: &'a str,
    /// As it is written, with its names.
    pub request: &'a str,
    /// The name under which something of the result is kept, and where in the
    /// result it is.
    pub kept: Option<(&'a str, &'a str)>,
}

/// The steps of a scenario, in order.
pub(super) fn steps(scenario: &str) -> Vec<Step<'_>> {
    let lines = scenario.lines().filter(|line| !line.is_empty() && !line.starts_with(['%', '#']));
    lines.map(step).collect()
}

fn step(line: &str) -> Step<'_> {
    let (asked, kept) = match line.rsplit_once(" -> ") {
        Some((asked, kept)) => (asked, Some(kept.split_once(' ').unwrap_or((kept, "")))),
        None => (line, None),
    };
    let (expected, asked) = asked.split_once(' ').expect(line);
    let (method, request) = asked.split_once(' ').expect(line);
    let (mark, expected) = expected.split_once(':').unwrap_or(("", expected));
    Step { line, mark, expected, method, request, kept }
}

/// What the configuration file of a scenario's servers says.
pub(super) fn config(scenario: &str) -> String {
    let lines = scenario.lines().filter_map(|line| line.strip_prefix('%'));
    lines.map(|line| format!("{}\n", line.trim())).collect()
}
