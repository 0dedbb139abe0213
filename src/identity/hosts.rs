//! The hosts of the clouds' own registries.

use super::provider::Provider;

/// A private registry of Amazon ECR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrHost {
    /// Its region.
    pub region: String,
    /// Whether its endpoint is one for FIPS 140.
    pub is_fips: bool,
}

/// Returns the cloud whose registry has a host; `None` for all others, and for registries of a cloud that are public.
pub fn provider_of(host: &str) -> Option<Provider> {
    let is_below = |domain: &str| host.strip_suffix(domain).is_some_and(is_label);
    if ecr_host(host).is_some() {
        return Some(Provider::Aws);
    }
    // Public, China, US Government.
    if [".azurecr.io", ".azurecr.cn", ".azurecr.us"].into_iter().any(is_below) {
        return Some(Provider::Azure);
    }
    let is_google = host == "gcr.io" || is_below(".gcr.io") || is_below("-docker.pkg.dev");
    is_google.then_some(Provider::Google)
}

/// Parses the host of a private registry of Amazon ECR: `ACCOUNT.dkr.ecr.REGION.amazonaws.com` in its forms for all
/// partitions, FIPS 140, and IPv6 (`ACCOUNT.dkr-ecr.REGION.on.aws`).
pub fn ecr_host(host: &str) -> Option<EcrHost> {
    let (account, rest) = host.split_once('.')?;
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (rest, domains) = match (rest.strip_prefix("dkr.ecr"), rest.strip_prefix("dkr-ecr")) {
        (Some(rest), _) => (rest, [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu"].as_slice()),
        (_, Some(rest)) => (rest, [".on.aws"].as_slice()),
        _ => return None,
    };
    let (rest, is_fips) = rest.strip_prefix("-fips").map_or((rest, false), |rest| (rest, true));
    let region = domains.iter().find_map(|domain| rest.strip_prefix('.')?.strip_suffix(domain))?;
    is_region(region).then(|| EcrHost { region: region.to_owned(), is_fips })
}

/// Returns the domain of AWS's services in a region.
pub fn aws_domain(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "amazonaws.com.cn",
        region if region.starts_with("eusc-") => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}

/// Returns whether a text can be a region, and thus a part of a host name.
pub fn is_region(text: &str) -> bool {
    text.contains('-') && is_label(text)
}

fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(is_inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_of_clouds_are_recognized() {
        for (provider, hosts) in [
            (
                Provider::Aws,
                "012345678901.dkr.ecr.eu-west-1.amazonaws.com 012345678901.dkr.ecr.cn-north-1.amazonaws.com.cn",
            ),
            (Provider::Aws, "012345678901.dkr.ecr-fips.us-gov-west-1.amazonaws.com"),
            (Provider::Aws, "012345678901.dkr-ecr.eu-west-1.on.aws 012345678901.dkr.ecr.eusc-de-east-1.amazonaws.eu"),
            (Provider::Azure, "acme.azurecr.io acme-h4sh.azurecr.io acme.azurecr.cn acme.azurecr.us"),
            (Provider::Google, "gcr.io eu.gcr.io europe-west1-docker.pkg.dev us-docker.pkg.dev"),
        ] {
            for host in hosts.split(' ') {
                assert_eq!(provider_of(host), Some(provider), "{host}");
            }
        }
        for host in [
            "ghcr.io",
            "public.ecr.aws",
            "dkr.ecr.eu-west-1.amazonaws.com",
            "012345678901.dkr.ecr.eu-west-1.amazonaws.com.evil.net",
            "012345678901.dkr.ecr.evil.net/.amazonaws.com",
            "012345678901.dkr.ecr.a.b.amazonaws.com",
            "012345678901.dkr.ecr.eu-west-1.amazonaws.com:5000",
            "01234567890.dkr.ecr.eu-west-1.amazonaws.com",
            "012345678901.dkr.ecr.eu-west-1.on.aws",
            "azurecr.io",
            "a.b.azurecr.io",
            "acme.azurecr.io:5000",
            "acme.azurecr.io.evil.net",
            "evilazurecr.io",
            "evilgcr.io",
            "docker.pkg.dev.evil.net",
            "evil.net/-docker.pkg.dev",
            "-docker.pkg.dev",
            "localhost",
        ] {
            assert_eq!(provider_of(host), None, "{host}");
        }
        let fips = ecr_host("012345678901.dkr.ecr-fips.us-east-1.amazonaws.com").expect("a registry");
        assert_eq!(fips, EcrHost { region: "us-east-1".to_owned(), is_fips: true });
        assert_eq!(aws_domain("cn-north-1"), "amazonaws.com.cn");
        assert_eq!(aws_domain("us-gov-west-1"), "amazonaws.com");
    }
}
