//! The file that all secrets of a cluster hang on.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::{hmac, rand};
use tidegate_model::{Sha256, TokenKind, write_token};
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::VaultError;
use super::sealing::DataKey;

/// 32 random bytes; held by every control plane of a cluster, and by nobody else.
pub struct SecretKey(hmac::Key);

impl SecretKey {
    /// Reads the key, and makes it first if there is no such file.
    ///
    /// # Errors
    /// The file can't be read or made, or holds something else.
    pub fn load_or_make(path: &Path) -> Result<SecretKey, VaultError> {
        match fs::read_to_string(path) {
            Ok(text) => {
                warn_if_open(path);
                let Sha256(bytes) = text.trim().parse().map_err(|_| VaultError::Form { path: show(path) })?;
                Ok(SecretKey::new(&bytes))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => make(path),
            Err(source) => Err(VaultError::File { path: show(path), what: "read", source }),
        }
    }

    /// A key of these bytes.
    pub fn new(bytes: &[u8; 32]) -> SecretKey {
        SecretKey(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// 32 bytes that only who has the secret key can know; others for another purpose.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(hmac::sign(&self.0, purpose.as_bytes()).as_ref());
        bytes
    }

    /// The token of the operator `admin`, the same on every control plane.
    pub fn first_operator_token(&self) -> String {
        write_token(TokenKind::Operator, &self.derive("operator-token"))
    }

    /// The secret of the first join token, the same on every control plane.
    pub fn first_join_secret(&self) -> String {
        write_token(TokenKind::Join, &self.derive("join-token"))
    }

    pub(super) fn sealing(&self) -> DataKey {
        DataKey::new(*self.derive("sealing"))
    }
}

fn make(path: &Path) -> Result<SecretKey, VaultError> {
    let file = |what| move |source| VaultError::File { path: show(path), what, source };
    let mut bytes = Zeroizing::new([0; 32]);
    rand::fill(&mut *bytes).expect("the system gives randomness");
    let mut text = Zeroizing::new(String::with_capacity(65));
    for byte in *bytes {
        write!(text, "{byte:02x}").expect("a string takes all");
    }
    text.push('\n');
    match write_private(path, text.as_bytes()) {
        Ok(()) => {}
        // another process was faster: its key is the one
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return SecretKey::load_or_make(path),
        Err(error) => return Err(file("made")(error)),
    }
    info!(path = %path.display(), "made a new secret key; all control planes of a cluster need a copy of it");
    Ok(SecretKey::new(&bytes))
}

/// Writes a file that only its owner may read, and that was not there before; whole or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", uuid::Uuid::now_v7().simple()));
    let unfinished = folder.join(name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    // a link, unlike a rename, never replaces what another process wrote meanwhile
    let placed = written.and_then(|()| fs::hard_link(&unfinished, path));
    fs::remove_file(&unfinished)?;
    placed?;
    File::open(folder)?.sync_all()
}

fn warn_if_open(path: &Path) {
    let mode = fs::metadata(path).map(|meta| meta.permissions().mode()).unwrap_or_default();
    if mode & 0o077 != 0 {
        warn!(path = %path.display(), "the secret key file can be read by others; `chmod 600` it");
    }
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_is_made_once_and_only_for_its_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/secret-key");
        let made = SecretKey::load_or_make(&path).expect("made");
        let read = SecretKey::load_or_make(&path).expect("read");
        assert_eq!(made.first_operator_token(), read.first_operator_token());
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("deep")).expect("a folder").count(), 1, "nothing else is left");
    }

    #[test]
    fn purposes_and_keys_differ() {
        let (a, b) = (SecretKey::new(&[1; 32]), SecretKey::new(&[2; 32]));
        assert_ne!(*a.derive("x"), *a.derive("y"));
        assert_ne!(*a.derive("x"), *b.derive("x"));
        assert_ne!(a.first_operator_token(), a.first_join_secret());
    }

    #[test]
    fn a_file_that_holds_something_else_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        fs::write(&path, "not a key").expect("written");
        let error = SecretKey::load_or_make(&path).err().expect("refused");
        assert!(error.to_string().contains("64 hexadecimal digits"), "{error}");
    }
}
