//! What an operator hands to a new node: a secret, and how to know the right control plane.

use std::fmt;
use std::str::FromStr;

use tidegate_model::{Sha256, TokenKind, is_well_formed};

/// A join token: `tgj_<secret>.<SHA-256 of the key of the cluster's authority>`.
///
/// The secret proves the node to the control plane; the hash proves the control plane to the node, before it says the
/// secret.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// `tgj_` and 49 letters and digits.
    pub secret: String,
    /// The SHA-256 of the authority's SubjectPublicKeyInfo.
    pub ca_key: Sha256,
}

/// The text is no join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a join token: it reads `tgj_...`, a dot, and 64 hexadecimal digits")]
pub struct InvalidJoinToken;

impl FromStr for JoinToken {
    type Err = InvalidJoinToken;

    fn from_str(text: &str) -> Result<Self, InvalidJoinToken> {
        let (secret, ca_key) = text.trim().split_once('.').ok_or(InvalidJoinToken)?;
        if !is_well_formed(TokenKind::Join, secret) {
            return Err(InvalidJoinToken);
        }
        let ca_key = ca_key.parse().map_err(|_| InvalidJoinToken)?;
        Ok(JoinToken { secret: secret.to_owned(), ca_key })
    }
}

/// The token itself: for the answer that shows it once, and for the file.
impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.secret, self.ca_key)
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken(tgj_….{})", self.ca_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_model::write_token;

    #[test]
    fn a_token_reads_back_and_does_not_leak() {
        let secret = write_token(TokenKind::Join, &[9; 32]);
        let token = JoinToken { secret: secret.clone(), ca_key: Sha256::of(b"a key") };
        assert_eq!(format!("{token}\n").parse(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains(&secret));
    }

    #[test]
    fn what_is_cut_off_is_no_token() {
        let token = JoinToken { secret: write_token(TokenKind::Join, &[9; 32]), ca_key: Sha256::of(b"a key") };
        let text = token.to_string();
        for bad in ["", "tgj_", &text[1..], &text[..text.len() - 1], &token.secret, &text.replace("tgj_", "tgo_")] {
            assert_eq!(bad.parse::<JoinToken>(), Err(InvalidJoinToken), "{bad}");
        }
    }
}
