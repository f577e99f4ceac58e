//! What an agent may do, and the settings beside it: the values of one scope,
//! how they are edited, and how they are named.
//!
//! A leaf: pure, and without a clock. The store keeps a [`State`] for each scope
//! and records every edit in the [audit](crate::audit).

use sha2::{Digest as _, Sha256};

use crate::{
    id::SessionId,
    proto::{self, ApprovalPolicy, AuditOperation, FilesystemSandbox, NetworkAccess},
    settings::{self, Settings, Value},
};

/// Whose controls and settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Those of one session.
    Session(SessionId),
    /// Those that new sessions begin with.
    Default,
}

impl From<Scope> for proto::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Session(_) => Self::Session,
            Scope::Default => Self::Default,
        }
    }
}

/// What an agent may do. `Unspecified` means that nobody chose, which leaves it to
/// the agent's own configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controls {
    /// The model; none for the agent's own default.
    pub model: Option<String>,
    /// When the agent asks before it acts.
    pub approval_policy: ApprovalPolicy,
    /// Whether commands may use the network.
    pub network: NetworkAccess,
    /// What commands may write.
    pub sandbox: FilesystemSandbox,
}

impl Default for Controls {
    fn default() -> Self {
        Self {
            model: None,
            approval_policy: ApprovalPolicy::Unspecified,
            network: NetworkAccess::Unspecified,
            sandbox: FilesystemSandbox::Unspecified,
        }
    }
}

impl Controls {
    /// These, with what nobody chose taken from `below`.
    #[must_use]
    pub fn over(&self, below: &Self) -> Self {
        let Self { model, approval_policy, network, sandbox } = self;
        Self {
            model: model.clone().or_else(|| below.model.clone()),
            approval_policy: chosen(*approval_policy).unwrap_or(below.approval_policy),
            network: chosen(*network).unwrap_or(below.network),
            sandbox: chosen(*sandbox).unwrap_or(below.sandbox),
        }
    }

    /// What the settings contract has where nobody chose.
    #[must_use]
    pub fn contract_defaults() -> Self {
        Self {
            model: None,
            approval_policy: ApprovalPolicy::Untrusted,
            network: NetworkAccess::Restricted,
            sandbox: FilesystemSandbox::ReadOnly,
        }
    }
}

impl From<&Controls> for proto::Controls {
    fn from(controls: &Controls) -> Self {
        let Controls { model, approval_policy, network, sandbox } = controls;
        Self {
            model: model.clone().unwrap_or_default(),
            approval_policy: (*approval_policy).into(),
            network_access: (*network).into(),
            filesystem_sandbox: (*sandbox).into(),
        }
    }
}

impl From<&proto::Controls> for Controls {
    /// What this server encoded; a value of a later version counts as not chosen.
    fn from(controls: &proto::Controls) -> Self {
        Self {
            model: (!controls.model.is_empty()).then(|| controls.model.clone()),
            approval_policy: controls.approval_policy(),
            network: controls.network_access(),
            sandbox: controls.filesystem_sandbox(),
        }
    }
}

/// Whether an agent can be told this name of a model.
///
/// # Errors
///
/// What is wrong with it: a blank name, for which codex takes none, and one that
/// it would read as a flag.
pub fn check_model(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("expected a name".to_owned());
    }
    if name.starts_with('-') {
        return Err(format!("{name:?}: expected a name that does not begin with a dash"));
    }
    Ok(())
}

/// The controls and settings of one scope.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// The controls.
    pub controls: Controls,
    /// The settings.
    pub settings: Settings,
    /// Rises with every change.
    pub revision: u64,
}

impl State {
    /// Names the values as they are.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("{:x}", self.revision)
    }

    /// The values on one line, with what nobody chose shown as `shown` has it.
    #[must_use]
    pub fn summary(&self, shown: &Controls) -> String {
        let controls = self.controls.over(shown);
        format!(
            "{} | {} | {} | {} | settings:{}",
            controls.model.as_deref().unwrap_or("default"),
            approval_word(controls.approval_policy),
            network_word(controls.network),
            sandbox_word(controls.sandbox),
            self.settings.len()
        )
    }

    /// SHA-256 of the values; of the text of an object with the members `model`,
    /// `approvalPolicy`, `networkAccess`, `filesystemSandbox` and `settings`.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let Controls { model, approval_policy, network, sandbox } = &self.controls;
        let model = model.as_deref().map_or(crate::json::Json::Null, Into::into);
        let text = format!(
            "{{\"model\":{model},\"approvalPolicy\":\"{}\",\"networkAccess\":\"{}\",\"filesystemSandbox\":\"{}\",\"settings\":{}}}",
            approval_word(*approval_policy),
            network_word(*network),
            sandbox_word(*sandbox),
            self.settings
        );
        Sha256::digest(text).into()
    }
}

