//! Tokens: places that clients hold and do not look into, each with a check that
//! it was issued here, for the same purpose.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

/// A place as a text that tells whether it was issued for this `purpose`.
pub(crate) fn sealed(place: &[u8], purpose: &str) -> String {
    let bytes = [place, &check(place, purpose).to_be_bytes()].concat();
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The place in a text that [`sealed`] made for the same purpose.
pub(crate) fn unsealed<const N: usize>(text: &str, purpose: &str) -> Option<[u8; N]> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let (place, sum) = bytes.split_first_chunk::<N>()?;
    (sum == check(place, purpose).to_be_bytes()).then_some(*place)
}

fn check(place: &[u8], purpose: &str) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(place), purpose.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_purpose_and_as_it_was_issued() {
        let token = sealed(&[1, 2, 3], "here");
        assert_eq!(unsealed(&token, "here"), Some([1, 2, 3]));
        assert_eq!(unsealed::<3>(&token, "there"), None);
        assert_eq!(unsealed::<4>(&token, "here"), None);
        for text in ["", "x", "!", &token[1..], &format!("{token}A")] {
            assert_eq!(unsealed::<3>(text, "here"), None, "{text:?}");
        }
    }
}
