//! Sends requests, follows redirects and limits the size of responses.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use reqwest::{Certificate, ClientBuilder, Identity, Method, RequestBuilder, StatusCode};
use url::{Origin, Url};

use crate::secret::Secret;

use super::proxy::{Proxy, ProxyCredentials};
use super::redirect::{RedirectError, RedirectHost, RedirectProblem, Route};
use super::resolver::{PrivateAddress, Resolver, limited};

/// Bodies up to this size, in bytes, are read even if nobody needs them: only then is the connection used again.
const DRAINED: u64 = 64 << 10;
/// The most origins that redirects lead to whose connections are kept open for further requests. A server can name any
/// number of them.
const KEPT_ORIGINS: usize = 32;

/// The certificate authorities that a client trusts.
#[derive(Debug, Clone, Default)]
pub enum Authorities {
    /// The system's.
    #[default]
    System,
    /// Only these.
    Only(Vec<Certificate>),
    /// The system's and these.
    Also(Vec<Certificate>),
}

/// How a client connects to servers.
#[derive(Clone, Default)]
pub struct Connections {
    /// The certificate authorities that it trusts.
    pub authorities: Authorities,
    /// The client certificate, and the only origin that it is shown to.
    pub certificate: Option<(Origin, Identity)>,
    /// The proxy.
    pub proxy: Proxy,
    /// The credentials for the proxy.
    pub proxy_credentials: Option<ProxyCredentials>,
}

/// A client for one server and whatever it redirects to. Clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    /// The client that shows a certificate, and the only origin that it connects to.
    certified: Option<(Origin, reqwest::Client)>,
    resolver: Resolver,
    timeout: Duration,
    allowed: Vec<RedirectHost>,
    /// The origins that redirects have led to, as far as their connections are kept open.
    kept_origins: Arc<Mutex<HashSet<Origin>>>,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: Url,
    /// Headers that any server may see.
    pub headers: HeaderMap,
    /// Headers that only the origin of the URL may see.
    pub secrets: HeaderMap,
    /// The body, which only that origin may see.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: Url) -> Request {
        Request { method, url, headers: HeaderMap::new(), secrets: HeaderMap::new(), body: None }
    }

    /// Adds a header that only the origin of the URL may see.
    ///
    /// # Errors
    /// The value contains a line break or another control character.
    pub fn with_secret(mut self, name: HeaderName, value: &Secret<String>) -> Result<Request, SendError> {
        let mut value = HeaderValue::from_str(value.expose())?;
        value.set_sensitive(true);
        self.secrets.insert(name, value);
        Ok(self)
    }
}

/// A response, including its body.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, which is no larger than the limit.
    pub body: Vec<u8>,
    /// The final URL, after redirects.
    pub url: Url,
    /// Whether a redirect left the origin of the request. The response is then to a request without secrets, and its
    /// challenges are not the server's.
    pub has_left: bool,
}

impl Response {
    /// The error for a response that requires credentials from a server that must not get them.
    pub fn wants_credentials_elsewhere(&self) -> Option<RedirectError> {
        let is_unauthorized = self.has_left && self.status == StatusCode::UNAUTHORIZED;
        is_unauthorized.then(|| RedirectError::new(&self.url, RedirectProblem::Credentials))
    }
}

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// A redirect must not be followed.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    /// The body is larger than the limit, in bytes.
    #[error("its body is larger than {0} bytes")]
    TooLarge(usize),
    /// A header has an invalid value. It is not repeated.
    #[error("a header contains a line break or another control character")]
    Header(#[from] InvalidHeaderValue),
    /// The connection failed or timed out.
    #[error(transparent)]
    Connection(#[from] reqwest::Error),
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("proxy", &self.proxy).finish_non_exhaustive()
    }
}

impl Connections {
    fn builder(&self, timeout: Duration, resolver: &Resolver) -> reqwest::Result<ClientBuilder> {
        let builder = super::builder(timeout).dns_resolver(resolver.clone());
        let builder = match self.authorities.clone() {
            Authorities::System => builder,
            Authorities::Only(certificates) => builder.tls_certs_only(certificates),
            Authorities::Also(certificates) => builder.tls_certs_merge(certificates),
        };
        self.proxy.set(builder, self.proxy_credentials.as_ref())
    }