/// What a client writes.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Sets these settings, and leaves the others.
    Merge(Settings),
    /// Makes these all settings.
    Replace(Settings),
    /// Sets one setting.
    Set(String, Value),
    /// Removes one setting.
    Remove(String),
    /// Sets all controls and, where they are given, all settings.
    Apply(Controls, Option<Settings>),
    /// Sets the controls that are chosen here, and leaves the others.
    Override(Controls),
}

impl Edit {
    /// The values after it.
    #[must_use]
    pub fn apply(&self, state: &State) -> State {
        let mut next = state.clone();
        match self {
            Self::Merge(settings) => next.settings.merge(settings.clone()),
            Self::Replace(settings) => next.settings.replace(settings.clone()),
            Self::Set(key, value) => next.settings.set(key.clone(), value.clone()),
            Self::Remove(key) => drop(next.settings.remove(stored_key(&next.settings, key))),
            Self::Apply(controls, settings) => {
                next.controls = controls.clone();
                if let Some(settings) = settings {
                    next.settings.replace(settings.clone());
                }
            }
            Self::Override(controls) => next.controls = controls.over(&state.controls),
        }
        next
    }

    /// The name that the audit has for it.
    #[must_use]
    pub fn operation(&self) -> AuditOperation {
        match self {
            Self::Merge(_) | Self::Replace(_) | Self::Set(..) => AuditOperation::UpdateSettings,
            Self::Remove(_) => AuditOperation::DeleteSetting,
            Self::Apply(..) => AuditOperation::ApplyControls,
            Self::Override(_) => AuditOperation::OverrideControls,
        }
    }
}

/// A control, where somebody chose it.
#[must_use]
pub fn chosen<T: Default + PartialEq>(control: T) -> Option<T> {
    // The default of an enum of the contract is UNSPECIFIED.
    (control != T::default()).then_some(control)
}

/// The key that is meant by one that shall be removed: it as it is where that is
/// there, so that whatever a map holds can be removed, else without the white
/// space around it.
#[must_use]
pub fn stored_key<'a>(settings: &Settings, key: &'a str) -> &'a str {
    if settings.get(key).is_some() { key } else { settings::trim(key) }
}

/// The word of the contract for a policy; empty for none.
#[must_use]
pub fn approval_word(policy: ApprovalPolicy) -> &'static str {
    match policy {
        ApprovalPolicy::Unspecified => "",
        ApprovalPolicy::Untrusted => "untrusted",
        ApprovalPolicy::OnFailure => "on-failure",
        ApprovalPolicy::OnRequest => "on-request",
        ApprovalPolicy::Never => "never",
    }
}

/// The word of the contract for an access; empty for none.
#[must_use]
pub fn network_word(network: NetworkAccess) -> &'static str {
    match network {
        NetworkAccess::Unspecified => "",
        NetworkAccess::Restricted => "restricted",
        NetworkAccess::Enabled => "enabled",
    }
}

/// The word of the contract for a sandbox; empty for none.
#[must_use]
pub fn sandbox_word(sandbox: FilesystemSandbox) -> &'static str {
    match sandbox {
        FilesystemSandbox::Unspecified => "",
        FilesystemSandbox::ReadOnly => "read-only",
        FilesystemSandbox::WorkspaceWrite => "workspace-write",
        FilesystemSandbox::DangerFullAccess => "danger-full-access",
    }
}

/// The policies that have a word.
pub const APPROVAL_POLICIES: [ApprovalPolicy; 4] = [
    ApprovalPolicy::Untrusted,
    ApprovalPolicy::OnFailure,
    ApprovalPolicy::OnRequest,
    ApprovalPolicy::Never,
];

