//! Which sites may call. Origins are compared byte for byte, as browsers write them (fetch standard, "CORS check").

use std::collections::HashSet;

use tidegate_model::{HostPort, Pattern, Problems};

/// Sites that may.
pub(super) enum Origins {
    Any,
    These(These),
}

#[derive(Default)]
pub(super) struct These {
    exact: HashSet<Box<str>>,
    /// What stands before the name, what it ends in: `https://`, `.app.example:8443`.
    below: Vec<(Box<str>, Box<str>)>,
    patterns: Vec<Pattern>,
}

impl Origins {
    /// Reads them; what is wrong is noted.
    pub(super) fn read(origins: &[String], patterns: &[Pattern], problems: &mut Problems) -> Self {
        let mut these = These { patterns: patterns.to_vec(), ..These::default() };
        if origins.is_empty() && patterns.is_empty() {
            problems.add_at("origins", "missing_field", "give `origins`, `origin_patterns` or both");
        }
        let any = origins.iter().any(|origin| origin == "*");
        if any && (origins.len() > 1 || !patterns.is_empty()) {
            problems.add_at("origins", "conflict", "`*` takes any site, so that the others say nothing; give it alone");
        }
        for (index, origin) in origins.iter().enumerate().filter(|(_, origin)| *origin != "*") {
            match read(origin) {
                Ok(Read::Exact) => {
                    these.exact.insert(origin.as_str().into());
                }
                Ok(Read::Below(before, end)) => these.below.push((before, end)),
                Err(why) => problems.within("origins", |p| p.add_at(index, "invalid_value", why)),
            }
        }
        if any { Origins::Any } else { Origins::These(these) }
    }
}

impl These {
    pub(super) fn hold(&self, origin: &[u8]) -> bool {
        let Ok(origin) = std::str::from_utf8(origin) else { return false };
        self.exact.contains(origin)
            || self.below.iter().any(|(before, end)| is_below(origin, before, end))
            || self.patterns.iter().any(|pattern| pattern.compiled().is_match(origin.as_bytes()))
    }
}

/// Whether an origin is of a name below: there is at least one label, and nothing but labels.
fn is_below(origin: &str, before: &str, end: &str) -> bool {
    let labels = origin.strip_prefix(before).and_then(|rest| rest.strip_suffix(end));
    labels.is_some_and(|labels| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        labels.split('.').all(|label| !label.is_empty() && label.bytes().all(allowed))
    })
}

enum Read {
    Exact,
    Below(Box<str>, Box<str>),
}

fn read(origin: &str) -> Result<Read, String> {
    if origin == "null" {
        return Ok(Read::Exact);
    }
    let form =
        || format!("`{origin}` is not an origin; write it like `https://app.example` or `https://*.app.example:8443`");
    let (scheme, rest) = origin.split_once("://").ok_or_else(form)?;
    let first = scheme.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    if !first || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
        return Err(form());
    }
    if let Some(bare) = rest.find(['/', '?', '#']).map(|at| &rest[..at]) {
        return Err(format!("an origin has no path: `{scheme}://{bare}`"));
    }
    if origin.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(format!("browsers write origins in lower case: `{}`", origin.to_ascii_lowercase()));
    }
    let (below, host) = match rest.strip_prefix("*.") {
        Some(host) => (true, host),
        None => (false, rest),
    };
    let read: HostPort = host.parse().map_err(|_| form())?;
    if host.is_empty() || !host.is_ascii() || read.to_string() != host || (below && host.starts_with('[')) {
        return Err(form());
    }
    let default = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    if !default.is_empty()
        && let Some(without) = origin.strip_suffix(default)
    {
        return Err(format!("browsers leave out the port that a scheme has anyway: `{without}`"));
    }
    Ok(match below {
        true => Read::Below(format!("{scheme}://").into(), format!(".{host}").into()),
        false => Read::Exact,
    })
}
