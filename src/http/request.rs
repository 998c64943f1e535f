//! Extractors of a request: names in its path, its query, and its body. Every refusal has the form of all errors;
//! none of them quotes a body, which may hold passwords.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::Refused;

/// The largest body. Brokers take no larger record of a configuration by default.
const LARGEST: usize = 1_048_576;
/// The bytes of a body that is too large that are read before its connection is closed.
const MOST_READ: usize = 64 * LARGEST;
/// The time limit for a body.
const PATIENCE: Duration = Duration::from_secs(30);

/// The parts of a path, percent-decoded.
pub(super) struct At<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        // Percent signs without digits, and bytes that are no UTF-8.
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(found)| Self(found)).map_err(|_| Refused::plain(StatusCode::BAD_REQUEST))
    }
}

/// The query, pair by pair.
pub(super) struct Asked(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        query.map(|Query(pairs)| Self(pairs)).map_err(|_| Refused::plain(StatusCode::BAD_REQUEST))
    }
}

impl Asked {
    /// The values of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400 if it is none.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refused> {
        let Some(text) = self.all(name).next() else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Refused::bad(format!("`{name}` must be a whole number, zero or more")))
    }

    /// True if a parameter is `true` in any case; everything else is false, as in Java.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.all(name).next().is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// A body of JSON.
pub(super) struct Body(pub(super) Value);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        let (parts, body) = request.into_parts();
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        if header(CONTENT_TYPE).is_some_and(|kind| !is_json(kind)) {
            return Err(Refused::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let read = tokio::time::timeout(PATIENCE, bounded(body)).await;
        let bytes = read.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT)).map_err(Refused::plain)?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Refused::bad("The request has no body; JSON is expected"));
        }
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Self).map_err(|error| Refused::bad(format!("The body is not valid JSON: {error}")))
    }
}

/// The bytes of a body. One that is too large is read all the same, for a client that still sends hears nothing of an answer
/// whose connection is closed.
async fn bounded(body: axum::body::Body) -> Result<Vec<u8>, StatusCode> {
    let (mut chunks, mut bytes, mut seen) = (body.into_data_stream(), Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| StatusCode::BAD_REQUEST)?;
        seen += chunk.len();
        if seen > MOST_READ {
            break;
        }
        if seen <= LARGEST {
            bytes.extend_from_slice(&chunk);
        }
    }
    if seen > LARGEST { Err(StatusCode::PAYLOAD_TOO_LARGE) } else { Ok(bytes) }
}

fn is_json(kind: &str) -> bool {
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
