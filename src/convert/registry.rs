//! The client of the schema registry. Answers that cannot change are kept: one call for each subject and schema.
//!
//! Two crates speak to it. `schema_registry_converter` registers schemas, with references, and reads them by their id,
//! in every format the registry knows. It has no lookup of a schema in its subject and no latest version with the
//! subject's rules, and its test of compatibility does not tell the differences: these go through `reqwest`, the client
//! under that crate, which both get from one builder with the same TLS. A failure of either is a [`Failure`] first,
//! sorted by status, so that it has the same kind, words and advice whichever crate has met it.

mod answers;
mod failure;
pub(super) mod keys;
mod oauth;
pub(super) mod settings;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method};
use schema_registry_converter::async_impl::schema_registry::{SrSettings, get_schema_by_id, post_schema};
use schema_registry_converter::schema_registry_common::{SchemaType, SuppliedSchema};
use serde::Deserialize;
use serde_json::json;

use self::answers::{IdAnswer, Level, SchemaAnswer, Verdict};
use self::failure::Failure;
use self::oauth::Tokens;
use self::settings::{Authorization, Settings};
use super::avro::writer::differences;
use super::options::Options;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::locked;
use crate::retry::Backoff;
use crate::setting::Secret;

/// Characters that a path segment may hold unescaped.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@')
    .remove(b':')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=');

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
const ACCEPT: &str = "application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, application/json";

/// A format that the registry holds schemas of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaKind {
    /// Avro.
    Avro,
    /// JSON Schema.
    Json,
    /// Protobuf.
    Protobuf,
}

impl SchemaKind {
    /// `schemaType`.
    fn as_str(self) -> &'static str {
        match self {
            SchemaKind::Avro => "AVRO",
            SchemaKind::Json => "JSON",
            SchemaKind::Protobuf => "PROTOBUF",
        }
    }

    fn of_client(self) -> SchemaType {
        match self {
            SchemaKind::Avro => SchemaType::Avro,
            SchemaKind::Json => SchemaType::Json,
            SchemaKind::Protobuf => SchemaType::Protobuf,
        }
    }

    /// The refusal of a schema of another format.
    fn another(self) -> Error {
        Error::new(ErrorKind::RegistryRefused, format!("the registered schema is not of type {}", self.as_str()))
            .advise("the topic holds another format; name its converter, or read it with a tool for that")
    }
}

/// A schema the registry gave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its id.
    pub id: u32,
    /// Its text.
    pub schema: Arc<str>,
}

/// The registry of one converter.
pub struct Registry {
    kind: SchemaKind,
    settings: Settings,
    /// The settings for calls through the registry crate.
    registration: SrSettings,
    /// The client of the other calls.
    client: Client,
    /// Tokens that change, which the registry crate cannot send: all calls are made without it then.
    tokens: Option<Tokens>,
    /// `normalize.schemas`.
    normalize: bool,
    ids: Mutex<HashMap<(String, String), u32>>,
    schemas: Mutex<HashMap<u32, Arc<str>>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Registry {
    /// Reads the settings of a converter; talks to nobody.
    ///
    /// # Errors
    /// `Config` with the option.
    pub fn create(converter: &BTreeMap<String, String>, kind: SchemaKind) -> Result<Self> {
        let options = Options(converter);
        let settings = Settings::parse(options)?;
        let mut builder = SrSettings::new_builder(settings.urls[0].clone());
        for url in &settings.urls[1..] {
            builder.add_url(url.clone());
        }
        match &settings.authorization {
            Authorization::None | Authorization::Header | Authorization::OAuth(_) => {}
            Authorization::Basic { user, password } => {
                builder.set_basic_authorization(user, Some(password.reveal()));
            }
            Authorization::Bearer(token) => {
                builder.set_token_authorization(token.reveal());
            }
        }
        builder.set_timeout(settings.timeout);
        let registration = builder
            .build_with(settings.client_builder()?)
            .map_err(|error| unusable(error.cause.unwrap_or(error.error)))?;
        let client = settings.client_builder()?.build().map_err(|error| unusable(error.to_string()))?;
        let tokens = match &settings.authorization {
            Authorization::OAuth(credentials) => {
                Some(Tokens::new(credentials.clone(), settings.plain_builder(), &oauth::certificates(options)?)?)
            }
            _ => None,
        };
        Ok(Self {
            kind,
            registration,
            client,
            tokens,
            normalize: options.flag("normalize.schemas", false)?,
            settings,
            ids: Mutex::default(),
            schemas: Mutex::default(),
        })
    }

    /// Registers a schema, or finds it under the subject, and returns its id.
    ///
    /// # Errors
    /// `Registry`, `RegistryRefused`, `Auth`, and `IncompatibleSchema` with what differs.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32> {
        let cached = (subject.to_owned(), schema.to_owned());
        if let Some(id) = locked(&self.ids).get(&cached) {
            return Ok(*id);
        }
        let outcome = if self.normalize || self.tokens.is_some() {
            // The registry crate cannot ask for it.
            let normalize = if self.normalize { "?normalize=true" } else { "" };
            let path = format!("/subjects/{}/versions{normalize}", segment(subject));
            let answer: Result<IdAnswer, Failure> = self.post(&path, schema).await;
            answer.map(|answer| answer.id)
        } else {
            self.patiently(|| self.post_new(subject, schema)).await
        };
        match outcome {
            Ok(id) => {
                locked(&self.ids).insert(cached, id);
                Ok(id)
            }
            Err(failure) if failure.is_incompatible() => {
                Err(self.explain(failure, subject, schema).await.with("subject", subject))
            }
            Err(failure) => Err(failure.into_error(&self.settings.shown).with("subject", subject)),
        }
    }

