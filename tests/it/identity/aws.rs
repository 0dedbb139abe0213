//! AWS: a web identity or Pod Identity, then a password for ECR, and a registry that accepts only that.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tagalong::fault::{Explain, Fault};
use tagalong::identity::provider::Provider;
use tagalong::registry::error::RegistryError;

use crate::support::clouds::{self, ACCESS_KEY, REGION, ROLE, SECRET_KEY, SESSION_TOKEN, Shared, sts_error};
use crate::support::registry::{Kind, Registry};
use crate::support::scripted::{Scripted, json as answer};

use super::{AT, app, client, environment, host, run};

const ONE: &str = "ecr-password-one-1";
const TWO: &str = "ecr-password-two-2";
/// The two passwords as in `htpasswd -nbBC 5 AWS PASSWORD`.
const HASHES: [(&str, &str); 2] = [
    (ONE, "AWS:$2y$05$4AbN5RZ8cWG3tAUz/AAoI.PGkqt3xJ3ZwTpwob7YdssoKZo2WP2yW"),
    (TWO, "AWS:$2y$05$EKltXDQZkdQefD8mFYzJeebhTTpBNAqKzdFf5N7RemOd7ZPOrVGJW"),
];

/// STS, ECR's API and a registry, which accept one token and one password at a time.
struct Aws {
    folder: tempfile::TempDir,
    registry: Registry,
    sts: Scripted,
    ecr: Scripted,
    /// The web identity token that STS accepts; while it is empty, STS is down.
    token: Shared<String>,
    /// The password that ECR issues, and its lifetime.
    password: Shared<(String, u64)>,
}

impl Aws {
    fn start() -> Aws {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().join("registry");
        let plain = Registry::start(&at, Kind::Plain);
        plain.push("org/app", "one", AT);
        drop(plain);
        let users = at.join("htpasswd");
        fs::write(&users, HASHES[0].1).expect("written");
        let auth = format!("auth:\n  htpasswd:\n    realm: tests\n    path: {}\n", users.display());
        let registry = Registry::start_with_auth(&at, &auth);
        let (token, password) = (Shared::new("web-token-1".to_owned()), Shared::new((ONE.to_owned(), 43_200)));
        let (accepted, issued) = (token.clone(), password.clone());
        let sts = Scripted::start(move |request| match accepted.get().as_str() {
            "" => sts_error(503, "ServiceUnavailable", "try later"),
            accepted => clouds::sts(request, accepted),
        });
        let ecr = Scripted::start(move |request| {
            let (password, seconds) = issued.get();
            clouds::ecr(request, (ACCESS_KEY, SECRET_KEY, Some(SESSION_TOKEN)), &password, seconds)
        });
        let aws = Aws { folder, registry, sts, ecr, token, password };
        aws.write_token("web-token-1");
        aws
    }

    fn token_file(&self) -> PathBuf {
        self.folder.path().join("web-token")
    }

    fn write_token(&self, token: &str) {
        fs::write(self.token_file(), format!("{token}\n")).expect("written");
    }

    /// Changes the registry's only password.
    fn accept(&self, password: &str) {
        let hash = HASHES.iter().find(|(known, _)| *known == password).expect("a password").1;
        // The registry reads the file again if its time has changed, in whole seconds.
        let users = self.folder.path().join("registry/htpasswd");
        fs::write(&users, hash).expect("written");
        let later = std::time::SystemTime::now() + Duration::from_secs(60);
        fs::File::options().write(true).open(&users).and_then(|file| file.set_modified(later)).expect("set");
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_WEB_IDENTITY_TOKEN_FILE", self.token_file().display().to_string()),
            ("AWS_ROLE_ARN", ROLE.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ENDPOINT_URL_STS", format!("http://{}", self.sts.host())),
            ("AWS_ENDPOINT_URL_ECR", format!("http://{}", self.ecr.host())),
        ]
    }

    /// The numbers of requests to STS and to ECR.
    fn asked(&self) -> (usize, usize) {
        (self.sts.asked().len(), self.ecr.asked().len())
    }

