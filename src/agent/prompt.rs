//! What an agent is asked to do in one turn, and what that is bounded by.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What an agent is asked to do in one turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    /// In words.
    pub text: String,
    /// The absolute paths of images that belong to them.
    pub images: Vec<PathBuf>,
    /// How hard the agent shall think in this turn; none for its own default.
    pub effort: Option<Effort>,
}

/// How hard a model thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// `none`
    None,
    /// `minimal`
    Minimal,
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `xhigh`
    Xhigh,
}

impl Effort {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh];

    /// Its name, which is also what codex calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
        }
    }
}

impl From<&str> for Prompt {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}

/// What a prompt is bounded by, beside that it must not be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptLimits {
    /// The most bytes.
    pub max_bytes: usize,
    /// The most characters, where the agent has a bound of its own.
    pub max_characters: Option<usize>,
}