    async fn post_new(&self, subject: &str, schema: &str) -> Result<u32, Failure> {
        let supplied = SuppliedSchema::new(None, self.kind.of_client(), schema.to_owned());
        // The crate escapes slashes only, and those are gone after this.
        let registered = post_schema(&self.registration, segment(subject), supplied).await;
        registered.map(|registered| registered.id).map_err(|error| Failure::of_client(&error))
    }

    /// The id of a schema under a subject, without registering; none if the registry does not have it.
    ///
    /// # Errors
    /// As [`Registry::register`], without `IncompatibleSchema`.
    pub async fn lookup(&self, subject: &str, schema: &str) -> Result<Option<u32>> {
        let cached = (subject.to_owned(), schema.to_owned());
        if let Some(id) = locked(&self.ids).get(&cached) {
            return Ok(Some(*id));
        }
        let path = format!("/subjects/{}?normalize={}&deleted=false", segment(subject), self.normalize);
        let found = self.found(self.post::<IdAnswer>(&path, schema).await, subject)?;
        if let Some(answer) = &found {
            locked(&self.ids).insert(cached, answer.id);
        }
        Ok(found.map(|answer| answer.id))
    }

    /// The newest version under a subject; none if there is no such subject.
    ///
    /// # Errors
    /// As [`Registry::lookup`]; `RegistryRefused` if it is of another format, or not plain.
    pub async fn latest(&self, subject: &str) -> Result<Option<Registered>> {
        let path = format!("/subjects/{}/versions/latest", segment(subject));
        match self.found(self.get::<SchemaAnswer>(&path).await, subject)? {
            None => Ok(None),
            Some(answer) => {
                answer.registered(self.kind, None).map(Some).map_err(|error| error.with("subject", subject))
            }
        }
    }

    /// Number and text of the newest version under a subject, to look at; none if there is no such subject, or it holds
    /// another format.
    ///
    /// # Errors
    /// As [`Registry::lookup`].
    pub async fn newest(&self, subject: &str) -> Result<Option<(u32, Arc<str>)>> {
        let path = format!("/subjects/{}/versions/latest", segment(subject));
        let found = self.found(self.get::<SchemaAnswer>(&path).await, subject)?;
        let found = found.filter(|answer| answer.schema_type.as_ref().is_none_or(|kind| kind == self.kind.as_str()));
        Ok(found.map(|answer| (answer.version.unwrap_or(0), answer.schema.into())))
    }

