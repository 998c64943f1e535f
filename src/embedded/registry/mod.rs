//! A schema registry in this process with the HTTP interface of Confluent's (`avro-converter.md`, 9), for Avro, JSON Schema
//! and Protobuf.
//! Ids, versions and compatibility are real; references, deletion, modes and storage are not there.

#![expect(clippy::disallowed_methods, reason = "the server of the registry, which is aborted with it")]

mod formats;
mod json_schema;
mod store;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Result};
use crate::lock::locked;
use formats::{Format, Parsed};
use store::{Refusal, Store, Version};

/// A running registry. It ends when this is dropped.
#[derive(Debug)]
pub struct SchemaRegistry {
    address: SocketAddr,
    /// Serves until aborted; holds nothing that has to be closed.
    server: JoinHandle<()>,
}

impl SchemaRegistry {
    /// Starts on a free loopback port.
    ///
    /// # Errors
    /// `Io` if no port can be had.
    pub async fn start() -> Result<Self> {
        let io =
            |error: std::io::Error| Error::new(ErrorKind::Io, "cannot start the embedded registry").caused_by(error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(io)?;
        let address = listener.local_addr().map_err(io)?;
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router()).await {
                tracing::error!(error = %error, "embedded registry stopped");
            }
        });
        Ok(Self { address, server })
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for SchemaRegistry {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Store>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Store> {
        locked(&self.0)
    }
}

fn router() -> Router {
    Router::new()
        .route("/", get(async || answer(json!({}))))
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(lookup))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version))
        .route("/subjects/{subject}/versions/{version}/schema", get(version_schema))
        .route("/schemas/types", get(async || answer(json!(Format::ALL.map(|(word, _)| word)))))
        .route("/schemas/ids/{id}", get(schema))
        .route("/schemas/ids/{id}/schema", get(schema_text))
        .route("/schemas/ids/{id}/versions", get(schema_versions))
        .route("/compatibility/subjects/{subject}/versions", post(compatible_with_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(compatible_with_one))
        .route("/config", get(global_level).put(set_global_level))
        .route("/config/{subject}", get(subject_level).put(set_subject_level))
        .route("/mode", get(async || answer(json!({"mode": "READWRITE"}))))
        .fallback(async || Refusal::new(404, 404, "HTTP 404 Not Found"))
        .with_state(Shared::default())
}

type Reply = std::result::Result<Response, Refusal>;

fn answer(body: Value) -> Response {
    typed(StatusCode::OK, body.to_string())
}

fn typed(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/vnd.schemaregistry.v1+json")], body).into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        typed(status, json!({"error_code": self.code, "message": self.message}).to_string())
    }
}

fn object(body: &Bytes) -> std::result::Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::new(400, 400, format!("cannot read the body: {error}")))
}

/// The schema of a request with its format, whatever its media type; clients send several.
fn schema_of(body: &Bytes) -> std::result::Result<(Format, String), Refusal> {
    let body = object(body)?;
    let word = body.get("schemaType").and_then(Value::as_str);
    let format = Format::of(word).ok_or_else(|| {
        let known = Format::ALL.map(|(word, _)| word).join(", ");
        Refusal::new(422, 42201, format!("Invalid schema type {}: there are {known}", word.unwrap_or_default()))
    })?;
    if body.get("references").and_then(Value::as_array).is_some_and(|references| !references.is_empty()) {
        return Err(Refusal::new(422, 42201, "Invalid schema: the embedded registry has no references"));
    }
    let text = body.get("schema").and_then(Value::as_str);
    text.map(|text| (format, text.to_owned())).ok_or_else(|| Refusal::new(422, 42201, "Empty schema"))
}

/// An answer with a schema, whose type stands beside it unless it is Avro.
fn with_type(mut body: Value, format: Format) -> Response {
    if format != Format::Avro {
        body["schemaType"] = Value::from(format.as_str());
    }
    answer(body)
}

fn version_body(version: Version) -> Response {
    let Version { subject, version, id, format, schema } = version;
    with_type(json!({"subject": subject, "version": version, "id": id, "schema": schema}), format)
}

async fn subjects(State(shared): State<Shared>) -> Response {
    answer(json!(shared.lock().subjects()))
}

