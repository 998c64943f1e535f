//! A connector as the answer to what was done with it.

use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::HttpState;
use super::answer::{Answer, ok};
use super::view::raw;

/// The characters that are not encoded in a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// 201 with the connector and where it is.
pub(super) fn created(state: &HttpState, name: &str) -> Answer {
    let location = format!("{}/connectors/{}", state.view.base, utf8_percent_encode(name, SEGMENT));
    Ok((StatusCode::CREATED, [(LOCATION, location)], shown(state, name)?).into_response())
}

/// The connector, as it is now.
pub(super) fn shown(state: &HttpState, name: &str) -> Answer {
    let (document, info) = (state.herder.config(name)?, state.herder.status(name)?);
    Ok(ok(state.view.info(&info, &raw(&document))))
}