    /// The error of listing tags with a new client.
    fn error(&self, variables: &[(&'static str, String)]) -> RegistryError {
        let client = client(host(&self.registry.host(), Provider::Aws), environment(variables));
        run(async { client.tags(&app(&self.registry.host())).await.expect_err("refused") })
    }
}

#[test]
fn a_web_identity_pulls_from_a_registry_and_is_asked_for_once() {
    let aws = Aws::start();
    let client = client(host(&aws.registry.host(), Provider::Aws), environment(&aws.variables()));
    run(async {
        for _ in 0..3 {
            assert_eq!(client.tags(&app(&aws.registry.host())).await.expect("tags").len(), 1);
        }
        assert_eq!(aws.asked(), (1, 1));
        let identity = client.identity_at(&aws.registry.host()).expect("an identity");
        assert_eq!(identity, format!("the AWS role {ROLE}"));
    });
}

#[test]
fn a_new_token_is_used_at_once_and_an_outage_costs_nothing() {
    let aws = Aws::start();
    let client = client(host(&aws.registry.host(), Provider::Aws), environment(&aws.variables()));
    let list = async || client.tags(&app(&aws.registry.host())).await;
    run(async {
        list().await.expect("tags");
        // The kubelet replaces the token while STS is down: the password is good for hours.
        aws.token.set(String::new());
        aws.write_token("web-token-2");
        list().await.expect("the old password is still valid");
        list().await.expect("the old password is still valid");
        assert_eq!(aws.asked(), (2, 1), "a failed renewal is not repeated at once");
        // STS is back, with the next token.
        aws.token.set("web-token-3".to_owned());
        aws.password.set((TWO.to_owned(), 43_200));
        aws.accept(TWO);
        aws.write_token("web-token-3");
        list().await.expect("the new password");
        assert_eq!(aws.asked(), (3, 2));
    });
}

#[test]
fn an_expired_password_is_replaced() {
    let aws = Aws::start();
    aws.password.set((ONE.to_owned(), 1));
    let client = client(host(&aws.registry.host(), Provider::Aws), environment(&aws.variables()));
    run(async {
        client.tags(&app(&aws.registry.host())).await.expect("tags");
        let before = aws.asked();
        tokio::time::sleep(Duration::from_millis(1600)).await;
        client.tags(&app(&aws.registry.host())).await.expect("tags");
        assert!(aws.asked().0 > before.0 && aws.asked().1 > before.1, "{before:?} {:?}", aws.asked());
    });
}

#[test]
fn pod_identity_and_access_keys_need_no_sts() {
    let aws = Aws::start();
    let agent = Scripted::start(|request| match request.authorization.as_deref() {
        Some("pod-token-1") if request.target == "/v1/credentials" => answer(
            200,
            serde_json::json!({
                "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY, "Token": SESSION_TOKEN,
                "AccountId": "012345678901", "Expiration": "2026-01-01T00:00:00Z",
            }),
            &[],
        ),
        _ => answer(403, serde_json::json!({ "message": "[AccessDeniedException]: no association" }), &[]),
    });
    let file = aws.folder.path().join("pod-token");
    fs::write(&file, "pod-token-1\n").expect("written");
    let common = [aws.variables()[2].clone(), aws.variables()[4].clone()];
    let pod = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{}/v1/credentials", agent.host())),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.display().to_string()),
    ];
    let keys = [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ("AWS_SESSION_TOKEN", SESSION_TOKEN.to_owned()),
    ];
    for own in [&pod[..], &keys[..]] {
        let variables = [&common, own].concat();
        let client = client(host(&aws.registry.host(), Provider::Aws), environment(&variables));
        run(async { client.tags(&app(&aws.registry.host())).await.expect("tags") });
    }
    assert_eq!((aws.asked().0, agent.asked().len()), (0, 1));
    fs::write(&file, "pod-token-2").expect("written");
    let error = aws.error(&[&common[..], &pod[..]].concat());
    let text = format!("{error} {}", error.help().unwrap_or_default());
    assert!(text.contains("no association") && text.contains("Pod Identity association"), "{text}");
    // Another secret key: the verifier rejects the signature.
    let mut wrong = keys.clone();
    wrong[1].1 = "another".to_owned();
    let error = aws.error(&[&common[..], &wrong[..]].concat()).to_string();
    assert!(error.contains("InvalidSignatureException: the signature does not match"), "{error}");
}

#[test]
fn each_refusal_names_the_step_the_host_and_the_remedy() {
    let aws = Aws::start();
    let said = |error: &RegistryError| format!("{error} ({})", error.help().unwrap_or_default());
    aws.write_token("web-token-unknown");
    let error = aws.error(&aws.variables());
    let text = said(&error);
    for part in
        ["AssumeRoleWithWebIdentity", &aws.sts.host(), "400: InvalidIdentityToken: No OpenIDConnect", "OIDC issuer"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(error.fault() == Fault::Denied && !text.contains("web-token-unknown"), "{text}");
    let mut other_role = aws.variables();
    other_role[1].1 = "arn:aws:iam::012345678901:role/another".to_owned();
    let text = said(&aws.error(&other_role));
    assert!(text.contains("AccessDenied: Not authorized") && text.contains("trust policy"), "{text}");
    aws.token.set(String::new());
    assert_eq!(aws.error(&aws.variables()).fault(), Fault::Transient);
    for (index, name) in [(0, "AWS_WEB_IDENTITY_TOKEN_FILE"), (1, "AWS_ROLE_ARN"), (2, "AWS_REGION")] {
        let mut variables = aws.variables();
        variables.remove(index);
        let error = aws.error(&variables);
        assert!(error.to_string().contains(name) && error.fault() == Fault::BadInput, "{error}");
    }
    fs::remove_file(aws.token_file()).expect("removed");
    let error = aws.error(&aws.variables());
    assert!(error.to_string().contains(&aws.token_file().display().to_string()), "{error}");
}

#[test]
fn a_registry_that_refuses_the_password_is_told_apart() {
    let aws = Aws::start();
    aws.accept(TWO);
    let error = aws.error(&aws.variables());
    let text = format!("{error} ({})", error.help().unwrap_or_default());
    assert!(matches!(error, RegistryError::IdentityDenied { .. }), "{error:?}");
    assert!(text.contains(ROLE) && text.contains("org/app") && text.contains("ecr:BatchGetImage"), "{text}");
    assert_eq!(aws.asked(), (1, 1), "a new password is not replaced at once");
    let denied = Scripted::start(|_| {
        answer(400, serde_json::json!({ "__type": "AccessDeniedException", "Message": "not authorized" }), &[])
    });
    let throttled = Scripted::start(|_| {
        answer(400, serde_json::json!({ "__type": "ThrottlingException", "message": "Rate exceeded" }), &[])
    });
    let at = |ecr: &Scripted| {
        let mut variables = aws.variables();
        variables[4].1 = format!("http://{}", ecr.host());
        aws.error(&variables)
    };
    let error = at(&denied);
    assert_eq!(error.fault(), Fault::Denied);
    assert!(error.help().is_some_and(|help| help.contains("ecr:GetAuthorizationToken")), "{error}");
    assert_eq!(at(&throttled).fault(), Fault::Transient);
}

#[test]
fn a_redirect_of_sts_gets_no_token() {
    let aws = Aws::start();
    let elsewhere = Scripted::start(|request| clouds::sts(request, "web-token-1"));
    let target = format!("http://{}/", elsewhere.host());
    let redirecting = Scripted::start(move |_| Some((307, vec![("Location".to_owned(), target.clone())], Vec::new())));
    let mut variables = aws.variables();
    variables[3].1 = format!("http://{}", redirecting.host());
    let error = aws.error(&variables).to_string();
    assert!(error.contains("redirects"), "{error}");
    assert!(elsewhere.asked().is_empty());
}

#[test]
fn a_mirror_is_used_without_the_identity() {
    let aws = Aws::start();
    let mirror = Scripted::start(|request| match request.authorization {
        Some(_) => answer(200, serde_json::json!({ "name": "org/app", "tags": ["stolen"] }), &[]),
        None => answer(401, serde_json::json!({}), &[("WWW-Authenticate", "Basic realm=\"mirror\"")]),
    });
    let mut own = host(&aws.registry.host(), Provider::Aws);
    own.mirror = Some(format!("http://{}", mirror.host()).parse().expect("a mirror"));
    own.mirror_tags = true;
    let client = client(own, environment(&aws.variables()));
    run(async {
        assert_eq!(client.tags(&app(&aws.registry.host())).await.expect("the registry's").len(), 1);
    });
    assert!(!mirror.asked().is_empty(), "it was tried first");
    assert!(mirror.asked().iter().all(|request| request.authorization.is_none()), "{:#?}", mirror.asked());
}
