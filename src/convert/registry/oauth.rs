//! `bearer.auth.credentials.source=OAUTHBEARER`: tokens for the registry from an endpoint of OAuth 2, by client credentials.
//! A token is kept until shortly before its end, as Confluent's client does it, and asked for anew once the registry refuses
//! it. Its signature is the registry's business.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, ClientBuilder, Url};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::super::options::Options;
use super::failure::{Failure, innermost};
use super::tls;
use crate::error::{Error, Result};
use crate::setting::Secret;

/// The client's own name and secret, and where tokens are had for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    endpoint: Url,
    client: String,
    secret: Secret,
    scope: Option<String>,
    /// The time before a token's end at which another is asked for.
    buffer: Duration,
}

impl Credentials {
    /// Reads the settings `bearer.auth.*`.
    ///
    /// # Errors
    /// `Config` with the option's name.
    pub(super) fn parse(options: Options<'_>) -> Result<Self> {
        let needed = |name: &str| {
            options.get(name).ok_or_else(|| {
                Error::config(format!("{name} is missing, which bearer.auth.credentials.source=OAUTHBEARER needs"))
            })
        };
        const ENDPOINT: &str = "bearer.auth.issuer.endpoint.url";
        let endpoint = Url::parse(needed(ENDPOINT)?)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
            .filter(|url| url.username().is_empty() && url.password().is_none())
            .ok_or_else(|| {
                Error::config(format!("{ENDPOINT} is not an http:// or https:// address without a user")).advise(
                    "write the address that gives out tokens, https://HOST/oauth2/token; id and secret have keys of their own",
                )
            })?;
        Ok(Self {
            endpoint,
            client: needed("bearer.auth.client.id")?.to_owned(),
            secret: Secret::new(needed("bearer.auth.client.secret")?),
            scope: options.get("bearer.auth.scope").map(str::to_owned),
            buffer: Duration::from_secs(options.number("bearer.auth.cache.expiry.buffer.seconds", 300)?),
        })
    }
}

/// The tokens of one client of the registry: the present one, and the way to the next.
pub(super) struct Tokens {
    credentials: Credentials,
    client: Client,
    /// Held while one is asked for: all who need it wait for the same.
    present: Mutex<Option<Token>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Talks to nobody. `client` has the time limits.
    ///
    /// # Errors
    /// `Config` if the client cannot be made.
    pub(super) fn new(credentials: Credentials, client: ClientBuilder, tls: &tls::Settings) -> Result<Self> {
        let client = tls.apply(client.no_proxy())?.build().map_err(|error| {
            Error::config("the settings of the token endpoint's client cannot be used").caused_by(error.without_url())
        })?;
        Ok(Self { credentials, client, present: Mutex::new(None) })
    }

    /// The present token, or a new one.
    ///
    /// # Errors
    /// `Failure::Token`.
    pub(super) async fn bearer(&self) -> Result<Secret, Failure> {
        let mut present = self.present.lock().await;
        if let Some(token) = present.as_ref().filter(|token| Instant::now() < token.renewed_at) {
            return Ok(token.text.clone());
        }
        let token = self.fetch().await?;
        Ok(present.insert(token).text.clone())
    }

    /// Takes a token that the registry has refused for one that is over; a newer one stays.
    pub(super) async fn refused(&self, refused: &Secret) {
        let mut present = self.present.lock().await;
        if present.as_ref().is_some_and(|token| token.text == *refused) {
            *present = None;
        }
    }

    async fn fetch(&self) -> Result<Token, Failure> {
        let Credentials { endpoint, client, secret, scope, buffer } = &self.credentials;
        let failed = |status, message| Failure::Token { endpoint: endpoint.to_string(), status, message };
        let mut form = "grant_type=client_credentials".to_owned();
        if let Some(scope) = scope {
            form.push_str("&scope=");
            form.extend(utf8_percent_encode(scope, NON_ALPHANUMERIC));
        }
        let request = self.client.post(endpoint.clone()).basic_auth(client, Some(secret.reveal())).body(form);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (status, body) = super::answer(request.header(ACCEPT, "application/json"))
            .await
            .map_err(|error| failed(None, innermost(&error)))?;
        if !(200..300).contains(&status) {
            return Err(failed(Some(status), Refusal::of(&body)));
        }
        Token::of(&body, *buffer).map_err(|reason| failed(Some(status), reason.to_owned()))
    }
}

