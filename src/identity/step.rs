//! The requests by which an identity is obtained, and what to do if one is refused.

use std::fmt;

/// A request by which an identity is obtained. Displayed, it is what the request does: `exchange …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// AWS STS: credentials for a web identity.
    AssumeRole,
    /// The agent of EKS Pod Identity: credentials for the pod.
    PodIdentity,
    /// Amazon ECR: a password.
    EcrToken,
    /// Microsoft Entra ID: an access token for a federated token.
    EntraToken,
    /// Azure Container Registry: a refresh token for an access token.
    AcrExchange,
    /// Google's metadata server: an access token.
    Metadata,
    /// Google STS: an access token for a federated token.
    GoogleExchange,
    /// Google IAM: an access token of a service account.
    Impersonate,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::AssumeRole => {
                "exchange the web identity token for credentials of the role (AssumeRoleWithWebIdentity)"
            }
            Step::PodIdentity => "get the credentials of the pod from EKS Pod Identity",
            Step::EcrToken => "get a password for the registry (GetAuthorizationToken)",
            Step::EntraToken => "exchange the federated token for an access token",
            Step::AcrExchange => "exchange the access token for a refresh token of the registry",
            Step::Metadata => "get an access token from the metadata server",
            Step::GoogleExchange => "exchange the federated token for an access token",
            Step::Impersonate => "get an access token of the service account",
        })
    }
}

impl Step {
    /// What to do if the service refuses, given its message.
    pub fn help(self, message: &str) -> String {
        let says = |code: &str| message.contains(code);
        match self {
            Step::AssumeRole if says("AccessDenied") => {
                "check the trust policy of the role in AWS_ROLE_ARN: its Principal, and the conditions on `sub` \
                 (system:serviceaccount:NAMESPACE:NAME) and `aud` (sts.amazonaws.com)"
            }
            Step::AssumeRole => {
                "check that the cluster's OIDC issuer is an identity provider of the account, and that the token in \
                 AWS_WEB_IDENTITY_TOKEN_FILE is for sts.amazonaws.com and has not expired"
            }
            Step::PodIdentity => {
                "check the Pod Identity association of the ServiceAccount, and that the role trusts \
                 pods.eks.amazonaws.com"
            }
            Step::EcrToken if says("Signature") => "check the clock of this machine, and the credentials",
            Step::EcrToken => "allow the role ecr:GetAuthorizationToken on all resources",
            Step::EntraToken if says("AADSTS70021") || says("AADSTS700211") || says("AADSTS700213") => {
                "create a federated credential of the application or managed identity with the issuer, subject and \
                 audience that the message names"
            }
            Step::EntraToken if says("AADSTS700016") || says("AADSTS90002") => {
                "check AZURE_CLIENT_ID and AZURE_TENANT_ID"
            }
            Step::EntraToken if says("AADSTS700024") => {
                "check the clock of this machine, and that the kubelet renews the token in AZURE_FEDERATED_TOKEN_FILE"
            }
            Step::EntraToken => {
                "check the federated credential of the application or managed identity, AZURE_CLIENT_ID and \
                 AZURE_TENANT_ID"
            }
            Step::AcrExchange => "give the application or managed identity the role AcrPull on the registry",
            Step::Metadata => {
                "check that a service account is attached to the machine, or that the ServiceAccount is bound to IAM"
            }
            Step::GoogleExchange => {
                "check the workload identity pool and its provider: the issuer, the allowed audiences and the attribute \
                 condition"
            }
            Step::Impersonate => {
                "give the federated principal the role roles/iam.workloadIdentityUser on the service account, and \
                 enable the IAM Service Account Credentials API"
            }
        }
        .to_owned()
    }
}