    /// The schema of an id, for `use.schema.id`.
    ///
    /// # Errors
    /// As [`Registry::latest`], and `RegistryRefused` if there is none.
    pub async fn pinned(&self, subject: &str, id: u32) -> Result<Registered> {
        let path = format!("/schemas/ids/{id}?fetchMaxId=false&subject={}", segment(subject));
        let answer: SchemaAnswer =
            self.get(&path).await.map_err(|failure| failure.into_error(&self.settings.shown).with("schema id", id))?;
        answer.registered(self.kind, Some(id)).map_err(|error| error.with("schema id", id))
    }

    /// The text of the schema with an id, for reading records.
    ///
    /// # Errors
    /// `RegistryRefused` if there is none, or it is of another format; `Registry`; `Auth`.
    pub async fn schema_by_id(&self, id: u32) -> Result<Arc<str>> {
        if let Some(schema) = locked(&self.schemas).get(&id) {
            return Ok(schema.clone());
        }
        let fetched = match &self.tokens {
            Some(_) => {
                let answer: Result<SchemaAnswer, Failure> = self.get(&format!("/schemas/ids/{id}")).await;
                answer.map(|answer| (answer.is_of(self.kind), answer.schema))
            }
            None => self.patiently(|| self.fetched(id)).await,
        };
        let (is_of_kind, schema) =
            fetched.map_err(|failure| failure.into_error(&self.settings.shown).with("schema id", id))?;
        if !is_of_kind {
            return Err(self.kind.another().with("schema id", id));
        }
        let schema: Arc<str> = schema.into();
        locked(&self.schemas).insert(id, schema.clone());
        Ok(schema)
    }

    async fn fetched(&self, id: u32) -> Result<(bool, String), Failure> {
        let fetched = get_schema_by_id(id, &self.registration).await.map_err(|error| Failure::of_client(&error))?;
        Ok((fetched.schema_type == self.kind.of_client(), fetched.schema))
    }

    /// Asks whether [`Registry::register`] would succeed. Writes nothing.
    ///
    /// # Errors
    /// As [`Registry::register`].
    pub async fn check(&self, subject: &str, schema: &str) -> Result<()> {
        // A schema that is there already is given out whatever the rule says.
        if self.lookup(subject, schema).await?.is_some() {
            return Ok(());
        }
        let normalize = self.normalize;
        let path =
            format!("/compatibility/subjects/{}/versions/latest?normalize={normalize}&verbose=true", segment(subject));
        match self.found(self.post::<Verdict>(&path, schema).await, subject)? {
            Some(verdict) if !verdict.is_compatible => {
                let mut reasons = verdict.messages.unwrap_or_default();
                reasons.extend(verdict.reason);
                let message = reasons.join("; ");
                let refusal = Failure::of_status(409, json!({ "message": message }).to_string().as_bytes());
                Err(self.explain(refusal, subject, schema).await.with("subject", subject))
            }
            _ => Ok(()),
        }
    }

    /// The error for a schema the subject's rule does not allow: with the rule and the differences, as far as the
    /// registry tells.
    async fn explain(&self, refusal: Failure, subject: &str, schema: &str) -> Error {
        let found = match self.latest(subject).await {
            Ok(Some(latest)) if self.kind == SchemaKind::Avro => differences(&latest.schema, schema),
            _ => Vec::new(),
        };
        let level: Result<Level, Failure> =
            self.get(&format!("/config/{}?defaultToGlobal=true", segment(subject))).await;
        let rule = level.ok().and_then(|level| level.compatibility_level.or(level.compatibility));
        let server = match &refusal {
            Failure::Status { message, .. } => message.clone(),
            _ => String::new(),
        };
        let mut message = "the new schema is not compatible with the subject's".to_owned();
        if !found.is_empty() {
            message.push_str(": ");
            message.push_str(&found.join(", "));
        }
        let mut error = Error::new(ErrorKind::IncompatibleSchema, message);
        // Apicurio calls its global rule NONE here, whatever it is.
        if let Some(rule) = rule.filter(|rule| rule != "NONE") {
            error = error.with("rule", rule);
        }
        if !server.is_empty() {
            error = error.caused_by(server);
        }
        error.with("registry", &self.settings.shown)
    }

