//! How a client knows the control plane: by an authority, or by the very key it was told to trust.

use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Takes a control plane by its key, whatever its certificate says of names and dates; or takes what comes, and remembers it.
#[derive(Debug)]
pub(super) struct ByKey {
    wanted: Option<String>,
    seen: Mutex<Option<String>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ByKey {
    /// Takes this key and no other.
    pub(super) fn pinned(pin: &str) -> Arc<Self> {
        Self::new(Some(pin.to_owned()))
    }

    /// Takes any key. Nothing secret may be sent over such a connection.
    pub(super) fn any() -> Arc<Self> {
        Self::new(None)
    }

    fn new(wanted: Option<String>) -> Arc<Self> {
        let algorithms = provider().signature_verification_algorithms;
        Arc::new(ByKey { wanted, seen: Mutex::new(None), algorithms })
    }

    /// The key that was shown last.
    pub(super) fn seen(&self) -> Option<String> {
        self.seen.lock().expect("no holder panics").clone()
    }

    /// A configuration that knows the control plane so.
    pub(super) fn config(self: &Arc<Self>) -> anyhow::Result<ClientConfig> {
        let versions = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let config = versions.context("TLS cannot be set up")?;
        Ok(config.dangerous().with_custom_certificate_verifier(self.clone()).with_no_client_auth())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl ServerCertVerifier for ByKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown =
            fingerprint(end_entity).ok_or_else(|| Error::General("the certificate cannot be read".to_owned()))?;
        *self.seen.lock().expect("no holder panics") = Some(shown.clone());
        match &self.wanted {
            Some(wanted) if *wanted != shown => {
                Err(Error::General(format!("it shows the key {shown}, but the profile trusts {wanted}")))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// `sha256:` and the hash of the public key: the same for all certificates of one key.
fn fingerprint(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, parsed.public_key().raw);
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("sha256:{hex}"))
}