async fn register(State(shared): State<Shared>, Path(subject): Path<String>, body: Bytes) -> Reply {
    let (format, text) = schema_of(&body)?;
    let version = shared.lock().register(&subject, (format, &text))?;
    Ok(answer(json!({"id": version.id, "version": version.version})))
}

async fn lookup(State(shared): State<Shared>, Path(subject): Path<String>, body: Bytes) -> Reply {
    let (format, text) = schema_of(&body)?;
    shared.lock().lookup(&subject, (format, &text)).map(version_body)
}

async fn versions(State(shared): State<Shared>, Path(subject): Path<String>) -> Reply {
    Ok(answer(json!(shared.lock().versions(&subject)?)))
}

async fn version(State(shared): State<Shared>, Path((subject, version)): Path<(String, String)>) -> Reply {
    shared.lock().get(&subject, &version).map(version_body)
}

async fn version_schema(State(shared): State<Shared>, Path((subject, version)): Path<(String, String)>) -> Reply {
    shared.lock().get(&subject, &version).map(|version| typed(StatusCode::OK, version.schema))
}

fn id_of(text: &str) -> std::result::Result<usize, Refusal> {
    text.parse().map_err(|_| Refusal::new(404, 404, "HTTP 404 Not Found"))
}

async fn schema(State(shared): State<Shared>, Path(id): Path<String>) -> Reply {
    let store = shared.lock();
    let Parsed { format, text, .. } = store.schema(id_of(&id)?)?;
    Ok(with_type(json!({"schema": text}), *format))
}

async fn schema_text(State(shared): State<Shared>, Path(id): Path<String>) -> Reply {
    Ok(typed(StatusCode::OK, shared.lock().schema(id_of(&id)?)?.text.clone()))
}

async fn schema_versions(State(shared): State<Shared>, Path(id): Path<String>) -> Reply {
    let uses = shared.lock().uses(id_of(&id)?)?;
    let uses = uses.into_iter().map(|(subject, version)| json!({"subject": subject, "version": version}));
    Ok(answer(uses.collect()))
}

async fn compatible_with_all(State(shared): State<Shared>, Path(subject): Path<String>, body: Bytes) -> Reply {
    compatible(&shared, &subject, None, &body)
}

async fn compatible_with_one(
    State(shared): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
    body: Bytes,
) -> Reply {
    compatible(&shared, &subject, Some(&version), &body)
}

fn compatible(shared: &Shared, subject: &str, version: Option<&str>, body: &Bytes) -> Reply {
    let (format, text) = schema_of(body)?;
    let messages = shared.lock().check(subject, version, (format, &text))?;
    Ok(answer(json!({"is_compatible": messages.is_empty(), "messages": messages})))
}

async fn global_level(State(shared): State<Shared>) -> Response {
    answer(json!({"compatibilityLevel": shared.lock().level(None).as_str()}))
}

async fn set_global_level(State(shared): State<Shared>, body: Bytes) -> Reply {
    set_level(&shared, None, &body)
}

async fn subject_level(State(shared): State<Shared>, Path(subject): Path<String>, uri: axum::http::Uri) -> Reply {
    let store = shared.lock();
    let or_global = uri.query().is_some_and(|query| query.contains("defaultToGlobal=true"));
    let level = if or_global { Some(store.level(Some(&subject))) } else { store.own_level(Some(&subject)) };
    let level = level.ok_or_else(|| {
        let message = format!("Subject '{subject}' does not have subject-level compatibility configured");
        Refusal::new(404, 40408, message)
    })?;
    Ok(answer(json!({"compatibilityLevel": level.as_str()})))
}

async fn set_subject_level(State(shared): State<Shared>, Path(subject): Path<String>, body: Bytes) -> Reply {
    set_level(&shared, Some(&subject), &body)
}

