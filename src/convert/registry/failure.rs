//! Failures of a call to the registry, classified once: by HTTP status, since the codes in the body differ between
//! products and releases.

use std::error::Error as StdError;

use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::RawError;

use crate::error::{Error, ErrorKind};

/// The longest server message that is repeated.
const MESSAGE_CHARS: usize = 600;

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The registry answered with an error.
    Status {
        status: u16,
        /// `error_code` of the body; 0 if it has none.
        code: u32,
        message: String,
    },
    /// No answer.
    Network(String),
    /// An answer that is not a registry's.
    Malformed(String),
    /// No token to show to the registry: the endpoint that gives them out did not answer (no status), or not with one.
    Token { endpoint: String, status: Option<u16>, message: String },
}

impl Failure {
    /// The failure of an error response.
    pub(super) fn of_status(status: u16, body: &[u8]) -> Self {
        #[derive(serde::Deserialize)]
        struct Body {
            #[serde(default)]
            error_code: u32,
            #[serde(default)]
            message: String,
        }
        let body: Body = serde_json::from_slice(body).unwrap_or(Body { error_code: 0, message: String::new() });
        Failure::Status { status, code: body.error_code, message: shortened(&body.message) }
    }

    /// The failure of an error of the HTTP client.
    pub(super) fn of_request(error: &reqwest::Error) -> Self {
        if error.is_decode() { Failure::Malformed(innermost(error)) } else { Failure::Network(innermost(error)) }
    }

    /// The failure of an error of the registry crate, which keeps the status in its message only.
    pub(super) fn of_client(error: &SRCError) -> Self {
        let source = error.source();
        if let Some(status) = error.error.split("failed with status ").nth(1) {
            let status = status.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
            let body = source.and_then(|source| source.downcast_ref::<RawError>());
            let (code, message) = body.map_or((0, String::new()), |body| (body.error_code, shortened(&body.message)));
            return Failure::Status { status, code, message };
        }
        match source.and_then(|source| source.downcast_ref::<reqwest::Error>()) {
            Some(cause) => Failure::of_request(cause),
            None => Failure::Malformed(error.error.clone()),
        }
    }

    /// True if the same call may succeed later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Failure::Network(_) => true,
            Failure::Malformed(_) => false,
            Failure::Status { status, .. } => may_pass(*status),
            Failure::Token { status, .. } => status.is_none_or(may_pass),
        }
    }

    /// The subject, version or schema does not exist. An error page that is not the registry's is not it.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Failure::Status { status: 404, code, .. } if !is_wrong_address(*code))
    }

    /// True if the registry refused the schema for its compatibility rule.
    pub(super) fn is_incompatible(&self) -> bool {
        matches!(self, Failure::Status { status: 409, .. })
    }

    /// The error of the house; the caller adds the subject.
    pub(super) fn into_error(self, registry: &str) -> Error {
        let cause = |error: Error, text: String| if text.is_empty() { error } else { error.caused_by(text) };
        let error = match self {
            Failure::Network(text) => {
                cause(Error::new(ErrorKind::Registry, "the schema registry cannot be reached"), text)
            }
            Failure::Malformed(text) => cause(
                Error::new(ErrorKind::RegistryRefused, "the answer is not a schema registry's")
                    .advise("check schema.registry.url, its path included (Apicurio's is /apis/ccompat/v7)"),
                text,
            ),
            Failure::Status { status: 404, code, .. } if is_wrong_address(code) => {
                Error::new(ErrorKind::RegistryRefused, "there is no schema registry at the address (status 404)")
                    .advise("check schema.registry.url, its path included (Apicurio's is /apis/ccompat/v7)")
            }
            Failure::Status { status, code, message } => cause(of_status(status, code), message),
            Failure::Token { endpoint, status, message } => {
                cause(without_token(status), message).with("token endpoint", endpoint)
            }
        };
        error.with("registry", registry)
    }
}

/// A 404 for the path instead of for what it names, which has a code of five digits.
fn is_wrong_address(code: u32) -> bool {
    matches!(code, 0 | 404)
}

fn of_status(status: u16, code: u32) -> Error {
    match status {
        401 => Error::new(ErrorKind::Auth, "the schema registry refused the credentials (status 401)")
            .advise("check basic.auth.credentials.source and basic.auth.user.info, or the bearer token, of the converter"),
        403 => Error::new(ErrorKind::Auth, "the schema registry does not allow it (status 403)")
            .advise("give the registry's user read and write on the subject, or register the schema beforehand and set auto.register.schemas=false"),
        408 | 429 | 500.. => Error::new(ErrorKind::Registry, format!("the schema registry failed (status {status})")),
        409 => Error::new(ErrorKind::IncompatibleSchema, "the new schema is not compatible with the subject's"),
        404 => Error::new(ErrorKind::RegistryRefused, "the schema registry does not know it (status 404)"),
        422 if code == 42205 => Error::new(ErrorKind::RegistryRefused, "the schema registry takes no schemas in its mode (status 422)")
            .advise("set the mode of the registry or the subject to READWRITE, or register the schema beforehand and set auto.register.schemas=false"),
        _ => Error::new(ErrorKind::RegistryRefused, format!("the schema registry refused the request (status {status})")),
    }
}

fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

fn without_token(status: Option<u16>) -> Error {
    match status {
        None => Error::new(ErrorKind::Registry, "the endpoint that gives out tokens for the schema registry cannot be reached")
            .advise("check bearer.auth.issuer.endpoint.url; where its certificate is not trusted, ssl.truststore.location of the converter, without schema.registry."),
        Some(status) if may_pass(status) => {
            Error::new(ErrorKind::Registry, format!("the endpoint that gives out tokens for the schema registry failed (status {status})"))
        }
        Some(200..300) => Error::new(ErrorKind::Auth, "the endpoint of the tokens for the schema registry gave none that can be used")
            .advise("check bearer.auth.issuer.endpoint.url: it is the address of tokens, not of the server that gives them out"),
        Some(status) => Error::new(ErrorKind::Auth, format!("the endpoint gives out no token for the schema registry (status {status})"))
            .advise("check bearer.auth.client.id, bearer.auth.client.secret and bearer.auth.scope of the converter"),
    }
}

/// The cause at the bottom says what happened; those above repeat the address and the call.
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    match cause.downcast_ref::<reqwest::Error>() {
        Some(request) if request.is_timeout() => "timed out".to_owned(),
        _ => shortened(&cause.to_string()),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_CHARS) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text.to_owned(),
    }
}
