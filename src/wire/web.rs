//! What `/v1` and `/api` read of HTTP in one way: percent escapes, and the
//! condition of a write.

use http::{HeaderMap, header::IF_MATCH};

/// What a plus sign means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    /// Itself, as in a path.
    IsPlus,
    /// A space, as in a query.
    IsSpace,
}

/// A text without its percent escapes; none where one is malformed, or what they
/// stand for is not UTF-8.
pub(super) fn decoded(text: &str, plus: Plus) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match (byte, plus) {
            (b'+', Plus::IsSpace) => b' ',
            (b'%', _) => {
                let (digits, after) = rest.split_first_chunk::<2>()?;
                rest = after;
                let digits = digits.map(|digit| char::from(digit).to_digit(16));
                let [Some(high), Some(low)] = digits else { return None };
                u8::try_from(high * 16 + low).ok()?
            }
            (byte, _) => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// What is wrong with a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl Malformed {
    /// What was expected of it.
    pub(super) const PROBLEM: &str = "expected one etag, or *";
}

/// The etag that the caller saw; none for any.
///
/// # Errors
///
/// For what is not one etag, or `*`.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<String>, Malformed> {
    let mut given = headers.get_all(IF_MATCH).iter();
    let etag = match (given.next(), given.next()) {
        (None, _) => return Ok(None),
        (Some(one), None) => one.to_str().ok().map(str::trim).filter(|one| !one.contains(',')),
        (Some(_), Some(_)) => None,
    };
    match etag.ok_or(Malformed)? {
        "*" => Ok(None),
        etag => {
            let etag = etag.strip_prefix("W/").unwrap_or(etag);
            Ok(Some(match unquoted(etag) {
                // The etag of nothing that there is; the operations take none at
                // all for any.
                "" => "\"\"".to_owned(),
                etag => etag.to_owned(),
            }))
        }
    }
}

/// A text without the quotes around it.
pub(super) fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn malformed_escapes_are_not_decoded() {
        assert_eq!(decoded("a+b%20%C3%A9", Plus::IsPlus).as_deref(), Some("a+b é"));
        assert_eq!(decoded("a+b", Plus::IsSpace).as_deref(), Some("a b"));
        for text in ["%", "%4", "%zz", "100%", "%ff", "%+1"] {
            assert_eq!(decoded(text, Plus::IsPlus), None, "{text}");
        }
    }

    #[test]
    fn a_condition_is_one_etag_or_any() {
        let read = |given: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in given {
                headers.append(IF_MATCH, HeaderValue::from_static(value));
            }
            if_match(&headers)
        };
        assert_eq!((read(&[]), read(&[" * "])), (Ok(None), Ok(None)));
        for given in ["\"a\"", "W/\"a\"", "a", " a "] {
            assert_eq!(read(&[given]), Ok(Some("a".to_owned())), "{given}");
        }
        for given in ["\"\"", "", "W/\"\""] {
            assert_eq!(read(&[given]), Ok(Some("\"\"".to_owned())), "{given}");
        }
        assert_eq!(read(&["\"a\", \"b\""]), Err(Malformed));
        assert_eq!(read(&["a", "b"]), Err(Malformed));
    }
}
