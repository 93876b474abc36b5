//! Opens the secrets of the node's configuration: sealed ones with the fleet's data key, references on this machine.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use tidegate_model::Secret;
use tidegate_policy::{SecretError, Secrets};
use tidegate_proto::data_key::{DataKey, Handed};
use tidegate_proto::sealed;
use zeroize::Zeroizing;

use super::enrolment::Enrolment;

/// The largest file of a secret.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The secrets of a node. No message of it holds what a secret holds.
pub(super) struct NodeSecrets {
    /// By a control plane in this process.
    pub(super) handed: Handed,
    /// Where a node that joined keeps what it was given.
    pub(super) data_dir: PathBuf,
}

impl NodeSecrets {
    pub(super) fn data_key(&self) -> Option<DataKey> {
        // read anew each time: the node may join, or join anew, while it runs
        self.handed.get().copied().or_else(|| Enrolment::new(&self.data_dir).data_key())
    }
}

impl Secrets for NodeSecrets {
    fn open(&self, secret: &Secret) -> Result<Zeroizing<String>, SecretError> {
        match secret {
            Secret::Plain(text) => Ok(Zeroizing::new(text.to_string())),
            Secret::Sealed(text) => {
                let key = self.data_key().map(Zeroizing::new);
                let key = key.ok_or_else(|| unreadable("this node has no data key, as it has not joined".into()))?;
                let opened = sealed::open_secret(&key, text);
                opened.ok_or_else(|| unreadable("it was sealed with the data key of another cluster".into()))
            }
            Secret::Env(name) => match std::env::var(&**name) {
                Ok(value) if !value.is_empty() => Ok(Zeroizing::new(value)),
                Ok(_) => Err(unreadable(format!("the environment variable `{name}` is empty on this node"))),
                Err(std::env::VarError::NotPresent) => {
                    Err(unreadable(format!("the environment variable `{name}` is not set on this node")))
                }
                Err(std::env::VarError::NotUnicode(_)) => {
                    Err(unreadable(format!("the environment variable `{name}` is no text on this node")))
                }
            },
            Secret::File(path) => read(path),
        }
    }
}

/// The text of a file, without the end of its last line.
fn read(path: &str) -> Result<Zeroizing<String>, SecretError> {
    let failed = |error: std::io::Error| unreadable(format!("`{path}` can't be read on this node: {error}"));
    let mut text = Zeroizing::new(String::new());
    File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(unreadable(format!("`{path}` is larger than {FILE_BYTES_MAX} bytes")));
    }
    let value = text.strip_suffix('\n').map_or(&**text, |text| text.strip_suffix('\r').unwrap_or(text));
    match value.is_empty() {
        true => Err(unreadable(format!("`{path}` is empty on this node"))),
        false => Ok(Zeroizing::new(value.to_owned())),
    }
}

fn unreadable(text: String) -> SecretError {
    SecretError::Unreadable(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_opens_what_its_fleet_sealed_and_what_lies_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            std::fs::write(dir.path().join(name), content).unwrap();
            format!("file://{}", dir.path().join(name).display())
        };
        let handed = Handed::default();
        let node = NodeSecrets { handed: handed.clone(), data_dir: dir.path().join("data") };
        let open = |text: &str| match node.open(&text.parse().unwrap()) {
            Ok(plain) => plain.to_string(),
            Err(error) => error.to_string(),
        };
        let sealed = sealed::seal_secret(&[7; 32], "hunter2");
        assert!(open(&sealed).contains("not joined"));
        handed.set([7; 32]).unwrap();
        assert_eq!(open(&sealed), "hunter2");
        assert!(open(&sealed::seal_secret(&[8; 32], "hunter2")).contains("another cluster"));
        assert!(open("sealed:v1:AAAA").contains("another cluster"));
        assert_eq!(open(&file("a", b"hunter2\n")), "hunter2");
        assert_eq!(open(&file("b", b"hunter2\r\n")), "hunter2");
        assert!(open(&file("c", b"\n")).contains("is empty"));
        assert!(open(&file("d", &[b'x'; (64 << 10) + 1])).contains("larger"));
        assert!(open(&file("e", &[0xff])).contains("can't be read"));
        assert!(open("file:///no/such/file").contains("can't be read"));
        assert_eq!(open("env://CARGO_PKG_NAME"), env!("CARGO_PKG_NAME"));
        assert!(open("env://TIDEGATE_NO_SUCH_VARIABLE").contains("is not set"));
    }
}