    /// Connects to a server, which is the origin of the certificate if there is one, over HTTP/1.1 and just for the error. In
    /// TLS 1.3, a server refuses a certificate after the handshake, and HTTP/2 then reports no more than
    /// that the connection was closed.
    pub async fn refusal(&self, timeout: Duration, url: Url) -> Option<reqwest::Error> {
        debug_assert!(self.certificate.iter().all(|(origin, _)| *origin == url.origin()));
        let builder = self.builder(timeout, &Resolver::default()).ok()?.http1_only();
        let builder = match &self.certificate {
            Some((_, identity)) => builder.identity(identity.clone()),
            None => builder,
        };
        builder.build().ok()?.head(url).send().await.err()
    }
}

impl Client {
    /// Creates a client. Does not connect yet. Redirects may lead to the `allowed` hosts even if their addresses are
    /// private.
    ///
    /// # Errors
    /// There are no usable certificate authorities.
    pub fn new(timeout: Duration, authorities: Authorities, allowed: Vec<RedirectHost>) -> reqwest::Result<Client> {
        Client::with_connections(timeout, Connections { authorities, ..Connections::default() }, allowed)
    }

    /// Creates a client that ignores the proxy of the environment, for a server on this machine or on the link to it.
    ///
    /// # Errors
    /// There are no usable certificate authorities.
    pub fn without_proxy(timeout: Duration, authorities: Authorities) -> reqwest::Result<Client> {
        let connections = Connections { authorities, proxy: Proxy::Direct, ..Connections::default() };
        Client::with_connections(timeout, connections, Vec::new())
    }

    /// Creates a client that connects in its own way.
    ///
    /// # Errors
    /// There are no usable certificate authorities, or the proxy cannot be used.
    pub fn with_connections(
        timeout: Duration,
        connections: Connections,
        allowed: Vec<RedirectHost>,
    ) -> reqwest::Result<Client> {
        let resolver = Resolver::default();
        let http = connections.builder(timeout, &resolver)?.build()?;
        let certified = match &connections.certificate {
            Some((origin, identity)) => {
                let builder = connections.builder(timeout, &resolver)?;
                Some((origin.clone(), builder.identity(identity.clone()).build()?))
            }
            None => None,
        };
        Ok(Client { http, certified, resolver, timeout, allowed, kept_origins: Arc::default() })
    }

    /// Sends a request, follows redirects and reads the response, all within one timeout. With a limit of 0, the body
    /// is not returned.
    ///
    /// # Errors
    /// The server cannot be reached, redirects where it must not, or sends too much.
    pub async fn send(&self, request: &Request, limit: usize) -> Result<Response, SendError> {
        self.send_along(Route::new(request.url.clone()), request, limit).await
    }

    /// Sends a request of whose response only the status matters. The beginning of the body is read if it is an error.
    ///
    /// # Errors
    /// The server cannot be reached, or redirects where it must not.
    pub async fn send_for_status(&self, request: &Request, limit: usize) -> Result<Response, SendError> {
        let (response, has_left) = self.follow(Route::new(request.url.clone()), request).await?;
        if response.status().is_success() {
            return read(response, 0, has_left).await;
        }
        read_beginning(response, limit, has_left).await
    }

    /// Sends a request to a URL that a server named, such as that of a token server. It may lead no further than a
    /// redirect of that server.
    ///
    /// # Errors
    /// The same as for [`Client::send`].
    pub async fn send_as_redirected(&self, from: &Url, request: &Request, limit: usize) -> Result<Response, SendError> {
        let mut route = self.route(from);
        route.go_to(request.url.clone(), &self.allowed)?;
        self.send_along(route, request, limit).await
    }

    /// A route from a server, with what is known about its addresses.
    fn route(&self, from: &Url) -> Route {
        let mut route = Route::new(from.clone());
        note_reach(&mut route, &self.resolver);
        route
    }

