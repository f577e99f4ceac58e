//! Numbers by their text, and compared by the decimal value that it says.

use std::fmt;

/// A JSON number, as it was written.
///
/// Two are equal when their decimal values are, whatever their size: no value is
/// rounded to what a machine's number can hold.
#[derive(Clone, Debug)]
pub struct Number(Box<str>);

/// Exponents of this many digits, and any sum with one, are within `i128`.
const SMALL_EXPONENT_DIGITS: usize = 30;

impl Number {
    /// The number, if the text is exactly one as JSON writes them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (length(text.as_bytes()) == Ok(text.len())).then(|| Self::of_valid(text))
    }

    /// A text of which [`length`] says that it is a number.
    pub(super) fn of_valid(text: &str) -> Self {
        Self(text.into())
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number as an integer, if it is one and fits; `1.0` and `10e-1` are 1.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_i128()?.try_into().ok()
    }

    /// The number as an integer, if it is one and fits; `1.0` and `10e-1` are 1.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.as_i128()?.try_into().ok()
    }

    fn as_i128(&self) -> Option<i128> {
        let Some(Decimal { negative, digits, exponent }) = Decimal::of(&self.0) else {
            return Some(0);
        };
        let zeros: usize = exponent.parse().ok()?;
        if digits.len().checked_add(zeros)? > 30 {
            return None;
        }
        let value: i128 = format!("{digits}{}", "0".repeat(zeros)).parse().ok()?;
        Some(if negative { -value } else { value })
    }
}

/// The most characters of a number that every program can read: Python, for one, reads
/// no integer of more than 4,300 digits.
pub const MAX_NUMBER_CHARACTERS: usize = 1_000;

/// So many digits and signs are below what a double can hold, where none of them is an
/// exponent's.
const SHORT: usize = 300;

/// Whether the text of a number is one that every program can read: not longer than
/// [`MAX_NUMBER_CHARACTERS`], and not beyond what a double can hold, where some see an
/// error and some infinity. Its digits may be more than a double has.
pub(crate) fn is_readable(number: &str) -> bool {
    let is_plain = || !number.bytes().any(|byte| matches!(byte, b'e' | b'E'));
    (number.len() <= SHORT && is_plain())
        || (number.len() <= MAX_NUMBER_CHARACTERS
            && number.parse::<f64>().is_ok_and(f64::is_finite))
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(value.to_string().into())
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(value.to_string().into())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// By decimal value.
impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || Decimal::of(&self.0) == Decimal::of(&other.0)
    }
}

impl Eq for Number {}

/// How many bytes at the beginning of a text are a number.
///
/// # Errors
///
/// Where it stops being one, and what had to be there.
pub(super) fn length(text: &[u8]) -> Result<usize, (usize, &'static str)> {
    let digits = |from: usize| text[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    match digits(at) {
        0 => return Err((at, "a digit")),
        count if count > 1 && text[at] == b'0' => {
            return Err((at + 1, "no digit after a leading zero"));
        }
        count => at += count,
    }
    if text.get(at) == Some(&b'.') {
        match digits(at + 1) {
            0 => return Err((at + 1, "a digit after the decimal point")),
            count => at += 1 + count,
        }
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
        match digits(at) {
            0 => return Err((at, "a digit of the exponent")),
            count => at += count,
        }
    }
    Ok(at)
}

/// A number other than zero in the one form that its value has: the digits,
/// without zeros at either end, times ten to the power of the exponent.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: String,
}

impl Decimal {
    /// The value of a number's text; zero has none.
    fn of(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_end_matches('0');
        let trailing_zeros = all.len() - digits.len();
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return None;
        }
        let moved = i128::try_from(trailing_zeros).unwrap_or(i128::MAX)
            - i128::try_from(fraction.len()).unwrap_or(i128::MAX);
        Some(Self { negative, digits: digits.to_owned(), exponent: sum(exponent, moved) })
    }
}

/// The exponent, a decimal of any length, with this added; in the one form that
/// the sum has.
fn sum(exponent: &str, added: i128) -> String {
    let (negative, magnitude) = match exponent.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, exponent.trim_start_matches('+')),
    };
    let magnitude = magnitude.trim_start_matches('0');
    if magnitude.len() <= SMALL_EXPONENT_DIGITS {
        let value: i128 = magnitude.parse().unwrap_or(0);
        return (if negative { added - value } else { added + value }).to_string();
    }
    // What is added is no longer than a text's length, so that the sign stays.
    let mut carry = if negative { -added } else { added };
    let mut digits = magnitude.as_bytes().to_vec();
    for digit in digits.iter_mut().rev() {
        let value = i128::from(*digit - b'0') + carry;
        *digit = b'0' + u8::try_from(value.rem_euclid(10)).unwrap_or(0);
        carry = value.div_euclid(10);
        if carry == 0 {
            break;
        }
    }
    let head = if carry > 0 { carry.to_string() } else { String::new() };
    let tail = String::from_utf8_lossy(&digits);
    let sign = if negative { "-" } else { "" };
    format!("{sign}{}", format!("{head}{tail}").trim_start_matches('0'))
}
