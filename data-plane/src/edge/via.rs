//! Which gateways a message passed (`Via`, RFC 9110 §7.6.3), and how a request that goes in circles is found.

use http::header::VIA;
use http::{HeaderMap, HeaderValue, Version};

/// What every node calls itself. Not one name for each: who looks from outside learns nothing of the fleet, and a circle through
/// several nodes is found as well. Gateways one behind the other are no circle, so a few passes are let be.
const PSEUDONYM: &[u8] = b"tidegate";

static V10: HeaderValue = HeaderValue::from_static("1.0 tidegate");
static V11: HeaderValue = HeaderValue::from_static("1.1 tidegate");
static V2: HeaderValue = HeaderValue::from_static("2 tidegate");

/// Appends the gateway to the way of a message that it received in this version.
pub(crate) fn append(headers: &mut HeaderMap, received: Version) {
    let value = match received {
        Version::HTTP_10 | Version::HTTP_09 => &V10,
        Version::HTTP_2 => &V2,
        _ => &V11,
    };
    headers.append(VIA, value.clone());
}

/// How often the message has passed a Tidegate.
pub(crate) fn passes(headers: &HeaderMap) -> usize {
    let members = headers.get_all(VIA).iter().flat_map(|line| line.as_bytes().split(|b| *b == b','));
    members.filter(|member| names_us(member)).count()
}

/// `1.1 tidegate`, with or without a comment behind it.
fn names_us(member: &[u8]) -> bool {
    let mut words = member.split(|b| matches!(b, b' ' | b'\t')).filter(|word| !word.is_empty());
    words.nth(1).is_some_and(|by| by.eq_ignore_ascii_case(PSEUDONYM))
}