    async fn send_along(&self, route: Route, request: &Request, limit: usize) -> Result<Response, SendError> {
        let (response, has_left) = self.follow(route, request).await?;
        read(response, limit, has_left).await
    }

    /// Sends a request, and follows redirects. Returns the response, and whether a redirect left the origin of the request.
    async fn follow(&self, mut route: Route, request: &Request) -> Result<(reqwest::Response, bool), SendError> {
        let end = Instant::now() + self.timeout;
        loop {
            let response = self.hop(&route, request, end).await?;
            note_reach(&mut route, &self.resolver);
            if route.follow(&request.method, response.status(), response.headers(), &self.allowed)? {
                drain(response).await;
                continue;
            }
            return Ok((response, !route.carries_secrets()));
        }
    }

    /// Returns whether the connection to a server that a redirect leads to is kept open.
    fn keeps_open(&self, url: &Url) -> bool {
        let mut kept = self.kept_origins.lock();
        let origin = url.origin();
        kept.contains(&origin) || kept.len() < KEPT_ORIGINS && kept.insert(origin)
    }

    /// Returns the client for the next request of a route. Connections that show the certificate are kept apart from all
    /// others.
    fn http_for(&self, route: &Route) -> &reqwest::Client {
        match &self.certified {
            Some((origin, certified)) if route.carries_secrets() && route.url().origin() == *origin => certified,
            _ => &self.http,
        }
    }

    /// Sends one request of a route.
    async fn hop(&self, route: &Route, request: &Request, end: Instant) -> Result<reqwest::Response, SendError> {
        let url = route.url();
        let mut builder =
            self.http_for(route).request(request.method.clone(), url.clone()).headers(request.headers.clone());
        builder = builder.timeout(end.saturating_duration_since(Instant::now()));
        if !route.is_at_origin() && !self.keeps_open(url) {
            builder = builder.header(CONNECTION, HeaderValue::from_static("close"));
        }
        if route.carries_secrets() {
            builder = builder.headers(request.secrets.clone());
            if let Some(body) = &request.body {
                builder = builder.body(body.clone());
            }
        }
        send_within(route, &self.allowed, builder).await.map_err(|error| match is_private(&error) {
            true => SendError::Redirect(RedirectError::new(url, RedirectProblem::Private)),
            false => SendError::Connection(error),
        })
    }
}

/// Takes note of the addresses of the first server, if that is where a route is.
pub fn note_reach(route: &mut Route, resolver: &Resolver) {
    let name = route.url().host_str().filter(|_| route.is_at_origin());
    if let Some(reach) = name.and_then(|name| resolver.reach(name)) {
        route.resolved(reach);
    }
}

/// Sends a request of a route, whose name may lead no further than the route may.
///
/// # Errors
/// The server cannot be reached.
pub async fn send_within(
    route: &Route,
    allowed: &[RedirectHost],
    request: RequestBuilder,
) -> reqwest::Result<reqwest::Response> {
    match (route.limit(allowed), route.url().host_str()) {
        (Some(reach), Some(name)) => limited(name.to_owned(), reach, request.send()).await,
        _ => request.send().await,
    }
}

/// Returns whether a connection failed because a name leads to a private address.
pub fn is_private(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<PrivateAddress>() || error.source().is_some_and(is_private)
}

async fn read(mut response: reqwest::Response, limit: usize, has_left: bool) -> Result<Response, SendError> {
    let (status, headers, url) = (response.status(), response.headers().clone(), response.url().clone());
    let mut body = Vec::new();
    if limit == 0 {
        drain(response).await;
        return Ok(Response { status, headers, body, url, has_left });
    }
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(SendError::TooLarge(limit));
    }
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Err(SendError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response { status, headers, body, url, has_left })
}

/// Reads a response whose body may be cut off, or break off: only its beginning is shown to people.
async fn read_beginning(mut response: reqwest::Response, limit: usize, has_left: bool) -> Result<Response, SendError> {
    let (status, headers, url) = (response.status(), response.headers().clone(), response.url().clone());
    let mut body = Vec::new();
    while body.len() < limit
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(limit);
    Ok(Response { status, headers, body, url, has_left })
}

