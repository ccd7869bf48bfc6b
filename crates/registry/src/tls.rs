//! Whom to trust over TLS: the platform's roots and the authorities of the settings, by rustls with ring.
//!
//! The platform's verifier is asked, so that what the system trusts is trusted here. Roots are loaded when the first
//! certificate is to be checked: a registry that speaks plain HTTP needs none.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;

use crate::error::Error;
use crate::settings::{HostSettings, Settings};

/// The TLS configuration for one host.
pub(crate) fn config(settings: &Settings, host: &HostSettings) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut extra = Vec::new();
    for path in settings.ca_files.iter().chain(&host.ca_files) {
        extra.extend(certificates(path)?);
    }
    let trust =
        Trust { insecure: host.insecure, extra, provider: Arc::clone(&provider), platform: OnceLock::new() };
    let wrong = |error: rustls::Error| Error::Settings(format!("cannot set up TLS: {error}"));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(wrong)?.dangerous().with_custom_certificate_verifier(Arc::new(trust));
    let mut config = match &host.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
            builder.with_client_auth_cert(certificates(certificate)?, key).map_err(wrong)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.map_err(|error| unreadable(path, &error))?;
    if all.is_empty() {
        return Err(Error::Settings(format!("{}: no certificate in PEM form", path.display())));
    }
    Ok(all)
}

fn unreadable(path: &std::path::Path, error: &rustls::pki_types::pem::Error) -> Error {
    Error::Settings(format!("{}: {error}", path.display()))
}

/// Checks certificates against the platform's roots and `extra`, or not at all.
#[derive(Debug)]
struct Trust {
    insecure: bool,
    extra: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
    platform: OnceLock<Result<Verifier, rustls::Error>>,
}

impl Trust {
    fn platform(&self) -> Result<&Verifier, rustls::Error> {
        let load = || Verifier::new_with_extra_roots(self.extra.iter().cloned(), Arc::clone(&self.provider));
        self.platform.get_or_init(load).as_ref().map_err(Clone::clone)
    }

    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.insecure {
            return Ok(ServerCertVerified::assertion());
        }
        self.platform()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.pem");
        for text in ["", "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&path, text).unwrap();
            let host = HostSettings { ca_files: vec![path.clone()], ..HostSettings::default() };
            let error = config(&Settings::default(), &host).unwrap_err();
            assert!(error.to_string().contains("empty.pem"), "{error}");
        }
    }

    #[test]
    fn http_2_is_offered_before_http_1() {
        let config = config(&Settings::default(), &HostSettings::default()).unwrap();
        assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }
}
