//! What a caller takes (RFC 9110 §12.5.3).

use super::Coding;

/// Of what is offered, what the caller likes best. `None` is the body as it is: also where the caller wants neither, as an
/// answer that it may not read is worth more to it than none.
pub(super) fn choose<'a>(accepted: impl Iterator<Item = &'a str>, offered: &[Coding]) -> Option<Coding> {
    let mut weights = [None; 3];
    let (mut identity, mut any) = (None, None);
    for member in accepted.flat_map(|value| value.split(',')) {
        let mut parts = member.split(';').map(str::trim);
        let name = parts.next().unwrap_or("");
        let Some(weight) = weight(parts) else { continue };
        let place = match () {
            () if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                &mut weights[Coding::Gzip as usize]
            }
            () if name.eq_ignore_ascii_case("br") => &mut weights[Coding::Br as usize],
            () if name.eq_ignore_ascii_case("zstd") => &mut weights[Coding::Zstd as usize],
            () if name.eq_ignore_ascii_case("identity") => &mut identity,
            () if name == "*" => &mut any,
            () => continue,
        };
        place.get_or_insert(weight);
    }
    let weight = |coding: Coding| weights[coding as usize].or(any).unwrap_or(0);
    // the first of several that are liked as much
    let best = offered.iter().copied().rev().max_by_key(|coding| weight(*coding))?;
    let plain = identity.unwrap_or(0);
    (weight(best) > 0 && weight(best) >= plain).then_some(best)
}

/// In thousandths; `None` if it is no weight.
fn weight<'a>(parameters: impl Iterator<Item = &'a str>) -> Option<u32> {
    let mut weight = 1000;
    for parameter in parameters {
        let (name, value) = parameter.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("q") {
            weight = thousandths(value.trim())?;
        }
    }
    Some(weight)
}

fn thousandths(text: &str) -> Option<u32> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = rest.len() <= 3 && rest.bytes().all(|b| b.is_ascii_digit());
    if !matches!(whole, "0" | "1") || !digits {
        return None;
    }
    let part = if rest.is_empty() { 0 } else { rest.parse::<u32>().ok()? * 10_u32.pow(3 - rest.len() as u32) };
    let weight = u32::from(whole == "1") * 1000 + part;
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_gets_what_it_likes_best() {
        use Coding::{Br, Gzip, Zstd};
        let all = &[Zstd, Br, Gzip][..];
        for (accepted, offered, expected) in [
            ("", all, None),
            ("gzip", all, Some(Gzip)),
            ("GZIP", all, Some(Gzip)),
            ("x-gzip", all, Some(Gzip)),
            ("gzip, br", all, Some(Br)),
            ("gzip, deflate, br, zstd", all, Some(Zstd)),
            ("gzip, br", &[Gzip, Br], Some(Gzip)),
            ("br", &[Gzip], None),
            ("gzip;q=0.8, br;q=0.5", all, Some(Gzip)),
            ("gzip;q=0.001", all, Some(Gzip)),
            ("gzip;q=0", all, None),
            ("gzip;q=0.000", all, None),
            ("gzip; Q=0.5", all, Some(Gzip)),
            ("*", all, Some(Zstd)),
            ("*;q=0.1, zstd;q=0", all, Some(Br)),
            ("*;q=0", all, None),
            ("identity", all, None),
            ("identity;q=1, gzip;q=0.5", all, None),
            ("identity;q=0.5, gzip;q=0.5", all, Some(Gzip)),
            ("identity;q=0, gzip;q=0.1", all, Some(Gzip)),
            ("identity;q=0", all, None),
            ("deflate", all, None),
            // what is no weight is not read
            ("gzip;q=2", all, None),
            ("gzip;q=0.1234", all, None),
            ("gzip;q=-1", all, None),
            ("gzip;q", all, None),
            ("gzip;q=NaN, br", all, Some(Br)),
            (",,gzip,,", all, Some(Gzip)),
        ] {
            assert_eq!(choose([accepted].into_iter(), offered), expected, "{accepted}");
        }
        assert_eq!(choose(["gzip;q=0.1", "br"].into_iter(), all), Some(Br), "several lines are one");
    }
}