/// Reads a small body to its end, so that the connection can be used again.
async fn drain(mut response: reqwest::Response) {
    let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_none_or(|length| length > DRAINED) {
        return;
    }
    while let Ok(Some(_)) = response.chunk().await {}
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use reqwest::dns::Resolve;

    use crate::http::reach::Reach;

    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
    }

    /// A server that closes every connection.
    fn closing() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || listener.incoming().take(4).for_each(drop));
        format!("http://localhost:{port}/")
    }

    /// Serves on all addresses of this machine, and redirects `/NUMBER` to another of them for each number. Counts the
    /// connections that the client leaves open.
    fn redirecting(open: Arc<AtomicUsize>) -> std::io::Result<u16> {
        let listener = TcpListener::bind("0.0.0.0:0")?;
        let port = listener.local_addr()?.port();
        let serve = move |stream: TcpStream, open: &AtomicUsize| -> std::io::Result<()> {
            let mut lines = BufReader::new(stream.try_clone()?).lines();
            while let Some(first) = lines.next() {
                let first = first?;
                let head: Vec<String> =
                    lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                let number: Option<u8> = first.split(['/', ' ']).nth(2).and_then(|number| number.parse().ok());
                let answer = match number {
                    Some(number) => format!("302 X\r\nLocation: http://127.0.1.{number}:{port}/\r\n"),
                    None => "200 X\r\n".to_owned(),
                };
                let is_closed = head.iter().any(|line| line.eq_ignore_ascii_case("connection: close"));
                open.fetch_add(usize::from(number.is_none() && !is_closed), Ordering::Relaxed);
                (&stream).write_all(format!("HTTP/1.1 {answer}Content-Length: 0\r\n\r\n").as_bytes())?;
            }
            Ok(())
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let open = Arc::clone(&open);
                std::thread::spawn(move || serve(stream, &open));
            }
        });
        Ok(port)
    }

    #[test]
    fn few_connections_to_servers_that_redirects_lead_to_are_kept_open() {
        let open = Arc::new(AtomicUsize::new(0));
        let port = redirecting(Arc::clone(&open)).expect("a port");
        let client = Client::new(Duration::from_secs(5), Authorities::Only(Vec::new()), Vec::new()).expect("a client");
        run(async {
            for number in 0..100 {
                let url = format!("http://127.0.0.1:{port}/{number}").parse().expect("a URL");
                let response = client.send(&Request::new(Method::GET, url), 0).await.expect("an answer");
                assert!(response.has_left);
            }
        });
        assert_eq!(open.load(Ordering::Relaxed), KEPT_ORIGINS);
    }

    #[test]
    fn a_name_is_checked_when_the_connection_is_made() {
        let client = Client::new(Duration::from_secs(5), Authorities::Only(Vec::new()), Vec::new()).expect("a client");
        let url = closing();
        let refused = |name: &str, reach| {
            let sent = run(async { limited(name.to_owned(), reach, client.http.get(&url).send()).await });
            is_private(&sent.expect_err("closed"))
        };
        assert!(refused("localhost", Reach::Public));
        assert!(refused("localhost", Reach::Private));
        assert!(!refused("localhost", Reach::Loopback));
        // The limit is for the name that a redirect leads to, not for that of a proxy.
        assert!(!refused("storage.example.com", Reach::Public));
    }

    #[test]
    fn the_reach_of_a_server_is_that_of_its_addresses() {
        let resolver = Resolver::default();
        let resolve = || resolver.resolve("localhost".parse().expect("a name"));
        let limited = run(limited("localhost".to_owned(), Reach::Public, async { resolve().await.is_ok() }));
        assert!(!limited);
        assert_eq!(resolver.reach("localhost"), None, "only servers that requests are for count");
        assert!(run(async { resolve().await }).is_ok());
        assert_eq!(resolver.reach("localhost"), Some(Reach::Loopback));
    }
}