fn set_level(shared: &Shared, subject: Option<&str>, body: &Bytes) -> Reply {
    let body = object(body)?;
    let level: store::Level = body.get("compatibility").and_then(Value::as_str).unwrap_or_default().parse()?;
    shared.lock().set_level(subject, level);
    Ok(answer(json!({"compatibility": level.as_str()})))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn send(request: reqwest::RequestBuilder) -> (u16, Value) {
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/vnd.schemaregistry.v1+json");
        (response.status().as_u16(), response.json().await.unwrap())
    }

    fn body(schema: &str) -> String {
        json!({"schema": schema}).to_string()
    }

    #[tokio::test]
    async fn schemas_are_registered_found_and_read_over_http() {
        let registry = SchemaRegistry::start().await.unwrap();
        let client = reqwest::Client::new();
        let url = |path: &str| format!("{}{path}", registry.url());
        let register = |subject: &str, schema: &str| {
            let media = "application/vnd.schemaregistry.v1+json";
            let request = client.post(url(&format!("/subjects/{subject}/versions?normalize=false")));
            send(request.header("content-type", media).body(body(schema)))
        };
        assert_eq!(register("db_t-value", "\"long\"").await, (200, json!({"id": 1, "version": 1})));
        assert_eq!(register("other%2Fone", "{\"type\":\"long\"}").await, (200, json!({"id": 1, "version": 1})));
        let (status, refused) = register("db_t-value", "\"string\"").await;
        assert_eq!((status, &refused["error_code"]), (409, &json!(40901)));

        let get = |path: &str| send(client.get(url(path)));
        assert_eq!(get("/subjects").await.1, json!(["db_t-value", "other/one"]));
        assert_eq!(get("/subjects/db_t-value/versions").await.1, json!([1]));
        let latest = json!({"subject": "db_t-value", "version": 1, "id": 1, "schema": "\"long\""});
        assert_eq!(get("/subjects/db_t-value/versions/latest").await, (200, latest.clone()));
        assert_eq!(get("/schemas/ids/1?fetchMaxId=false&subject=db_t-value").await.1, json!({"schema": "\"long\""}));
        assert_eq!(get("/schemas/types").await.1, json!(["JSON", "PROTOBUF", "AVRO"]));
        assert_eq!(get("/subjects/none/versions").await.1["error_code"], 40401);
        assert_eq!(get("/schemas/ids/7").await.1["error_code"], 40403);
        assert_eq!(get("/contexts").await.0, 404);

        let found = send(client.post(url("/subjects/db_t-value?deleted=false")).body(body("\"long\""))).await;
        assert_eq!(found, (200, latest));
        let proto = json!({"schema": "message t { int32 a = 1; }", "schemaType": "PROTOBUF"}).to_string();
        let registered = send(client.post(url("/subjects/p/versions")).body(proto)).await;
        assert_eq!(registered, (200, json!({"id": 2, "version": 1})));
        assert_eq!(get("/schemas/ids/2").await.1["schemaType"], "PROTOBUF");
        assert_eq!(get("/subjects/p/versions/latest").await.1["schemaType"], "PROTOBUF");
        let thrift = json!({"schema": "struct", "schemaType": "THRIFT"}).to_string();
        assert_eq!(send(client.post(url("/subjects/p/versions")).body(thrift)).await.1["error_code"], 42201);
    }

    #[tokio::test]
    async fn levels_and_compatibility_are_answered_over_http() {
        let registry = SchemaRegistry::start().await.unwrap();
        let client = reqwest::Client::new();
        let url = |path: &str| format!("{}{path}", registry.url());
        assert_eq!(send(client.get(url("/config"))).await.1, json!({"compatibilityLevel": "BACKWARD"}));
        assert_eq!(send(client.get(url("/config/s"))).await.1["error_code"], 40408);
        let (status, _) = send(client.post(url("/subjects/s/versions")).body(body("\"int\""))).await;
        assert_eq!(status, 200);
        let check = || send(client.post(url("/compatibility/subjects/s/versions/latest")).body(body("\"string\"")));
        assert_eq!(check().await.1["is_compatible"], false);
        let put = |body: &'static str| send(client.put(url("/config/s")).body(body));
        assert_eq!(put(r#"{"compatibility":"NONE"}"#).await, (200, json!({"compatibility": "NONE"})));
        assert_eq!(put(r#"{"compatibility":"MAYBE"}"#).await.1["error_code"], 42203);
        assert_eq!(check().await.1, json!({"is_compatible": true, "messages": []}));
        let (status, refused) = send(client.post(url("/subjects/s/versions")).body("{}")).await;
        assert_eq!((status, &refused["error_code"]), (422, &json!(42201)));
    }
}
