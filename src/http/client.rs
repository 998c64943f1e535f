//! A client of the REST of another process, by which the command line changes what that process holds. The credentials are
//! those of the worker's own settings, or of the URL.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Certificate, Method, Url};
use serde_json::Value;

use crate::config::spec::RestSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::tls::{Certificates, Input};

/// The REST of one process.
pub struct Client {
    base: Url,
    client: reqwest::Client,
    user: Option<(String, String)>,
    token: Option<String>,
    timeout: Duration,
}

impl Client {
    /// A client of a URL. Contacts nobody.
    ///
    /// # Errors
    /// `Config` if it is none, or a trust store cannot be read.
    pub fn new(url: &str, rest: &RestSpec, timeout: Duration) -> Result<Self> {
        let wrong = || Error::config("--url is no http:// or https:// address").advise("give http://host:port");
        let mut base = Url::parse(url).map_err(|_| wrong())?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(wrong());
        }
        let of_url = (base.username().to_owned(), base.password().unwrap_or_default().to_owned());
        // Shown in messages from here on.
        let _ = (base.set_username(""), base.set_password(None));
        let of_settings = rest.users.iter().next().map(|(name, secret)| (name.clone(), secret.reveal().to_owned()));
        let user = if of_url.0.is_empty() { of_settings } else { Some(of_url) };
        let token = rest.tokens.values().next().map(|token| token.reveal().to_owned()).filter(|_| user.is_none());
        let mut builder = reqwest::Client::builder().no_proxy();
        if let Some(certificates) = trusted(&rest.ssl)? {
            builder = builder.tls_certs_merge(certificates);
        }
        let client =
            builder.build().map_err(|error| Error::internal("the HTTP client cannot be made").caused_by(error))?;
        Ok(Self { base, client, user, token, timeout })
    }

    /// One request; the JSON of its answer.
    ///
    /// # Errors
    /// `Unreachable` without an answer, `Config` and `Refused` with the message of the one that is asked.
    pub async fn call(&self, method: &str, path: &[&str], body: Option<&Value>) -> Result<Value> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| Error::internal("no method of HTTP"))?;
        let mut request = self.client.request(method, url).timeout(self.timeout);
        if let Some((name, password)) = &self.user {
            request = request.basic_auth(name, Some(password));
        } else if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable = |error: reqwest::Error| {
            Error::new(
                ErrorKind::Unreachable,
                format!("the REST of the running instance does not answer at {}", self.base),
            )
            .caused_by(error.without_url())
            .advise("give an address that can be reached from here with --url")
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(unreachable)?;
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() { Ok(body) } else { Err(self.refusal(status.as_u16(), &body)) }
    }

    fn refusal(&self, status: u16, body: &Value) -> Error {
        let said = body["message"].as_str().map_or_else(|| format!("HTTP {status}"), str::to_owned);
        // Its last line names the entry of the error's kind, which is said once more of this one.
        let (said, kind) = match said.split_once("\nmore: rowtide docs errors ") {
            Some((said, kind)) => (said.to_owned(), ErrorKind::named(kind)),
            None => (said, None),
        };
        let (said, advice) = match said.split_once("\nwhat to do: ") {
            Some((said, advice)) => (said.to_owned(), Some(advice.to_owned())),
            None => (said, None),
        };
        let error = match status {
            401 | 403 => Error::new(ErrorKind::Auth, said).advise(
                "give the user in --url (http://user:password@host:port), or the worker's own settings with --worker",
            ),
            409 => Error::new(kind.unwrap_or(ErrorKind::Refused), said),
            400 | 404 => Error::new(kind.unwrap_or(ErrorKind::Config), said),
            _ => Error::new(kind.unwrap_or(ErrorKind::OutcomeUnknown), said),
        };
        let error = error.with("url", &self.base);
        match advice {
            Some(advice) => error.advise(advice),
            None => error,
        }
    }
}

/// The authorities of the worker's trust store, beside those of the system.
fn trusted(ssl: &BTreeMap<String, String>) -> Result<Option<Vec<Certificate>>> {
    const LOCATION: &str = "ssl.truststore.location";
    const PASSWORD: &str = "ssl.truststore.password";
    let Some(path) = ssl.get(LOCATION) else { return Ok(None) };
    let input = Input::file(LOCATION, path)?.password(PASSWORD, ssl.get(PASSWORD).map(String::as_str));
    let certificates = Certificates::read(&input)?;
    let unusable = |error| Error::config(format!("{LOCATION}: a certificate cannot be used")).caused_by(error);
    let of_pem = certificates.pem().iter().map(|pem| Certificate::from_pem(pem.as_bytes()));
    of_pem.collect::<std::result::Result<_, reqwest::Error>>().map(Some).map_err(unusable)
}
