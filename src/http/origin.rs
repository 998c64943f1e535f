//! Requests that a page of another site makes a browser send. Where everybody on this machine is let in, a page whose name
//! leads to this machine (DNS rebinding) would be one of them: there the header Host must name this machine, as only its own
//! pages do.
//! A browser adds the credentials that it has for this worker
//! whoever asks for it, so a change is taken only from the worker's own page. Other clients send neither header.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Refused;
use super::cors::Admitted;

/// The header by which browsers say whose page asks; only on TLS and on the own machine.
const SITE: &str = "sec-fetch-site";

const REFUSAL: &str = "The request comes from a page of another site, and would change something. If the page is this \
                       worker's own, the proxy in front of it must pass on the header Host";

const FOREIGN_NAME: &str = "The request names another host than this machine, and a listener on the own machine without \
                            credentials answers no other name. Ask for localhost; for a proxy in front of it set \
                            rest.advertised.host.name to the name that it passes on, or set rest.auth.basic.USER or \
                            rest.auth.bearer.NAME";

/// Refuses changes that other sites ask for.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let is_admitted = request.extensions().get::<Admitted>().is_some();
    if only_reads || is_admitted || is_own(request.headers()) {
        return next.run(request).await;
    }
    Refused::new(StatusCode::FORBIDDEN, REFUSAL).into_response()
}

/// The names under which a listener may be asked; none where whoever asks is known, or other machines can ask anyway.
#[derive(Debug, Clone)]
pub(super) struct Hosts(Option<Arc<str>>);

impl Hosts {
    /// Any name.
    pub(super) fn any() -> Self {
        Self(None)
    }

    /// Those of this machine, and that of `HOST:PORT`.
    pub(super) fn of_this_machine(advertised: &str) -> Self {
        Self(Some(name_of(advertised).into()))
    }

    /// True if a header Host, where there is one, names this machine. An address is no name that could lead elsewhere.
    fn admit(&self, headers: &HeaderMap) -> bool {
        let (Some(own), Some(host)) = (&self.0, headers.get(HOST)) else { return true };
        let Ok(host) = host.to_str() else { return false };
        let name = name_of(host);
        let is_local = |name: &str| name == "localhost" || name.ends_with(".localhost");
        name.parse::<IpAddr>().is_ok() || is_local(&name.to_ascii_lowercase()) || name.eq_ignore_ascii_case(own)
    }
}

/// The name in `NAME:PORT`, or the address in `[ADDRESS]:PORT`.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// Refuses requests under a name that is not this machine's.
pub(super) async fn check_host(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    if hosts.admit(request.headers()) {
        return next.run(request).await;
    }
    Refused::new(StatusCode::FORBIDDEN, FOREIGN_NAME).into_response()
}

/// True if no browser sends it, or for the worker's own page.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(site) = text(SITE) {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(ORIGIN.as_str()) else { return true };
    let (_, asking) = origin.split_once("://").unwrap_or(("", origin));
    text(HOST.as_str()).is_some_and(|host| host.eq_ignore_ascii_case(asking))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_name_that_only_leads_here_is_not_answered_where_everybody_is_let_in() {
        let admitted = |hosts: &Hosts, host: &'static str| {
            hosts.admit(&HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]))
        };
        let hosts = Hosts::of_this_machine("Rowtide.internal:8083");
        for host in ["localhost:8083", "LOCALHOST", "a.localhost:1", "127.0.0.1:8083", "[::1]:8083", "rowtide.Internal"]
        {
            assert!(admitted(&hosts, host), "{host}");
        }
        for host in ["evil.example:8083", "localhost.evil.example", "", "127.0.0.1.evil.example", "notlocalhost"] {
            assert!(!admitted(&hosts, host), "{host}");
        }
        assert!(hosts.admit(&HeaderMap::new()), "HTTP/1.0 has none");
        assert!(admitted(&Hosts::any(), "evil.example"));
    }

    #[test]
    fn other_sites_change_nothing() {
        let own = |given: &[(&'static str, &'static str)]| {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            is_own(&given.iter().map(pair).collect())
        };
        assert!(own(&[("host", "h:8083")]), "curl");
        assert!(own(&[("sec-fetch-site", "same-origin"), ("origin", "https://proxy"), ("host", "inner:8083")]));
        assert!(own(&[("origin", "http://H:8083"), ("host", "h:8083")]));
        for site in ["cross-site", "same-site"] {
            assert!(!own(&[("sec-fetch-site", site), ("host", "h:8083")]), "{site}");
        }
        for origin in ["http://evil.example", "null", "http://h:8084", ""] {
            assert!(!own(&[("origin", origin), ("host", "h:8083")]), "{origin}");
        }
    }
}
