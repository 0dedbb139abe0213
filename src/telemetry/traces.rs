//! Spans for a collector of OpenTelemetry, by OTLP over HTTP (OpenTelemetry, "Environment Variable Specification" and
//! "OpenTelemetry Protocol Exporter"). The environment says where to; without a word of it nothing is sent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::http;

use super::{BoxedLayer, TelemetryError};

/// What we are called where nobody says otherwise.
const SERVICE: &str = "tagalong";

/// As long is waited for a collector, and for the last spans when the process ends.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The end of the process for spans that are on their way.
#[derive(Debug)]
#[must_use = "spans that wait are lost unless it is ended"]
pub struct Traces(Option<SdkTracerProvider>);

/// What the environment says of traces.
#[derive(Debug, PartialEq, Eq)]
struct TraceSettings {
    /// Whether they are wanted.
    are_wanted: bool,
    /// Whether the name of the service is ours to choose.
    is_unnamed: bool,
}

impl Traces {
    /// What the environment asks for, and the layer that makes spans of it.
    pub(super) fn from_environment(runtime: &Handle) -> Result<(Traces, Option<BoxedLayer>), TelemetryError> {
        let settings = TraceSettings::read(&|name| std::env::var(name).ok())?;
        if !settings.are_wanted {
            return Ok((Traces(None), None));
        }
        let wrong = |reason: String| TelemetryError::Variable { name: ENDPOINT, reason };
        let client = http::builder(TIMEOUT).build().map_err(|error| wrong(http::root_cause(&error)))?;
        let client = CollectorClient { client, runtime: runtime.clone(), is_accepted: AtomicBool::new(true) };
        let exporter = SpanExporter::builder().with_http().with_http_client(client).build();
        let exporter = exporter.map_err(|error| wrong(http::root_cause(&error)))?;
        let mut resource = Resource::builder();
        if settings.is_unnamed {
            resource = resource.with_service_name(SERVICE);
        }
        let resource = resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        // Of our own work only: what libraries say of themselves is for logs.
        let ours = Targets::new().with_target(SERVICE, LevelFilter::DEBUG);
        let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer(SERVICE)).with_filter(ours).boxed();
        Ok((Traces(Some(provider)), Some(spans)))
    }

    /// Sends what waits. The runtime has to be running still.
    pub fn end(self) {
        // Whoever does not answer now has been told of before.
        self.0.into_iter().for_each(|provider| drop(provider.shutdown_with_timeout(TIMEOUT)));
    }
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

impl TraceSettings {
    fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<TraceSettings, TelemetryError> {
        // An empty one is as good as none (section "Parsing empty value").
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let only = |name: &'static str, takes: &[&str]| match set(name) {
            Some(value) if !takes.contains(&value.as_str()) => {
                let reason = format!("`{value}` is not supported; it can be {}", takes.join(" or "));
                Err(TelemetryError::Variable { name, reason })
            }
            value => Ok(value),
        };
        let is_disabled = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let exporter = only("OTEL_TRACES_EXPORTER", &["otlp", "none"])?;
        let has_endpoint = [ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"].into_iter().any(|name| set(name).is_some());
        let are_wanted = !is_disabled && exporter.map_or(has_endpoint, |exporter| exporter == "otlp");
        if are_wanted {
            for name in ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] {
                only(name, &["http/protobuf"])?;
            }
        }
        let is_named = set("OTEL_SERVICE_NAME").is_some()
            || set("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|attributes| attributes.contains("service.name="));
        Ok(TraceSettings { are_wanted, is_unnamed: !is_named })
    }
}

/// Carries spans to the collector, and says once when it cannot. Headers, which may hold tokens, are never shown.
#[derive(Debug)]
struct CollectorClient {
    client: reqwest::Client,
    /// The exporter has a thread of its own, which is outside of any runtime.
    runtime: Handle,
    /// Whether the collector took what it was sent last.
    is_accepted: AtomicBool,
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let host = request.uri().authority().map_or("", |authority| authority.host()).to_owned();
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let answer = client.execute(request.try_into()?).await?;
            let mut response = Response::builder().status(answer.status());
            if let Some(headers) = response.headers_mut() {
                headers.clone_from(answer.headers());
            }
            Ok::<_, HttpError>(response.body(answer.bytes().await?)?)
        });
        let result = sent.await?;
        let problem = match &result {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered {}", answer.status())),
            Err(error) => Some(http::root_cause(error.as_ref())),
        };
        match problem {
            Some(why) if self.is_accepted.swap(false, Ordering::Relaxed) => {
                tracing::warn!(%host, %why, "the collector does not take our traces; look at OTEL_EXPORTER_OTLP_*");
            }
            None if !self.is_accepted.swap(true, Ordering::Relaxed) => {
                tracing::info!(%host, "the collector takes our traces again");
            }
            _ => {}
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<TraceSettings, String> {
        let value = |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        TraceSettings::read(&value).map_err(|error| error.to_string())
    }

    #[test]
    fn traces_are_sent_only_where_the_environment_asks_for_them() {
        let are_wanted = |variables: &[(&str, &str)]| settings(variables).expect("right").are_wanted;
        assert!(!are_wanted(&[]));
        assert!(!are_wanted(&[(ENDPOINT, " ")]));
        assert!(are_wanted(&[(ENDPOINT, "http://collector:4318")]));
        assert!(are_wanted(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces")]));
        assert!(are_wanted(&[("OTEL_TRACES_EXPORTER", "otlp")]));
        assert!(!are_wanted(&[(ENDPOINT, "http://collector:4318"), ("OTEL_TRACES_EXPORTER", "none")]));
        assert!(!are_wanted(&[(ENDPOINT, "http://collector:4318"), ("OTEL_SDK_DISABLED", "True")]));
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let error = settings(&[("OTEL_TRACES_EXPORTER", "zipkin")]).expect_err("unsupported");
        assert_eq!(error, "OTEL_TRACES_EXPORTER: `zipkin` is not supported; it can be otlp or none");
        let error =
            settings(&[(ENDPOINT, "http://c"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).expect_err("unsupported");
        assert_eq!(error, "OTEL_EXPORTER_OTLP_PROTOCOL: `grpc` is not supported; it can be http/protobuf");
        // What nobody uses need not be right.
        assert!(settings(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).is_ok());
    }

    #[test]
    fn a_name_that_is_given_is_kept() {
        let is_unnamed = |variables: &[(&str, &str)]| settings(variables).expect("right").is_unnamed;
        assert!(is_unnamed(&[]) && is_unnamed(&[("OTEL_RESOURCE_ATTRIBUTES", "a=b")]));
        assert!(!is_unnamed(&[("OTEL_SERVICE_NAME", "deployer")]));
        assert!(!is_unnamed(&[("OTEL_RESOURCE_ATTRIBUTES", "a=b,service.name=deployer")]));
    }
}
