//! Tokens whose makers gave them a form: how they begin, and how long they are.

use std::ops::Range;

use super::spans::pieces;

/// How tokens begin, and how long they are at least.
const TOKENS: [(&str, usize); 62] = [
    // Models and tools.
    ("sk-", 20),
    ("gsk_", 20),
    ("hf_", 30),
    ("lin_api_", 20),
    ("lin_oauth_", 20),
    ("ntn_", 30),
    ("pplx-", 30),
    ("r8_", 30),
    ("tvly-", 20),
    ("xai-", 30),
    // Code and packages.
    ("ATATT3", 30),
    ("ATCTT3", 30),
    ("dckr_pat_", 20),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("ghu_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glagent-", 20),
    ("glcbt-", 20),
    ("gldt-", 20),
    ("glft-", 20),
    ("gloas-", 20),
    ("glpat-", 20),
    ("glptt-", 20),
    ("glrt-", 20),
    ("glsoat-", 20),
    ("npm_", 36),
    ("pypi-", 50),
    ("rubygems_", 40),
    // Talk.
    ("xapp-", 20),
    ("xoxa-", 15),
    ("xoxb-", 15),
    ("xoxc-", 15),
    ("xoxd-", 15),
    ("xoxe-", 15),
    ("xoxe.", 15),
    ("xoxp-", 15),
    ("xoxr-", 15),
    ("xoxs-", 15),
    // Clouds and money.
    ("AGE-SECRET-KEY-1", 40),
    ("AIza", 35),
    ("AKIA", 20),
    ("ASIA", 20),
    ("GOCSPX-", 20),
    ("SG.", 60),
    ("dapi", 36),
    ("doo_v1_", 40),
    ("dop_v1_", 40),
    ("dor_v1_", 40),
    ("figd_", 20),
    ("glsa_", 30),
    ("hvs.", 24),
    ("rk_live_", 20),
    ("rk_test_", 20),
    ("sbp_", 30),
    ("shpat_", 30),
    ("sk_live_", 20),
    ("sk_test_", 20),
    ("whsec_", 20),
    ("ya29.", 30),
];

/// The tokens in a word.
pub(super) fn tokens(word: &str) -> Vec<Range<usize>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let is_token = |span: &Range<usize>| {
        let piece = &word[span.clone()];
        let has_digit = piece.bytes().any(|byte| byte.is_ascii_digit());
        let is_known =
            TOKENS.iter().any(|(start, length)| piece.starts_with(start) && piece.len() >= *length);
        has_digit && (is_known || is_jwt(piece) || is_of_telegram(&word[..span.start], piece))
    };
    pieces(word, |c| !is_part(c)).into_iter().filter(is_token).collect()
}

/// Whether a piece is a JSON web token.
fn is_jwt(piece: &str) -> bool {
    piece.starts_with("eyJ") && piece.len() >= 40 && piece.matches('.').count() >= 2
}

/// Whether a piece is what follows the number of a bot of Telegram and a colon.
fn is_of_telegram(before: &str, piece: &str) -> bool {
    let Some(before) = before.strip_suffix(':') else { return false };
    let digits = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    (8..=10).contains(&digits) && piece.len() == 35 && !piece.contains('.')
}
