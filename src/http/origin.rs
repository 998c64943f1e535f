//! Requests that a page of another site makes a browser send. A browser adds the credentials that it has for this worker
//! whoever asks for it, so a change is taken only from the worker's own page. Other clients send neither header.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Refused;
use super::cors::Cors;

/// The header by which browsers say whose page asks; only on TLS and on the own machine.
const SITE: &str = "sec-fetch-site";

const REFUSAL: &str = "The request comes from a page of another site, and would change something. If the page is this \
                       worker's own, the proxy in front of it must pass on the header Host";

/// Refuses changes that other sites ask for, if they are not let in by name.
pub(super) async fn check(State(cors): State<Cors>, request: Request, next: Next) -> Response {
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if only_reads || is_own(request.headers()) || is_let_in(&cors, request.headers()) {
        return next.run(request).await;
    }
    Refused::new(StatusCode::FORBIDDEN, REFUSAL).into_response()
}

/// True if CORS lets the other site ask. Where it lets everybody ask, a password that the browser has stored, which it sends
/// along by itself, counts for nothing.
fn is_let_in(cors: &Cors, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let is_stored = || text(AUTHORIZATION).is_some_and(|credentials| credentials.starts_with("Basic"));
    text(ORIGIN).is_some_and(|origin| cors.admits(origin)) && !(cors.is_any() && is_stored())
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
    use axum::http::HeaderName;

    use super::*;
    use crate::config::spec::CorsSpec;

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
    #[test]
    fn a_site_that_is_let_in_may_change_things_and_by_a_stored_password_only_if_it_is_named() {
        let cors = |origin: &str| Cors::of(&CorsSpec { origins: vec![origin.to_owned()], methods: Vec::new() });
        let headers = |credentials: Option<&'static str>| {
            let mut headers = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static("https://a.example"))]);
            headers.extend(credentials.map(|text| (AUTHORIZATION, HeaderValue::from_static(text))));
            headers
        };
        let (bare, basic, bearer) = (headers(None), headers(Some("Basic YTpi")), headers(Some("Bearer t")));
        for (origin, let_in) in [
            ("https://a.example", [true, true, true]),
            ("*", [true, false, true]),
            ("https://b.example", [false, false, false]),
        ] {
            assert_eq!([&bare, &basic, &bearer].map(|headers| is_let_in(&cors(origin), headers)), let_in, "{origin}");
        }
    }
}
