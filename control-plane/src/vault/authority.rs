//! The cluster's own certificate authority: who may be a control plane, who may be a node.
//!
//! ECDSA on P-256 throughout. The authority's key is sealed wherever it is stored, and never leaves the control planes.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
    SerialNumber,
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tidegate_model::{Id, Sha256};
use tidegate_proto::{CONTROL_PLANE_NAME, node_of_uri, node_uri};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::VaultError;
use super::sealing::DataKey;

/// How long a node's certificate lasts. The node asks for the next after two thirds of it.
pub const NODE_CERTIFICATE_LIFE: Duration = Duration::from_secs(90 * 86_400);

/// How long a control plane's certificate lasts. It makes itself the next after half of it.
pub const SERVER_CERTIFICATE_LIFE: Duration = Duration::from_secs(30 * 86_400);

/// How long the certificate lasts that a control plane makes for its admin listener when it starts.
const ADMIN_CERTIFICATE_LIFE: Duration = Duration::from_secs(397 * 86_400);

const CA_LIFE: Duration = Duration::from_secs(20 * 365 * 86_400);

/// Certificates are valid from a little earlier, so that a clock that is behind does not refuse a new one.
const BACKDATED: Duration = Duration::from_secs(3600);

/// What the sealed key is for.
const KEY_PURPOSE: &str = "certificate-authority-key";

/// Why the authority can't do what it is asked for.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The key or the certificate is not usable.
    #[error("the key or certificate of the cluster's authority is not usable")]
    Unusable(#[source] rcgen::Error),
    /// The certificate can't be read.
    #[error("the certificate of the cluster's authority can't be read")]
    Unreadable,
    /// What the node sent is no request, or not signed by its key, or for a key of another kind.
    #[error("the certificate request is not valid: {0}")]
    Request(String),
}

/// Issues certificates for control planes and nodes.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    key_hash: Sha256,
}

/// What an authority is made of, DER: once per cluster, kept in the vault.
pub struct AuthorityParts {
    /// X.509.
    pub certificate: Vec<u8>,
    /// PKCS #8.
    pub key: Vec<u8>,
}

impl AuthorityParts {
    /// The certificate, its length in front, and the sealed key.
    pub(super) fn seal(&self, sealing: &DataKey) -> Vec<u8> {
        let length = u32::try_from(self.certificate.len()).expect("a certificate is small").to_be_bytes();
        let key = sealing.seal(KEY_PURPOSE, &self.key);
        [length.as_slice(), &self.certificate, &key].concat()
    }

    pub(super) fn open(stored: &[u8], sealing: &DataKey) -> Result<AuthorityParts, VaultError> {
        let damaged = || VaultError::Damaged("certificate authority");
        let (length, rest) = stored.split_first_chunk::<4>().ok_or_else(damaged)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| damaged())?;
        let (certificate, sealed) = rest.split_at_checked(length).ok_or_else(damaged)?;
        let key = sealing.open(KEY_PURPOSE, sealed).ok_or(VaultError::WrongKey)?;
        Ok(AuthorityParts { certificate: certificate.to_vec(), key: key.to_vec() })
    }
}

/// A certificate and its key.
pub struct Issued {
    /// X.509, DER.
    pub certificate: CertificateDer<'static>,
    /// PKCS #8, DER.
    pub key: PrivateKeyDer<'static>,
}

/// A node's wish for a certificate, read and its signature checked.
pub struct NodeRequest {
    request: CertificateSigningRequestParams,
    /// The SHA-256 of the SubjectPublicKeyInfo: what is kept of the key.
    pub key_hash: Sha256,
}

impl Authority {
    /// Makes a new one.
    pub fn generate() -> Result<AuthorityParts, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(AuthorityError::Unusable)?;
        let mut params = params("Tidegate cluster authority", CA_LIFE);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(AuthorityError::Unusable)?;
        Ok(AuthorityParts { certificate: certificate.der().to_vec(), key: key.serialize_der() })
    }

    /// Takes one up again.
    pub fn new(parts: &AuthorityParts) -> Result<Authority, AuthorityError> {
        let key = PrivatePkcs8KeyDer::from(parts.key.as_slice());
        let key =
            KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256).map_err(AuthorityError::Unusable)?;
        let certificate = CertificateDer::from(parts.certificate.clone());
        let key_hash = key_hash(&certificate).ok_or(AuthorityError::Unreadable)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(AuthorityError::Unusable)?;
        Ok(Authority { issuer, certificate, key_hash })
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The SHA-256 of its SubjectPublicKeyInfo: the second half of a join token.
    pub fn key_hash(&self) -> Sha256 {
        self.key_hash
    }

    /// A certificate for a control plane's stream listener.
    pub fn issue_server(&self) -> Result<Issued, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(AuthorityError::Unusable)?;
        let mut params = params("Tidegate control plane", SERVER_CERTIFICATE_LIFE);
        let name = CONTROL_PLANE_NAME.try_into().map_err(AuthorityError::Unusable)?;
        params.subject_alt_names = vec![SanType::DnsName(name)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer).map_err(AuthorityError::Unusable)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Ok(Issued { certificate: certificate.der().clone(), key })
    }

    /// A certificate for the admin listener, under these names and on these addresses.
    pub fn issue_admin(&self, names: &[String], addresses: &[IpAddr]) -> Result<Issued, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(AuthorityError::Unusable)?;
        let mut params = params("Tidegate admin API", ADMIN_CERTIFICATE_LIFE);
        for name in names {
            let name = name.as_str().try_into().map_err(AuthorityError::Unusable)?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer).map_err(AuthorityError::Unusable)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Ok(Issued { certificate: certificate.der().clone(), key })
    }

    /// A certificate for a node. Of the request only the key is taken over.
    pub fn issue_node(&self, id: Id, request: &NodeRequest) -> Result<CertificateDer<'static>, AuthorityError> {
        let mut params = params(&id.to_string(), NODE_CERTIFICATE_LIFE);
        let uri = node_uri(id).try_into().map_err(AuthorityError::Unusable)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate =
            params.signed_by(&request.request.public_key, &self.issuer).map_err(AuthorityError::Unusable)?;
        Ok(certificate.der().clone())
    }
}

