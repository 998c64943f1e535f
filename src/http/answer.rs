//! Answers: JSON bodies, and errors in the form of Kafka Connect's REST, `{"error_code":…,"message":…}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::sentences;
use crate::error::{Error, ErrorKind};
use crate::herder::HerderError;

/// A request that is refused, with the reason.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    message: String,
}

/// The answer of a resource.
pub(super) type Answer<T = Response> = Result<T, Refused>;

impl Refused {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The client's mistake.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// A status alone, in the words of Kafka Connect's server.
    pub(super) fn plain(status: StatusCode) -> Self {
        Self::new(status, format!("HTTP {status}"))
    }

    /// The same, but if there is no such connector, in the words of this path.
    pub(super) fn of(error: HerderError, not_found: impl FnOnce(&str) -> String) -> Self {
        match error {
            HerderError::NotFound(name) => Self::not_found(not_found(&name)),
            other => Self::from(other),
        }
    }
}

/// An error as messages tell it elsewhere: what, what to do, and the entry of its kind.
fn told(error: &Error) -> String {
    format!("{}\nwhat to do: {}\nmore: {}", error.report(), error.advice(), error.root_kind().reference())
}

impl From<HerderError> for Refused {
    fn from(error: HerderError) -> Self {
        let status = match &error {
            HerderError::NotFound(_) | HerderError::NoTable { .. } => StatusCode::NOT_FOUND,
            HerderError::Exists(_) | HerderError::NotRunning(..) | HerderError::Busy(_) => StatusCode::CONFLICT,
            HerderError::Invalid(report) => return Self::bad(sentences::refusal(report)),
            HerderError::NotStopped(_) => StatusCode::BAD_REQUEST,
            HerderError::Foreign(_) => StatusCode::FORBIDDEN,
            HerderError::Closing => StatusCode::SERVICE_UNAVAILABLE,
            HerderError::Wrong(error) => {
                return Self::bad(told(error));
            }
            HerderError::Failed(failure) => {
                let status = match failure.kind() {
                    ErrorKind::Refused | ErrorKind::Fenced => StatusCode::CONFLICT,
                    _ => StatusCode::INTERNAL_SERVER_ERROR,
                };
                return Self::new(status, told(failure));
            }
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({"error_code": self.status.as_u16(), "message": self.message});
        (self.status, Json(body)).into_response()
    }
}

/// 200 with a body.
pub(super) fn ok(body: Value) -> Response {
    Json(body).into_response()
}