/// The certificates for the endpoint: `ssl.*` without the prefix `schema.registry.`, as in Confluent's client.
///
/// # Errors
/// `Config` if a file cannot be read, or is of a kind that is not supported.
pub(super) fn certificates(options: Options<'_>) -> Result<tls::Settings> {
    let own = options.0.iter().filter(|(key, _)| !key.starts_with("schema.registry."));
    tls::Settings::parse(Options(&own.map(|(key, value)| (key.clone(), value.clone())).collect()))
}

/// A token, and when it is taken for over.
#[derive(Debug)]
struct Token {
    text: Secret,
    renewed_at: Instant,
}

impl Token {
    /// Reads the endpoint's answer; its words are not shown, they hold the token.
    fn of(body: &[u8], buffer: Duration) -> Result<Self, &'static str> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: String,
            expires_in: Option<u64>,
        }
        /// A token's end and beginning: their distance is its life, whatever the clocks.
        #[derive(Deserialize)]
        struct Claims {
            exp: f64,
            iat: f64,
        }
        let answer: Answer = serde_json::from_slice(body).map_err(|_| "the answer is not JSON with access_token")?;
        let payload = answer.access_token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let claims: Option<Claims> = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
        let rest = match (answer.expires_in, claims) {
            (Some(seconds), _) => Duration::from_secs(seconds),
            (None, Some(claims)) => Duration::try_from_secs_f64(claims.exp - claims.iat).unwrap_or_default(),
            (None, None) => return Err("the token has no end: there is neither expires_in nor exp and iat in it"),
        };
        if rest.is_zero() {
            return Err("the token is over already");
        }
        Ok(Self { text: Secret::new(answer.access_token), renewed_at: Instant::now() + kept(rest, buffer) })
    }
}

/// The time for which a token is used that is good for `rest`: four fifths of it, and no longer than up to the buffer before
/// its end, if it is longer than that.
fn kept(rest: Duration, buffer: Duration) -> Duration {
    // A time that cannot be added to the clock helps nobody.
    let rest = rest.min(Duration::from_hours(24 * 365));
    let most = rest * 4 / 5;
    match rest.checked_sub(buffer) {
        Some(before) if !before.is_zero() => most.min(before),
        _ => most,
    }
}

/// The error of an endpoint, as OAuth 2 words it.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

impl Refusal {
    fn of(body: &[u8]) -> String {
        match serde_json::from_slice::<Self>(body) {
            Ok(Self { error, error_description: Some(more) }) => format!("{error}: {more}"),
            Ok(Self { error, error_description: None }) => error,
            Err(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUFFER: Duration = Duration::from_secs(300);

    #[test]
    fn a_token_is_renewed_before_its_end_and_a_short_one_after_four_fifths() {
        let seconds = |rest| kept(Duration::from_secs(rest), BUFFER).as_secs();
        assert_eq!((seconds(3_600), seconds(1_000), seconds(100), seconds(300)), (2_880, 700, 80, 240));
        assert_eq!(kept(Duration::MAX, BUFFER), Duration::from_hours(24 * 292));
    }

    fn token(body: &str) -> Result<Duration, &'static str> {
        let token = Token::of(body.as_bytes(), BUFFER)?;
        Ok(token.renewed_at - Instant::now())
    }

    #[test]
    fn the_end_of_a_token_is_that_of_the_answer_or_its_own() {
        let of = |claims: &str, more: &str| {
            let payload = URL_SAFE_NO_PAD.encode(claims);
            token(&format!(r#"{{"access_token":"x.{payload}.y"{more}}}"#)).map(|kept| kept.as_secs_f64().round())
        };
        assert_eq!(of(r#"{"sub":"rowtide","iat":5000,"exp":6000}"#, ""), Ok(700.0));
        assert_eq!(of(r#"{"sub":"rowtide","iat":5000,"exp":6000}"#, r#","expires_in":100"#), Ok(80.0));
        assert!(of(r#"{"iat":5000,"exp":5000}"#, "").unwrap_err().contains("over already"));
        assert!(of(r#"{"exp":5000}"#, "").unwrap_err().contains("no end"));
        assert!(token(r#"{"access_token":"opaque"}"#).unwrap_err().contains("no end"));
        assert!(token("<html>").unwrap_err().contains("access_token"));
    }

    #[test]
    fn an_endpoint_s_refusal_is_told_in_its_words() {
        assert_eq!(Refusal::of(br#"{"error":"invalid_client","error_description":"who?"}"#), "invalid_client: who?");
        assert_eq!(Refusal::of(br#"{"error":"invalid_scope"}"#), "invalid_scope");
        assert_eq!(Refusal::of(b"<html>"), "");
    }
}
