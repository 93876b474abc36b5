//! What the node proves itself with: a key that never leaves it, and the certificate it joined for.
//!
//! `node.key` (mode 0600) is made first; `node.crt`, written last, says that the node is enrolled. `data.key` is the fleet's data
//! key, wrapped for `node.key`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tidegate_model::{Id, Sha256};
use tidegate_proto::data_key::{self, DataKey};
use tidegate_proto::{node_of_uri, v1};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::tls;

const KEY: &str = "node.key";
const CERTIFICATE: &str = "node.crt";
const AUTHORITY: &str = "ca.crt";
const DATA_KEY: &str = "data.key";

/// Why the node can't prove itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnrolmentError {
    #[error("`{0}` can't be read or written")]
    File(PathBuf, #[source] io::Error),
    #[error("`{0}` is not what it should be; without it and the other files beside it the node joins anew")]
    Unreadable(PathBuf),
    #[error("the key could not be made or used")]
    Key(#[from] rcgen::Error),
    #[error("TLS can't be set up")]
    Tls(#[from] rustls::Error),
    #[error("the control plane's answer can't be used: {0}")]
    Answer(&'static str),
}

/// The folder with the files.
#[derive(Debug, Clone)]
pub(super) struct Enrolment {
    dir: PathBuf,
}

/// A certificate and what it says.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    pub(super) node: Id,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    /// Of the authority that the node trusts.
    pub(super) ca_key: Sha256,
}

impl Certificate {
    pub(super) fn is_over(&self) -> bool {
        SystemTime::now() >= self.not_after
    }

    /// How long until the next is asked for: two thirds of its life.
    pub(super) fn renew_in(&self) -> Duration {
        let life = self.not_after.duration_since(self.not_before).unwrap_or_default();
        let due = self.not_before + life * 2 / 3;
        due.duration_since(SystemTime::now()).unwrap_or_default()
    }
}

impl Enrolment {
    pub(super) fn new(dir: &Path) -> Self {
        Enrolment { dir: dir.to_owned() }
    }

    /// The certificate, if the node has one.
    pub(super) fn certificate(&self) -> Result<Option<Certificate>, EnrolmentError> {
        let Some(text) = self.read(CERTIFICATE)? else { return Ok(None) };
        let (Some(authority), Some(_)) = (self.read(AUTHORITY)?, self.read(KEY)?) else { return Ok(None) };
        let der = CertificateDer::from_pem_slice(&text).map_err(|_| self.unreadable(CERTIFICATE))?;
        let authority = CertificateDer::from_pem_slice(&authority).map_err(|_| self.unreadable(AUTHORITY))?;
        let ca_key = tls::key_hash(&authority).ok_or_else(|| self.unreadable(AUTHORITY))?;
        certificate_of(&der, ca_key).map(Some).ok_or_else(|| self.unreadable(CERTIFICATE))
    }

    /// TLS as the enrolled node.
    pub(super) fn tls(&self) -> Result<ClientConfig, EnrolmentError> {
        let read = |name| self.read(name)?.ok_or_else(|| self.unreadable(name));
        let authority = CertificateDer::from_pem_slice(&read(AUTHORITY)?).map_err(|_| self.unreadable(AUTHORITY))?;
        let own = CertificateDer::from_pem_slice(&read(CERTIFICATE)?).map_err(|_| self.unreadable(CERTIFICATE))?;
        let key = PrivateKeyDer::from_pem_slice(&read(KEY)?).map_err(|_| self.unreadable(KEY))?;
        Ok(tls::enrolled(&authority, own, key)?)
    }

    /// A request for a certificate for the node's key, which is made if there is none.
    pub(super) fn request(&self) -> Result<Vec<u8>, EnrolmentError> {
        let key = match self.read(KEY)? {
            Some(text) => self.key_pair(&text)?,
            None => {
                let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
                self.write(KEY, key.serialize_pem().as_bytes())?;
                key
            }
        };
        Ok(CertificateParams::default().serialize_request(&key)?.der().to_vec())
    }

    fn key_pair(&self, text: &[u8]) -> Result<KeyPair, EnrolmentError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|_| self.unreadable(KEY))?;
        Ok(KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)?)
    }

    /// Takes over what the control plane answered. `ca_key` is the authority that was trusted when it was asked.
    pub(super) fn store(&self, reply: &v1::EnrollReply, ca_key: Sha256) -> Result<Certificate, EnrolmentError> {
        if tls::key_hash(&reply.ca_certificate) != Some(ca_key) {
            return Err(EnrolmentError::Answer("its authority is another one"));
        }
        let certificate = certificate_of(&reply.certificate, ca_key)
            .ok_or(EnrolmentError::Answer("the certificate names no node"))?;
        let text = self.read(KEY)?.ok_or_else(|| self.unreadable(KEY))?;
        let own = self.key_pair(&text)?;
        let (_, parsed) = X509Certificate::from_der(&reply.certificate)
            .map_err(|_| EnrolmentError::Answer("the certificate can't be read"))?;
        if *parsed.tbs_certificate.subject_pki.subject_public_key.data != *own.public_key_raw() {
            return Err(EnrolmentError::Answer("the certificate is for another key"));
        }
        data_key::unwrap(&reply.wrapped_data_key, own.serialized_der())
            .map_err(|_| EnrolmentError::Answer("the data key does not fit"))?;
        self.write(AUTHORITY, pem(&reply.ca_certificate).as_bytes())?;
        self.write(DATA_KEY, &reply.wrapped_data_key)?;
        self.write(CERTIFICATE, pem(&reply.certificate).as_bytes())?;
        Ok(certificate)
    }

    /// The fleet's data key, once the node is enrolled.
    pub(super) fn data_key(&self) -> Option<DataKey> {
        let wrapped = self.read(DATA_KEY).ok()??;
        let key = self.key_pair(&self.read(KEY).ok()??).ok()?;
        data_key::unwrap(&wrapped, key.serialized_der()).ok()
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, EnrolmentError> {
        let path = self.dir.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(EnrolmentError::File(path, error)),
        }
    }

    /// All of a file or nothing, readable by its owner only.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), EnrolmentError> {
        let path = self.dir.join(name);
        let temporary = path.with_extension("tmp");
        let write = || {
            fs::create_dir_all(&self.dir)?;
            let _ = fs::remove_file(&temporary); // of an earlier attempt, with who knows which mode
            let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(|error| EnrolmentError::File(path.clone(), error))
    }

    fn unreadable(&self, name: &str) -> EnrolmentError {
        EnrolmentError::Unreadable(self.dir.join(name))
    }
}

fn certificate_of(der: &[u8], ca_key: Sha256) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let node = names.value.general_names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => node_of_uri(uri),
        _ => None,
    })?;
    let time = |seconds: i64| Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?));
    let validity = certificate.validity();
    Some(Certificate {
        node,
        not_before: time(validity.not_before.timestamp())?,
        not_after: time(validity.not_after.timestamp())?,
        ca_key,
    })
}

fn pem(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}
