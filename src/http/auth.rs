//! Authentication of clients: users with passwords (HTTP basic), and bearer tokens. An anonymous client is told whether the
//! process is up, without names or reasons, and nothing else.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::answer::Refused;
use super::page;
use crate::config::spec::{RestSpec, Secret};

/// The paths for probes of orchestrators, which have no credentials.
const OPEN: &[&str] = &["/health", "/health/live", "/health/ready"];

/// A request without credentials, where some would be needed for the whole answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anonymous;

/// The credentials that are accepted.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The credentials as they stand in the header, `USER:PASSWORD`.
    users: Arc<Vec<Secret>>,
    tokens: Arc<Vec<Secret>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} users, {} tokens)", self.users.len(), self.tokens.len())
    }
}

impl Credentials {
    /// Those of the settings; without any of them every client is let in.
    pub fn of(rest: &RestSpec) -> Self {
        let user = |(name, password): (&String, &Secret)| Secret::new(format!("{name}:{}", password.reveal()));
        Self {
            users: Arc::new(rest.users.iter().map(user).collect()),
            tokens: Arc::new(rest.tokens.values().cloned().collect()),
        }
    }

    pub(super) fn is_everybody(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty()
    }

    fn admits(&self, header: Option<&HeaderValue>) -> bool {
        let Some((scheme, given)) = header.and_then(|header| header.to_str().ok()?.trim().split_once(' ')) else {
            return false;
        };
        let given = given.trim();
        let is_among = |secrets: &[Secret], given: &[u8]| {
            // All are compared, so that time does not tell which one is nearest.
            secrets.iter().fold(false, |found, secret| found | is_same(secret.reveal().as_bytes(), given))
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            return is_among(&self.tokens, given.as_bytes());
        }
        let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(given).ok()).flatten();
        decoded.is_some_and(|decoded| is_among(&self.users, &decoded))
    }
}

/// Takes as long for a wrong beginning as for a wrong end.
fn is_same(known: &[u8], given: &[u8]) -> bool {
    let differences = known.iter().zip(given).fold(0, |differences, (one, other)| differences | (one ^ other));
    known.len() == given.len() && std::hint::black_box(differences) == 0
}

/// Refuses requests without credentials. Where there are tokens the page is given to everybody, without anything about this
/// worker: a browser has no other place to give a token in.
pub(super) async fn check(State(credentials): State<Credentials>, mut request: Request, next: Next) -> Response {
    let is_admitted = credentials.is_everybody() || credentials.admits(request.headers().get(AUTHORIZATION));
    if is_admitted || (!credentials.tokens.is_empty() && page::is_asked(&request)) {
        return next.run(request).await;
    }
    if OPEN.contains(&request.uri().path().trim_end_matches('/')) {
        request.extensions_mut().insert(Anonymous);
        return next.run(request).await;
    }
    let mut refused = Refused::new(StatusCode::UNAUTHORIZED, "User cannot access the resource.").into_response();
    let scheme = if credentials.users.is_empty() { "Bearer" } else { "Basic realm=\"rowtide\"" };
    refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_credentials_are_let_in() {
        let secrets = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, secret)| ((*name).to_owned(), Secret::new(*secret))).collect()
        };
        let rest = RestSpec {
            users: secrets(&[("alice", "a:b")]),
            tokens: secrets(&[("ci", "t0ken")]),
            ..RestSpec::default()
        };
        let credentials = Credentials::of(&rest);
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let admits = |header: &str| credentials.admits(Some(&HeaderValue::from_str(header).unwrap()));
        assert!(admits(&basic("alice:a:b")) && admits("bearer t0ken"));
        for wrong in [
            &basic("alice:a"),
            &basic("alice:"),
            &basic("alice:a:b "),
            &basic("bob:a:b"),
            "Bearer t0ke",
            "Bearer ",
            "Basic x",
            "t0ken",
            "",
        ] {
            assert!(!admits(wrong), "{wrong}");
        }
        assert!(!credentials.admits(None) && Credentials::of(&RestSpec::default()).is_everybody());
        assert!(!format!("{credentials:?}").contains("t0ken"));
    }
}
