//! The HTTP server of the agent: health, metrics and status.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use maud::Markup;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::fault::Explain;

use super::metrics::Metrics;
use super::metrics::exposition::Format;
use super::page::view::View;
use super::query::{Query, QueryError, Sizes};
use super::snapshot::SnapshotStore;
use super::summary::Summary;
use super::{connections, page, summary};

/// Pages may only load their own style sheet, script and icon, and send forms and requests to the agent.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const PAGE_HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

#[derive(Clone)]
struct AppState {
    snapshots: Arc<SnapshotStore>,
    metrics: Arc<Metrics>,
}

/// Returns the routes for health, metrics and status. Further routes are merged with them.
pub fn router(snapshots: Arc<SnapshotStore>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/", get(overview))
        .route("/stages", get(stages))
        .route("/timeline", get(timeline))
        .route("/images/{*name}", get(image))
        .route("/status", get(summary))
        .route("/style.css", get(async || asset("text/css; charset=utf-8", page::STYLE)))
        .route("/page.js", get(async || asset("text/javascript; charset=utf-8", page::SCRIPT)))
        .route("/icon.svg", get(async || asset("image/svg+xml", page::ICON)))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics_text))
        .with_state(AppState { snapshots, metrics })
}

/// Serves until `stop`, in a task of its own. Returns the address, with the port if the system chose one.
///
/// # Errors
/// The address cannot be used.
pub async fn serve(address: SocketAddr, router: Router, stop: CancellationToken) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(connections::serve(listener, router, stop));
    Ok(address)
}

async fn overview(State(app): State<AppState>, RawQuery(raw): RawQuery) -> Response {
    with_query(&app, raw.as_deref(), page::images::SIZES, page::overview)
}

async fn stages(State(app): State<AppState>, RawQuery(raw): RawQuery) -> Response {
    with_query(&app, raw.as_deref(), page::stages::SIZES, page::stages)
}

async fn timeline(State(app): State<AppState>, RawQuery(raw): RawQuery) -> Response {
    with_query(&app, raw.as_deref(), page::timeline::SIZES, page::timeline)
}

async fn image(State(app): State<AppState>, Path(name): Path<String>, address: Uri) -> Response {
    let snapshot = app.snapshots.snapshot();
    // As browsers count the folders, whatever was decoded in the name.
    let depth = address.path().matches('/').count().saturating_sub(1);
    match page::image(&View::new(&snapshot, clock::now(), depth), &name) {
        Ok(found) => shown(StatusCode::OK, found),
        Err(unknown) => shown(StatusCode::NOT_FOUND, unknown),
    }
}

/// Shows a page with what a query asks for. An invalid query is an error that the page explains.
fn with_query(
    app: &AppState,
    raw: Option<&str>,
    sizes: Sizes,
    page: fn(&View, &Result<Query, QueryError>) -> Markup,
) -> Response {
    let (query, snapshot) = (Query::parse(raw, sizes), app.snapshots.snapshot());
    let status = if query.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    shown(status, page(&View::new(&snapshot, clock::now(), 0), &query))
}

fn shown(status: StatusCode, page: Markup) -> Response {
    (status, PAGE_HEADERS, Html(page.into_string())).into_response()
}

async fn summary(State(app): State<AppState>, RawQuery(raw): RawQuery) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    match Query::parse(raw.as_deref(), summary::SIZES) {
        Ok(query) => {
            let snapshot = app.snapshots.snapshot();
            let summary = Summary::of(&snapshot, query);
            (headers, [(header::LINK, summary.links())], Json(summary)).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, headers, Json(ErrorBody::of(&error))).into_response(),
    }
}

/// The error for an invalid query, for scripts and their authors.
#[derive(Serialize)]
struct ErrorBody {
    error: String,
    help: Option<String>,
}

impl ErrorBody {
    fn of(error: &QueryError) -> ErrorBody {
        ErrorBody { error: error.to_string(), help: error.help() }
    }
}

fn asset(kind: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A newer agent has a newer one.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}

async fn health(State(app): State<AppState>) -> Response {
    answer(app.snapshots.health(Instant::now()))
}

async fn readiness(State(app): State<AppState>) -> Response {
    answer(app.snapshots.readiness())
}

async fn metrics_text(State(app): State<AppState>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::preferred(accept);
    ([(header::CONTENT_TYPE, format.media_type())], format.convert(app.metrics.encode())).into_response()
}

fn answer(state: Result<(), String>) -> Response {
    match state {
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