/// The accesses that have a word.
pub const NETWORK_ACCESSES: [NetworkAccess; 2] =
    [NetworkAccess::Restricted, NetworkAccess::Enabled];

/// The sandboxes that have a word.
pub const SANDBOXES: [FilesystemSandbox; 3] = [
    FilesystemSandbox::ReadOnly,
    FilesystemSandbox::WorkspaceWrite,
    FilesystemSandbox::DangerFullAccess,
];

/// Why the defaults cannot be written, in the words of the settings contract.
pub const LOCK_REASON: &str = "Managed by harness configuration";

/// What the operator configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// What new sessions begin with where no default was ever written.
    pub defaults: Controls,
    /// Whether the default scope is managed by the operator alone.
    pub lock_defaults: bool,
}

impl Policy {
    /// What is shown where nobody chose.
    #[must_use]
    pub fn shown(&self) -> Controls {
        self.defaults.over(&Controls::contract_defaults())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(settings: &str) -> State {
        State { settings: Settings::parse("x", settings).unwrap(), ..State::default() }
    }

    #[test]
    fn a_model_has_a_name_that_is_no_flag() {
        let dash = Err("\"-m\": expected a name that does not begin with a dash".to_owned());
        let blank = Err("expected a name".to_owned());
        let names = ["gpt-5.5", "a model", "-m", "", " \u{a0}"];
        assert_eq!(names.map(check_model), [Ok(()), Ok(()), dash, blank.clone(), blank]);
    }

    fn map(text: &str) -> Settings {
        Settings::parse("x", text).unwrap()
    }

    /// Checks what an edit makes of settings.
    fn check(before: &str, edit: Edit, after: &str) {
        assert_eq!(edit.apply(&state(before)), state(after), "{edit:?}");
    }

    #[test]
    fn edits_change_top_level_keys_and_nothing_else() {
        let value = |text| Value::parse("x", text).unwrap();
        check(
            r#"{"a":{"x":1},"b":2}"#,
            Edit::Merge(map(r#"{"a":{"y":1}}"#)),
            r#"{"a":{"y":1},"b":2}"#,
        );
        check(r#"{"a":1,"b":2}"#, Edit::Replace(map(r#"{"c":null}"#)), r#"{"c":null}"#);
        check(r#"{"a.b":1}"#, Edit::Set("a".to_owned(), value("null")), r#"{"a.b":1,"a":null}"#);
        check(r#"{"a":1," a ":2}"#, Edit::Remove(" a ".to_owned()), r#"{"a":1}"#);
        check(r#"{"a":1}"#, Edit::Remove(" a ".to_owned()), "{}");
        check(r#"{"a":1}"#, Edit::Remove("b".to_owned()), r#"{"a":1}"#);
    }

    #[test]
    fn controls_without_settings_keep_them_and_overrides_change_what_is_chosen() {
        let controls = Controls { model: Some("m".to_owned()), ..Controls::contract_defaults() };
        let before = state(r#"{"a":1}"#);
        let applied = Edit::Apply(controls.clone(), None).apply(&before);
        assert_eq!(applied, State { controls: controls.clone(), ..before.clone() });
        let cleared = Edit::Apply(controls.clone(), Some(Settings::default())).apply(&before);
        assert_eq!(cleared, State { controls: controls.clone(), ..State::default() });
        let never = Controls { approval_policy: ApprovalPolicy::Never, ..Controls::default() };
        let expected = Controls { approval_policy: ApprovalPolicy::Never, ..controls };
        assert_eq!(Edit::Override(never).apply(&applied).controls, expected);
    }

    #[test]
    fn a_state_is_summed_up_with_what_is_shown_in_place_of_what_nobody_chose() {
        let shown = Controls::contract_defaults();
        let text = "default | untrusted | restricted | read-only | settings:2";
        assert_eq!(state(r#"{"a":1,"b":2}"#).summary(&shown), text);
    }

    #[test]
    fn equal_states_have_equal_hashes_and_others_do_not() {
        assert_eq!(state(r#"{"b":1,"a":2}"#).hash(), state(r#"{"a":2,"b":1}"#).hash());
        assert_ne!(state(r#"{"a":1}"#).hash(), state(r#"{"a":2}"#).hash());
        let other = State { controls: Controls::contract_defaults(), ..State::default() };
        assert_ne!(other.hash(), State::default().hash());
    }
}
