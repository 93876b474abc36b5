//! Where a redirect leads, and that it leads nowhere else: what a request says may fill in a path, never the host.

use std::fmt::Write as _;

use tidegate_model::HostPort;

use crate::expression::{Facts, Template};
use crate::{PolicyError, RequestContext};

pub(super) struct Location {
    pub(super) template: Template,
    pub(super) bound: Bound,
}

/// What of the host is fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// It is written out, and ends before anything that a request says.
    Host,
    /// There is none: the caller stays on the host that it asked.
    Path,
    /// Nothing: whoever wrote it wants it so.
    Nowhere,
}

impl Bound {
    pub(super) fn of(text: &str) -> Result<Bound, String> {
        let fixed = text.find("${").map_or(text, |at| &text[..at]);
        if fixed.starts_with('/') && !fixed.starts_with("//") && !fixed.starts_with("/\\") {
            return Ok(Bound::Path);
        }
        let lower = fixed.to_ascii_lowercase();
        let scheme = ["https://", "http://"].into_iter().find(|scheme| lower.starts_with(scheme));
        let Some(scheme) = scheme else {
            return Err("must begin with a path, `https://HOST/` or `http://HOST/`; or say `any_host: true`".to_owned());
        };
        let rest = &fixed[scheme.len()..];
        let end = match rest.find(['/', '?', '#', '\\']) {
            Some(end) => end,
            // the text goes on with what a request says: `https://a.example${...}` may become `https://a.example.evil.example`
            None if fixed.len() < text.len() => {
                return Err("the host must end, with a `/`, before the first `${`; or say `any_host: true`".to_owned());
            }
            None => rest.len(),
        };
        match rest[..end].parse::<HostPort>() {
            Ok(_) => Ok(Bound::Host),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Location {
    /// Writes it for a request.
    pub(super) fn write(&self, facts: &Facts<'_>, cx: &RequestContext) -> Result<String, PolicyError> {
        let mut raw = String::new();
        self.template.write(facts, cx, &mut raw)?;
        let plain = match self.bound {
            // `//host`, as a browser reads it, is a host: what was filled in may begin with a slash
            Bound::Path => &raw[leading_slashes(&raw).saturating_sub(1)..],
            Bound::Host | Bound::Nowhere => &raw,
        };
        let mut out = String::with_capacity(plain.len());
        for byte in plain.bytes() {
            match byte {
                // browsers take a backslash for a slash, and leave out tabs and line ends
                b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | 0..=0x20 | 0x7f.. => {
                    let written = write!(out, "%{byte:02X}");
                    debug_assert!(written.is_ok(), "a String takes all");
                }
                _ => out.push(byte as char),
            }
        }
        let web = |scheme: &str| out.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        if self.bound == Bound::Nowhere && !web("https://") && !web("http://") && !out.starts_with('/') {
            return Err(PolicyError("the location is neither a path nor a URL".into()));
        }
        Ok(out)
    }
}

fn leading_slashes(text: &str) -> usize {
    text.bytes().take_while(|b| *b == b'/').count()
}
