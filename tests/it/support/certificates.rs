//! Private certificate authorities, with certificates for servers, by the name `localhost` or others, and for their clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, SupportedProtocolVersion};

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub pem: String,
}

/// A certificate with its private key, in PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL considers a certificate with its issuer's name self-signed.
        authority.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let pem = authority.self_signed(&key).expect("a certificate").pem();
        Authority { issuer: Issuer::new(authority, key), pem }
    }

    /// Issues a certificate for a server with these names.
    pub fn server(&self, names: &[&str]) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.issue(CertificateParams::new(names).expect("parameters"))
    }

    /// Issues a certificate for a client, valid from the beginning of one year to the beginning of another.
    pub fn client(&self, name: &str, from: i32, until: i32) -> Pair {
        let mut client = CertificateParams::new(Vec::new()).expect("parameters");
        client.distinguished_name.push(DnType::CommonName, name);
        client.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        client.not_before = rcgen::date_time_ymd(from, 1, 1);
        client.not_after = rcgen::date_time_ymd(until, 1, 1);
        self.issue(client)
    }

    fn issue(&self, parameters: CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

impl Pair {
    /// Writes `NAME.pem` and `NAME.key`, and returns their paths.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        fs::write(&certificate, &self.certificate).expect("written");
        fs::write(&key, &self.key).expect("written");
        (certificate, key)
    }

    /// The certificate as a server sees it.
    pub fn der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("a certificate").to_vec()
    }
}

/// Writes `ca.pem`, `server.pem` and `server.key`.
pub fn make(folder: &Path) {
    make_for(folder, &["localhost"]);
}

/// The same for a server with other names.
pub fn make_for(folder: &Path, names: &[&str]) {
    let authority = Authority::new("an authority for tests");
    fs::write(folder.join("ca.pem"), &authority.pem).expect("written");
    authority.server(names).write(folder, "server");
}

/// A TLS server with the certificate in a folder.
pub fn server_config(folder: &Path) -> Arc<rustls::ServerConfig> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = rustls::ServerConfig::builder().with_no_client_auth();
    let (certificate, key) = server_pair(folder);
    Arc::new(builder.with_single_cert(vec![certificate], key).expect("a configuration"))
}

/// The same for a server that requests certificates from its clients, by an authority of theirs, and accepts clients
/// without one unless they are `required`.
pub fn mutual_config(
    folder: &Path,
    clients: &Authority,
    required: bool,
    version: &'static SupportedProtocolVersion,
) -> Arc<rustls::ServerConfig> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(clients.pem.as_bytes()).expect("a certificate")).expect("added");
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots));
    let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
    let builder = rustls::ServerConfig::builder_with_protocol_versions(&[version]);
    let builder = builder.with_client_cert_verifier(verifier.build().expect("a verifier"));
    let (certificate, key) = server_pair(folder);
    Arc::new(builder.with_single_cert(vec![certificate], key).expect("a configuration"))
}

fn server_pair(folder: &Path) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).expect("a certificate");
    (certificate, PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("a key"))
}