    /// Turns "there is no such thing" into none.
    fn found<T>(&self, answer: Result<T, Failure>, subject: &str) -> Result<Option<T>> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure.into_error(&self.settings.shown).with("subject", subject)),
        }
    }

    async fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<T, Failure> {
        self.patiently(|| self.call(Method::GET, path, None)).await
    }

    async fn post<T: for<'de> Deserialize<'de>>(&self, path: &str, schema: &str) -> Result<T, Failure> {
        let body = json!({ "schemaType": self.kind.as_str(), "schema": schema }).to_string();
        self.patiently(|| self.call(Method::POST, path, Some(&body))).await
    }

    /// One call, with a token if the registry wants one of an endpoint. One that it refuses may have been withdrawn before
    /// its end: the next is tried at once.
    async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        path: &str,
        body: Option<&str>,
    ) -> Result<T, Failure> {
        let Some(tokens) = &self.tokens else { return self.call_with(None, method, path, body).await };
        let token = tokens.bearer().await?;
        match self.call_with(Some(&token), method.clone(), path, body).await {
            Err(Failure::Status { status: 401, .. }) => {
                tokens.refused(&token).await;
                self.call_with(Some(&tokens.bearer().await?), method, path, body).await
            }
            outcome => outcome,
        }
    }

    /// One call, at each address until one answers.
    async fn call_with<T: for<'de> Deserialize<'de>>(
        &self,
        token: Option<&Secret>,
        method: Method,
        path: &str,
        body: Option<&str>,
    ) -> Result<T, Failure> {
        let mut failure = Failure::Network("no address".to_owned());
        for url in &self.settings.urls {
            let mut request = self.client.request(method.clone(), format!("{url}{path}")).header("Accept", ACCEPT);
            request = match (&self.settings.authorization, token) {
                (Authorization::Basic { user, password }, _) => request.basic_auth(user, Some(password.reveal())),
                (Authorization::Bearer(token), _) | (_, Some(token)) => request.bearer_auth(token.reveal()),
                (Authorization::None | Authorization::Header | Authorization::OAuth(_), None) => request,
            };
            if let Some(body) = body {
                request = request.header("Content-Type", CONTENT_TYPE).body(body.to_owned());
            }
            failure = match answer(request).await {
                Ok((status, bytes)) if (200..300).contains(&status) => {
                    return serde_json::from_slice(&bytes).map_err(|error| Failure::Malformed(error.to_string()));
                }
                Ok((status, bytes)) => Failure::of_status(status, &bytes),
                Err(error) => Failure::of_request(&error),
            };
            if !failure.is_transient() {
                break;
            }
        }
        Err(failure)
    }

    /// Repeats a call that failed in a way that may pass, as often as the settings allow.
    async fn patiently<T, F: Future<Output = Result<T, Failure>>>(&self, call: impl Fn() -> F) -> Result<T, Failure> {
        let mut backoff = Backoff::default();
        loop {
            let failure = match call().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if !failure.is_transient() {
                return Err(failure);
            }
            match backoff.next(&self.settings.retry) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(failure),
            }
        }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<(u16, Vec<u8>), reqwest::Error> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    Ok((status, response.bytes().await?.into()))
}

/// Reads bytes as every answer of a registry that there is, and compares it with a schema.
pub(crate) fn read_any(bytes: &[u8]) {
    let failure = Failure::of_status(409, bytes);
    let _ = (failure.is_not_found(), failure.is_incompatible(), failure.into_error("").report());
    let _ = serde_json::from_slice::<IdAnswer>(bytes);
    let _ = serde_json::from_slice::<Verdict>(bytes);
    let _ = serde_json::from_slice::<Level>(bytes);
    if let Ok(answer) = serde_json::from_slice::<SchemaAnswer>(bytes) {
        let _ = answer
            .registered(SchemaKind::Avro, None)
            .map(|registered| differences(&registered.schema, r#"{"type":"record","fields":[]}"#));
    }
    let _ = differences(&String::from_utf8_lossy(bytes), r#"{"type":"record","fields":[]}"#);
}

fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

fn unusable(cause: String) -> Error {
    Error::config("the settings of the schema registry's client cannot be used").caused_by(cause)
}
