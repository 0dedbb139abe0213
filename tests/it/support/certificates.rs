//! A private certificate authority and a server certificate signed by it, for the name `localhost` or others.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Writes `ca.pem`, `server.pem` and `server.key`.
pub fn make(folder: &Path) {
    make_for(folder, &["localhost"]);
}

/// The same for a server with other names.
pub fn make_for(folder: &Path, names: &[&str]) {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL considers a certificate with its issuer's name self-signed.
    authority.distinguished_name.push(DnType::CommonName, "an authority for tests");
    let authority_key = KeyPair::generate().expect("a key");
    let certificate = authority.self_signed(&authority_key).expect("a certificate");
    fs::write(folder.join("ca.pem"), certificate.pem()).expect("written");
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("a key");
    let server =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("parameters");
    let server = server.signed_by(&key, &issuer).expect("a certificate");
    fs::write(folder.join("server.pem"), server.pem()).expect("written");
    fs::write(folder.join("server.key"), key.serialize_pem()).expect("written");
}

/// A TLS server with the certificate in a folder.
pub fn server_config(folder: &Path) -> Arc<rustls::ServerConfig> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("a key");
    let builder = rustls::ServerConfig::builder().with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![certificate], key).expect("a configuration"))
}
