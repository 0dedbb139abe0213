//! AWS Signature Version 4 (IAM User Guide, "Create a signed AWS API request"), as far as requests to the root of a
//! service without a query need it.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::secret::Secret;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The credentials of an IAM principal.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The ID of the access key.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: Secret<String>,
    /// The session token of temporary credentials.
    pub session_token: Option<Secret<String>>,
}

/// The service that a signature is for.
#[derive(Debug, Clone, Copy)]
pub struct Service<'a> {
    /// Its region.
    pub region: &'a str,
    /// Its name in signatures.
    pub name: &'a str,
}

/// Returns the time as AWS writes it in `X-Amz-Date`.
pub fn amz_date(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Returns the `Authorization` header of a request to the root of a service. The headers have lower-case names and values
/// without superfluous blanks; all of them are signed, among them `host` and `x-amz-date`, which is `date`.
pub fn authorization(
    credentials: &Credentials,
    service: Service<'_>,
    date: &str,
    method: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Secret<String> {
    let mut headers = headers.to_vec();
    headers.sort_unstable();
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let canonical: Secret<String> =
        Secret::new(headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect::<String>());
    let request =
        Secret::new(format!("{method}\n/\n\n{}\n{names}\n{}", canonical.expose(), hex(&Sha256::digest(body))));
    let day = date.split('T').next().unwrap_or_default();
    let scope = format!("{day}/{}/{}/aws4_request", service.region, service.name);
    let hash = hex(&Sha256::digest(request.expose().as_bytes()));
    let first = Secret::new(format!("AWS4{}", credentials.secret_key.expose()));
    let mut key = Secret::new(first.expose().as_bytes().to_vec());
    for part in [day, service.region, service.name, "aws4_request"] {
        key = Secret::new(keyed_hash(key.expose(), part.as_bytes()));
    }
    let signature = hex(&keyed_hash(key.expose(), format!("{ALGORITHM}\n{date}\n{scope}\n{hash}").as_bytes()));
    let access_key = &credentials.access_key;
    Secret::new(format!("{ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"))
}

fn keyed_hash(key: &[u8], message: &[u8]) -> Vec<u8> {
    // A key of any length is valid.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Signs the request of a case in AWS's test suite, and returns the expected header with ours.
    fn case(folder: &Path) -> (String, String) {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let read = |extension: &str| {
            std::fs::read_to_string(folder.join(format!("{name}.{extension}"))).expect("a file").replace('\r', "")
        };
        let request = read("req");
        let (head, body) = request.split_once("\n\n").unwrap_or((&request, ""));
        let mut lines = head.lines();
        let method = lines.next().expect("a line").strip_suffix(" / HTTP/1.1").expect("a request to the root");
        let headers: Vec<(String, &str)> =
            lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_lowercase(), value)).collect();
        let token = headers.iter().find(|(name, _)| name == "x-amz-security-token");
        let credentials = Credentials {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            session_token: token.map(|(_, token)| Secret::new((*token).to_owned())),
        };
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let service = Service { region: "us-east-1", name: "service" };
        let signed = authorization(&credentials, service, "20150830T123600Z", method, &headers, body.as_bytes());
        (read("authz").trim().to_owned(), signed.expose().clone())
    }

    #[test]
    fn the_signatures_are_those_of_the_test_suite_of_aws() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sigv4");
        let cases = std::fs::read_dir(folder).expect("fixtures").filter_map(|entry| Some(entry.ok()?.path()));
        let cases: Vec<_> = cases.filter(|path| path.is_dir()).collect();
        assert!(cases.len() >= 8, "{cases:?}");
        for folder in cases {
            let (expected, signed) = case(&folder);
            assert_eq!(signed, expected, "{}", folder.display());
        }
    }

    #[test]
    fn times_are_written_as_aws_does() {
        assert_eq!(amz_date("2015-08-30T12:36:00.9Z".parse().expect("a time")), "20150830T123600Z");
    }
}
