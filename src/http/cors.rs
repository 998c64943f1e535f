//! CORS: scripts of pages from other origins may ask, where `access.control.allow.origin` names these
//! (Kafka Connect's `access.control.*`). Without it no header of CORS is sent, and browsers let none ask.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, HeaderMap,
    HeaderValue, ORIGIN, VARY,
};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::spec::CorsSpec;

/// The methods where none are named.
const METHODS: &[&str] = &["GET", "POST", "HEAD"];
/// The headers that a script may set.
const HEADERS: HeaderValue = HeaderValue::from_static("X-Requested-With,Content-Type,Accept,Origin,Authorization");
/// The seconds for which a browser need not ask again.
const AGE: HeaderValue = HeaderValue::from_static("1800");

/// A request from an origin that may ask for changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admitted;

/// The origins that may ask, and by which methods.
#[derive(Debug, Clone, Default)]
pub struct Cors(Arc<CorsSpec>);

impl Cors {
    /// As the settings have it.
    pub fn of(spec: &CorsSpec) -> Self {
        Self(Arc::new(spec.clone()))
    }

    fn is_any(&self) -> bool {
        self.0.origins.iter().any(|origin| origin == "*")
    }

    /// True if an origin may ask; a name may begin with `*.`, for all below it.
    fn admits(&self, origin: &str) -> bool {
        let is_one = |known: &String| match known.split_once("://*.") {
            Some((scheme, domain)) => origin.split_once("://").is_some_and(|(of, host)| {
                of.eq_ignore_ascii_case(scheme)
                    && host.len() > domain.len()
                    && host.to_ascii_lowercase().ends_with(&format!(".{}", domain.to_ascii_lowercase()))
            }),
            None => known.eq_ignore_ascii_case(origin),
        };
        self.is_any() || self.0.origins.iter().any(is_one)
    }

    fn methods(&self) -> String {
        if self.0.methods.is_empty() { METHODS.join(",") } else { self.0.methods.join(",") }
    }

    fn allows(&self, method: &str) -> bool {
        self.methods().split(',').any(|known| known.eq_ignore_ascii_case(method))
    }

    /// True if an origin that may ask may also change something. Where everybody may ask, a password may be one that the
    /// browser has added by itself.
    fn lets_change(&self, headers: &HeaderMap) -> bool {
        let scheme = headers.get(AUTHORIZATION).and_then(|given| given.to_str().ok()).unwrap_or_default();
        !self.is_any() || !scheme.trim().to_ascii_lowercase().starts_with("basic")
    }

    /// The headers for an origin that may ask.
    fn mark(&self, headers: &mut HeaderMap, origin: HeaderValue) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if !self.is_any() {
            headers.append(VARY, HeaderValue::from_static("Origin"));
            // Where everybody may ask, nobody's stored password is sent along.
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

/// Answers the question of a browser whether it may ask, and marks other answers.
pub(super) async fn check(State(cors): State<Cors>, mut request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let Some(origin) = origin.filter(|origin| origin.to_str().is_ok_and(|origin| cors.admits(origin))) else {
        return next.run(request).await;
    };
    let asked = request.headers().get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| request.method() == Method::OPTIONS);
    let Some(asked) = asked else {
        if cors.lets_change(request.headers()) {
            request.extensions_mut().insert(Admitted);
        }
        let mut response = next.run(request).await;
        cors.mark(response.headers_mut(), origin);
        return response;
    };
    let mut response = StatusCode::OK.into_response();
    if asked.to_str().is_ok_and(|method| cors.allows(method)) {
        let headers = response.headers_mut();
        cors.mark(headers, origin);
        headers.insert(ACCESS_CONTROL_MAX_AGE, AGE);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        if let Ok(methods) = HeaderValue::from_str(&cors.methods()) {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_that_are_named_may_ask() {
        let cors = |origins: &[&str]| {
            Cors::of(&CorsSpec {
                origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
                methods: Vec::new(),
            })
        };
        let some = cors(&["https://a.example", "http://*.b.example"]);
        for (origin, is_admitted) in [
            ("https://a.example", true),
            ("https://A.example", true),
            ("http://a.example", false),
            ("https://a.example.evil", false),
            ("http://x.b.example", true),
            ("https://x.b.example", false),
            ("http://b.example", false),
            ("http://evilb.example", false),
            ("null", false),
        ] {
            assert_eq!(some.admits(origin), is_admitted, "{origin}");
        }
        assert!(cors(&["*"]).admits("null") && !Cors::default().admits("https://a.example"));
        assert!(some.allows("get") && !some.allows("DELETE"));
    }
}
