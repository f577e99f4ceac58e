//! What of codex's configuration is no part of a lock, and why.

use toml::Table;

use crate::agent::codex::tree::{get, put, remove};

/// The keys of the top level that are left out, each with its reason.
///
/// Whatever is not here is a part of a lock, also what a newer codex adds.
const LEFT_OUT: [(&str, &str); 46] = [
    // Names of what has its effect in the other keys.
    ("profile", "a name; what it selects is in the lock"),
    ("profiles", "what is not selected has no effect"),
    ("model_instructions_file", "a file; what it says is in `instructions`"),
    ("experimental_compact_prompt_file", "a file; what it says is in `compact_prompt`"),
    ("experimental_use_unified_exec_tool", "another name of `features.unified_exec`"),
    ("model_catalog_json", "a file; what it says of the model has a hash in the lock"),
    // This machine.
    ("projects", "directories that somebody here trusts"),
    ("notify", "a program of this machine"),
    ("log_dir", "a directory of this machine"),
    ("sqlite_home", "a directory of this machine"),
    ("js_repl_node_path", "a program of this machine"),
    ("js_repl_node_module_dirs", "directories of this machine"),
    ("allow_symlinked_codex_home", "how codex's home is made here"),
    ("marketplaces", "where plugins were fetched from, and when"),
    ("windows", "another system"),
    // Who is logged in.
    ("cli_auth_credentials_store", "where the login is kept"),
    ("mcp_oauth_credentials_store", "where logins are kept"),
    ("mcp_oauth_callback_port", "how somebody logs in"),
    ("mcp_oauth_callback_url", "how somebody logs in"),
    ("mcp_enterprise_managed_auth", "how somebody logs in"),
    ("forced_login_method", "how somebody logs in"),
    ("forced_chatgpt_workspace_id", "who is logged in"),
    // What is recorded and reported.
    ("history", "the history of prompts of the terminal"),
    ("analytics", "a report to the maker"),
    ("feedback", "a report to the maker"),
    ("otel", "a report to the operator"),
    ("notice", "what was shown once"),
    ("check_for_update_on_startup", "a question of the terminal"),
    // Screens and voices, which a turn of ours has not.
    ("tui", "the terminal"),
    ("desktop", "the desktop"),
    ("file_opener", "the terminal"),
    ("disable_paste_burst", "the terminal"),
    ("audio", "the desktop"),
    ("realtime", "the desktop"),
    ("experimental_realtime_ws_model", "the desktop"),
    ("experimental_realtime_ws_base_url", "the desktop"),
    ("experimental_realtime_ws_backend_prompt", "the desktop"),
    ("experimental_realtime_ws_startup_context", "the desktop"),
    ("experimental_realtime_start_instructions", "the desktop"),
    ("experimental_realtime_webrtc_call_base_url", "the desktop"),
    // Switches for those who work on codex.
    ("debug", "a switch for debugging"),
    ("experimental_thread_store", "a switch for debugging"),
    ("experimental_thread_store_endpoint", "a switch for debugging"),
    ("thread_unload_delay_secs", "how long an app-server keeps a thread"),
    ("suppress_unstable_features_warning", "what is warned of"),
    // What would be done twice: once by the layer that has it, once by the lock.
    ("hooks", "codex runs those of each layer"),
];

/// Keys that codex reads by another name, by that name.
const RENAMED: [([&str; 2], [&str; 2]); 1] =
    [(["agents", "max_threads"], ["agents", "max_concurrent_threads_per_session"])];

/// The first key that is left out and is there nevertheless, with the reason.
pub(in crate::agent::codex) fn first(table: &Table) -> Option<(&'static str, &'static str)> {
    LEFT_OUT.into_iter().find(|(key, _)| table.contains_key(*key))
}

/// Takes out what is left out, and tells what that was.
pub(in crate::agent::codex) fn take(table: &mut Table) -> Vec<&'static str> {
    let taken = LEFT_OUT.iter().filter(|(key, _)| table.remove(*key).is_some());
    taken.map(|(key, _)| *key).collect()
}

/// Whether a setting is left out, which is then as its layers have it, beside a
/// lock too.
pub(in crate::agent::codex) fn is_left_out(path: &[String]) -> bool {
    path.first().is_some_and(|first| LEFT_OUT.iter().any(|(key, _)| key == first))
}

/// Has a table of one layer say its settings by the names by which codex tells of
/// them, as codex does before it lays one over another. Of both names the new one
/// counts.
pub(in crate::agent::codex) fn rename(table: &mut Table) {
    for (from, to) in RENAMED {
        let [from, to] = [from, to].map(|path| path.map(str::to_owned));
        let Some(value) = get(table, &from).cloned() else { continue };
        remove(table, &from);
        if get(table, &to).is_none() {
            put(table, &to, value);
        }
    }
}

/// The path by which codex tells of a setting.
pub(in crate::agent::codex) fn renamed(path: &[String]) -> Vec<String> {
    let found = RENAMED.iter().find(|(from, _)| path.iter().eq(from.iter()));
    found.map_or_else(|| path.to_vec(), |(_, to)| to.map(str::to_owned).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_machine_is_taken_out_and_nothing_else() {
        let mut table: Table = "model = 'a'\nlog_dir = '/x'\nnew_in_codex = 1\n\
            [tui]\nx = 1\n[projects.'/a']\ntrust_level = 'trusted'\n"
            .parse()
            .unwrap();
        assert_eq!(take(&mut table), ["projects", "log_dir", "tui"]);
        assert_eq!(table, "model = 'a'\nnew_in_codex = 1\n".parse().unwrap());
    }

    #[test]
    fn of_two_names_of_a_setting_the_one_that_codex_tells_counts() {
        for (said, expected) in [
            (
                "max_threads = 2\nmax_depth = 1",
                "max_concurrent_threads_per_session = 2\nmax_depth = 1",
            ),
            (
                "max_threads = 2\nmax_concurrent_threads_per_session = 3",
                "max_concurrent_threads_per_session = 3",
            ),
        ] {
            let [mut said, expected] =
                [said, expected].map(|text| format!("[agents]\n{text}\n").parse().unwrap());
            rename(&mut said);
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn no_key_is_left_out_twice() {
        for (index, (key, reason)) in LEFT_OUT.iter().enumerate() {
            assert!(!reason.is_empty());
            assert!(LEFT_OUT[..index].iter().all(|(other, _)| other != key), "{key}");
        }
    }
}
