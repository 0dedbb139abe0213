//! Spans for an OpenTelemetry collector, by OTLP over HTTP (OpenTelemetry, "Environment Variable Specification" and
//! "OpenTelemetry Protocol Exporter"). The environment names the collector; by default, nothing is sent.

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
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::{Layer, Registry};

use crate::http;

use super::error::TelemetryError;

/// The default service name.
const SERVICE: &str = "tagalong";

/// The time limit of requests to the collector, and of sending the last spans when the process ends.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends spans in the background, until it is ended.
#[derive(Debug)]
#[must_use = "queued spans are lost unless it is ended"]
pub struct Traces(Option<SdkTracerProvider>);

/// The settings of traces in the environment.
#[derive(Debug, PartialEq, Eq)]
struct TraceSettings {
    /// Whether traces are sent.
    are_enabled: bool,
    /// Whether the environment leaves the service name to us.
    is_unnamed: bool,
}

impl Traces {
    /// Reads the environment, and returns the layer that makes spans if it asks for traces.
    pub(super) fn from_environment(
        runtime: &Handle,
    ) -> Result<(Traces, Option<Box<dyn Layer<Registry> + Send + Sync>>), TelemetryError> {
        let settings = TraceSettings::read(&|name| std::env::var(name).ok())?;
        if !settings.are_enabled {
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
        // Only our own spans: those of libraries are for logs.
        let ours = Targets::new().with_target(SERVICE, LevelFilter::DEBUG);
        let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer(SERVICE)).with_filter(ours).boxed();
        Ok((Traces(Some(provider)), Some(spans)))
    }

    /// Sends the queued spans. The runtime must still be running.
    pub fn end(self) {
        // A collector that does not respond now has been reported before.
        self.0.into_iter().for_each(|provider| drop(provider.shutdown_with_timeout(TIMEOUT)));
    }
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

impl TraceSettings {
    fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<TraceSettings, TelemetryError> {
        // An empty value counts as unset (section "Parsing empty value").
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let only = |name: &'static str, supported: &[&str]| match set(name) {
            Some(value) if !supported.contains(&value.as_str()) => {
                let reason = format!("`{value}` is not supported; use {}", supported.join(" or "));
                Err(TelemetryError::Variable { name, reason })
            }
            value => Ok(value),
        };
        let is_disabled = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let exporter = only("OTEL_TRACES_EXPORTER", &["otlp", "none"])?;
        let has_endpoint = [ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"].into_iter().any(|name| set(name).is_some());
        let are_enabled = !is_disabled && exporter.map_or(has_endpoint, |exporter| exporter == "otlp");
        if are_enabled {
            for name in ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] {
                only(name, &["http/protobuf"])?;
            }
        }
        let is_named = set("OTEL_SERVICE_NAME").is_some()
            || set("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|attributes| attributes.contains("service.name="));
        Ok(TraceSettings { are_enabled, is_unnamed: !is_named })
    }
}

/// Sends spans to the collector, and logs once when it cannot. Headers, which may contain tokens, are never shown.
#[derive(Debug)]
struct CollectorClient {
    client: reqwest::Client,
    /// The runtime that sends requests: the exporter has a thread of its own, outside any runtime.
    runtime: Handle,
    /// Whether the collector accepted the last request.
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
            Ok(answer) => Some(format!("it responded with {}", answer.status())),
            Err(error) => Some(http::root_cause(error.as_ref())),
        };
        match problem {
            Some(why) if self.is_accepted.swap(false, Ordering::Relaxed) => {
                tracing::warn!(%host, %why, "cannot send traces to the OpenTelemetry collector; check the variables OTEL_EXPORTER_OTLP_*");
            }
            None if !self.is_accepted.swap(true, Ordering::Relaxed) => {
                tracing::info!(%host, "the OpenTelemetry collector accepts traces again");
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
    fn traces_are_sent_only_if_the_environment_asks_for_them() {
        let are_enabled = |variables: &[(&str, &str)]| settings(variables).expect("right").are_enabled;
        assert!(!are_enabled(&[]));
        assert!(!are_enabled(&[(ENDPOINT, " ")]));
        assert!(are_enabled(&[(ENDPOINT, "http://collector:4318")]));
        assert!(are_enabled(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces")]));
        assert!(are_enabled(&[("OTEL_TRACES_EXPORTER", "otlp")]));
        assert!(!are_enabled(&[(ENDPOINT, "http://collector:4318"), ("OTEL_TRACES_EXPORTER", "none")]));
        assert!(!are_enabled(&[(ENDPOINT, "http://collector:4318"), ("OTEL_SDK_DISABLED", "True")]));
    }

    #[test]
    fn unsupported_values_are_errors() {
        let error = settings(&[("OTEL_TRACES_EXPORTER", "zipkin")]).expect_err("unsupported");
        assert_eq!(error, "OTEL_TRACES_EXPORTER: `zipkin` is not supported; use otlp or none");
        let error =
            settings(&[(ENDPOINT, "http://c"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).expect_err("unsupported");
        assert_eq!(error, "OTEL_EXPORTER_OTLP_PROTOCOL: `grpc` is not supported; use http/protobuf");
        // Unused settings need not be valid.
        assert!(settings(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).is_ok());
    }

    #[test]
    fn a_given_service_name_is_kept() {
        let is_unnamed = |variables: &[(&str, &str)]| settings(variables).expect("right").is_unnamed;
        assert!(is_unnamed(&[]) && is_unnamed(&[("OTEL_RESOURCE_ATTRIBUTES", "a=b")]));
        assert!(!is_unnamed(&[("OTEL_SERVICE_NAME", "deployer")]));
        assert!(!is_unnamed(&[("OTEL_RESOURCE_ATTRIBUTES", "a=b,service.name=deployer")]));
    }
}