impl NodeRequest {
    /// Reads a PKCS #10 request; only a key on P-256 that signed the request is taken.
    pub fn read(der: &[u8]) -> Result<NodeRequest, AuthorityError> {
        let invalid = |why: &str| AuthorityError::Request(why.to_owned());
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der))
            .map_err(|error| AuthorityError::Request(error.to_string()))?;
        let (_, parsed) = x509_parser::certification_request::X509CertificationRequest::from_der(der)
            .map_err(|_| invalid("it can't be read"))?;
        let key = &parsed.certification_request_info.subject_pki;
        let point = request.public_key.der_bytes();
        if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 || point.len() != 65 || point[0] != 4 {
            return Err(invalid("its key is not ECDSA on P-256"));
        }
        let key_hash = Sha256::of(key.raw);
        Ok(NodeRequest { request, key_hash })
    }

    /// The public key as an uncompressed point.
    pub fn point(&self) -> &[u8] {
        self.request.public_key.der_bytes()
    }
}

/// Which node a certificate speaks for, and for which key. The chain was verified by TLS.
pub(crate) fn node_of_certificate(certificate: &[u8]) -> Option<(Id, Sha256)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let id = names.value.general_names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => node_of_uri(uri),
        _ => None,
    })?;
    Some((id, Sha256::of(certificate.tbs_certificate.subject_pki.raw)))
}

fn key_hash(certificate: &[u8]) -> Option<Sha256> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(Sha256::of(certificate.tbs_certificate.subject_pki.raw))
}

fn params(common_name: &str, life: Duration) -> CertificateParams {
    let now = SystemTime::now();
    let mut params = CertificateParams::default();
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + life).into();
    let mut serial: [u8; 16] = rand::random();
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::PKCS_ECDSA_P384_SHA384;

    fn authority() -> Authority {
        Authority::new(&Authority::generate().expect("made")).expect("taken up")
    }

    fn request(key: &KeyPair) -> Vec<u8> {
        CertificateParams::default().serialize_request(key).expect("a request").der().to_vec()
    }

    #[test]
    fn a_node_certificate_names_the_node_and_its_key() {
        let key = KeyPair::generate().expect("a key");
        let request = NodeRequest::read(&request(&key)).expect("valid");
        let id = Id::new(uuid::Uuid::from_u128(7));
        let certificate = authority().issue_node(id, &request).expect("issued");
        assert_eq!(node_of_certificate(&certificate), Some((id, request.key_hash)));
    }

    #[test]
    fn a_request_that_is_changed_or_of_another_curve_is_refused() {
        let key = KeyPair::generate().expect("a key");
        let good = request(&key);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let read = NodeRequest::read(&bad);
            assert!(read.is_err() || read.is_ok_and(|r| r.point() == key.public_key_raw()), "byte {at}");
        }
        let other = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key");
        assert!(NodeRequest::read(&request(&other)).is_err());
        assert!(NodeRequest::read(b"").is_err());
    }

    #[test]
    fn what_is_stored_opens_with_its_key_only() {
        let parts = Authority::generate().expect("made");
        let (key, other) = (DataKey::new([1; 32]), DataKey::new([2; 32]));
        let stored = parts.seal(&key);
        let opened = AuthorityParts::open(&stored, &key).expect("opened");
        assert_eq!((opened.certificate, opened.key), (parts.certificate, parts.key));
        assert!(matches!(AuthorityParts::open(&stored, &other), Err(VaultError::WrongKey)));
        assert!(matches!(AuthorityParts::open(&stored[..3], &key), Err(VaultError::Damaged(_))));
    }

    #[test]
    fn an_authority_keeps_its_key_hash() {
        let parts = Authority::generate().expect("made");
        let (one, two) = (Authority::new(&parts).expect("once"), Authority::new(&parts).expect("twice"));
        assert_eq!(one.key_hash(), two.key_hash());
        assert_ne!(one.key_hash(), authority().key_hash());
    }
}
