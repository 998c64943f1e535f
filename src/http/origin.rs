//! Requests that a page of another site makes a browser send. A browser adds the credentials that it has for this worker
//! whoever asks for it, so a change is taken only from the worker's own page. Other clients send neither header.

use axum::extract::Request;
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

/// Refuses changes that other sites ask for.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let is_admitted = request.extensions().get::<Admitted>().is_some();
    if only_reads || is_admitted || is_own(request.headers()) {
        return next.run(request).await;
    }
    Refused::new(StatusCode::FORBIDDEN, REFUSAL).into_response()
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
