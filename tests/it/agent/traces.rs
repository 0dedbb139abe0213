//! If the environment names a collector, every cycle is one trace there; if not, nothing is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::support::infra::Stage;
use crate::support::tagalong::{command, finished};

const TOKEN: &str = "canary-of-a-collector-token-6107";

/// The requests that reached the collector: headers and body.
type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A collector on loopback.
struct Collector {
    runtime: tokio::runtime::Runtime,
    address: String,
    received: Received,
}

impl Collector {
    fn start(status: StatusCode) -> Collector {
        let received = Received::default();
        let take = move |State(received): State<Received>, headers: HeaderMap, body: Bytes| async move {
            received.lock().expect("unpoisoned").push((headers, body));
            status
        };
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&received));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Collector { runtime, address, received }
    }

    fn received(&self) -> Vec<(HeaderMap, Bytes)> {
        self.received.lock().expect("unpoisoned").clone()
    }

    /// Shuts it down, so that connections are refused from now on.
    fn end(self) -> String {
        self.runtime.shutdown_background();
        self.address
    }
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn attributes(span: &Span) -> BTreeMap<String, String> {
    let pairs = span.attributes.iter().cloned();
    pairs.map(|pair| (pair.key, text(pair.value.and_then(|value| value.value)))).collect()
}

fn stage() -> Stage {
    let stage = Stage::new(&[("app.yaml", "image: HOST/org/app:aaaaaa1\n")]);
    stage.registry.push("org/app", "aaaaaa1", "2026-04-01T10:00:00Z");
    stage.registry.push("org/app", "bbbbbb2", "2026-04-02T10:00:00Z");
    stage
}

fn sync(stage: &Stage) -> Command {
    let config = stage.config_with("traced.yaml", "");
    let mut command = command(stage.home());
    command.args(["sync", "--config"]).arg(config);
    command
}

#[test]
fn a_cycle_is_one_trace() {
    let (collector, stage) = (Collector::start(StatusCode::OK), stage());
    let mut sync = sync(&stage);
    sync.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address)
        .env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer {TOKEN}"))
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");
    let run = finished(sync.output().expect("it starts")).ok();
    assert!(!format!("{run:?}").contains(TOKEN), "{run:#?}");
    assert!(stage.origin.read("app.yaml").ends_with("bbbbbb2\n"));

    let received = collector.received();
    assert!(!received.is_empty());
    let mut spans = Vec::new();
    for (headers, body) in &received {
        assert_eq!(headers["authorization"], format!("Bearer {TOKEN}"));
        let request = ExportTraceServiceRequest::decode(body.clone()).expect("OTLP");
        for of_resource in request.resource_spans {
            let resource = of_resource.resource.expect("a resource").attributes.into_iter();
            let resource: BTreeMap<String, String> =
                resource.map(|pair| (pair.key, text(pair.value.and_then(|value| value.value)))).collect();
            assert_eq!(resource["service.name"], "tagalong");
            assert_eq!(resource["deployment.environment.name"], "test");
            spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    let traces: BTreeSet<&Vec<u8>> = spans.iter().map(|span| &span.trace_id).collect();
    assert_eq!(traces.len(), 1, "{spans:#?}");
    let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    for name in ["run", "fetch", "scan", "verify", "push", "GET", "HEAD"] {
        assert!(names.contains(name), "no {name} in {names:?}");
    }
    // All of them are below the cycle's span.
    let by_id: BTreeMap<&Vec<u8>, &Span> = spans.iter().map(|span| (&span.span_id, span)).collect();
    for span in &spans {
        let mut outermost = span;
        while let Some(parent) = by_id.get(&outermost.parent_span_id) {
            outermost = parent;
        }
        assert_eq!(outermost.name, "run", "{span:#?}");
    }
    let listing =
        spans.iter().find(|span| attributes(span).get("url.path").is_some_and(|path| path.ends_with("/tags/list")));
    let listing = attributes(listing.expect("a listing"));
    assert_eq!((&*listing["http.request.method"], &*listing["http.response.status_code"]), ("GET", "200"));
    assert_eq!(listing["server.address"], stage.registry.host());
}

#[test]
fn a_failing_collector_is_reported_once_and_delays_nothing() {
    for status in [Some(StatusCode::UNAUTHORIZED), None] {
        let (collector, stage) = (Collector::start(status.unwrap_or_default()), stage());
        let (address, alive) = match status {
            Some(_) => (collector.address.clone(), Some(collector)),
            None => (collector.end(), None),
        };
        let mut sync = sync(&stage);
        sync.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{address}/v1/traces"))
            .env("OTEL_EXPORTER_OTLP_TRACES_HEADERS", format!("x-token={TOKEN}"));
        let run = finished(sync.output().expect("it starts")).ok();
        assert!(stage.origin.read("app.yaml").ends_with("bbbbbb2\n"));
        assert_eq!(run.stderr.matches("cannot send traces to the OpenTelemetry collector").count(), 1, "{run:#?}");
        assert!(!run.stderr.contains(TOKEN), "{run:#?}");
        drop(alive);
    }
}

#[test]
fn traces_are_opt_in_and_unsupported_settings_are_rejected() {
    let (collector, stage) = (Collector::start(StatusCode::OK), stage());
    let mut off = sync(&stage);
    off.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address).env("OTEL_SDK_DISABLED", "true");
    finished(off.output().expect("it starts")).ok();
    assert!(collector.received().is_empty());
    let mut grpc = sync(&stage);
    grpc.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let run = finished(grpc.output().expect("it starts")).fails_with(2);
    assert!(run.stderr.contains("OTEL_EXPORTER_OTLP_PROTOCOL: `grpc` is not supported"), "{run:#?}");
}
