//! The converter against a registry that answers by script: paths, credentials, classification, caches.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value as Json;

use super::super::samples::*;
use super::super::{Converter, ConverterSpec, Role, Side, avro};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{FieldType, Schema};

#[derive(Debug, Clone)]
struct Call {
    line: String,
    authorization: Option<String>,
    body: String,
}

/// Answers in order; further questions get the last one again.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

async fn answer(
    State(script): State<Script>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let body = String::from_utf8(body.to_vec()).unwrap();
    script.calls.lock().unwrap().push(Call { line: format!("{method} {uri}"), authorization, body });
    let mut answers = script.answers.lock().unwrap();
    let (status, text) = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0] };
    (StatusCode::from_u16(status).unwrap(), text)
}

struct Served {
    script: Script,
    address: String,
}

async fn serve(answers: &[(u16, &'static str)]) -> Served {
    let script = Script { answers: Arc::new(Mutex::new(answers.iter().copied().collect())), ..Script::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let app = Router::new().fallback(answer).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    Served { script, address }
}

impl Served {
    fn spec(&self, settings: &[(&str, &str)]) -> ConverterSpec {
        spec(&format!("http://{}", self.address), settings)
    }

    fn converter(&self, settings: &[(&str, &str)]) -> Arc<dyn Converter> {
        self.spec(settings).create().unwrap()
    }

    fn lines(&self) -> Vec<String> {
        self.script.calls.lock().unwrap().iter().map(|call| call.line.clone()).collect()
    }
}

fn spec(url: &str, settings: &[(&str, &str)]) -> ConverterSpec {
    let fixed = [("schema.registry.url", url), ("retries.wait.ms", "1"), ("retries.max.wait.ms", "1")];
    let all = fixed.iter().chain(settings).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    ConverterSpec { definition: &avro::DEFINITION, settings: all.collect::<BTreeMap<_, _>>() }
}

async fn bind(converter: &Arc<dyn Converter>, topic: &str, schema: &Schema) -> Result<Vec<u8>> {
    let row = test_table_row();
    let (table, places) = (definition(), (0..schema.fields().len()).collect::<Vec<_>>());
    let encoder = converter.bind(Side { topic, ..side(schema, &places, &table) }).await?;
    let mut out = Vec::new();
    encoder.encode(&row, &mut out)?;
    Ok(out)
}

async fn failure(answers: &[(u16, &'static str)], settings: &[(&str, &str)]) -> (Error, Vec<String>) {
    let served = serve(answers).await;
    let error = bind(&served.converter(settings), "t", &test_table()).await.unwrap_err();
    (error, served.lines())
}

#[tokio::test]
async fn a_schema_is_registered_once_verbatim_and_its_id_leads_the_record() {
    let served = serve(&[(200, r#"{"id":258,"version":1,"guid":"x"}"#)]).await;
    let converter = served.converter(&[]);
    for _ in 0..3 {
        let bytes = bind(&converter, "a b/c.é", &test_table()).await.unwrap();
        assert_eq!(bytes[..6], [0, 0, 0, 1, 2, 2]);
    }
    assert_eq!(served.lines(), ["POST /subjects/a%20b%2Fc.%C3%A9-value/versions"]);
    let body: Json = serde_json::from_str(&served.script.calls.lock().unwrap()[0].body).unwrap();
    assert_eq!(body["schema"], TEST_TABLE);
    // Another topic with the same subject and schema costs no call either.
    let by_record = served.converter(&[("value.subject.name.strategy", "io.x.RecordNameStrategy")]);
    bind(&by_record, "x", &test_table()).await.unwrap();
    bind(&by_record, "y", &test_table()).await.unwrap();
    assert_eq!(served.lines()[1..], ["POST /subjects/test_table/versions"]);
}

#[tokio::test]
async fn subjects_follow_their_strategy() {
    let subject = |settings: &[(&str, &str)], role, schema: &Schema| {
        let converter = spec("http://localhost", settings).create().unwrap();
        let table = definition();
        converter.preview(Side { role, ..side(schema, &[], &table) }).map(|preview| preview.subject.unwrap())
    };
    let record = [("value.subject.name.strategy", "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy")];
    assert_eq!(subject(&[], Role::Value, &test_table()).unwrap(), "t-value");
    assert_eq!(subject(&[], Role::Key, &test_table()).unwrap(), "t-key");
    assert_eq!(subject(&record, Role::Value, &test_table()).unwrap(), "t-test_table");
    assert_eq!(subject(&record, Role::Key, &test_table()).unwrap(), "t-key");
    let bare = key(FieldType::Int32, false);
    assert_eq!(subject(&record, Role::Value, &bare).unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn refusals_are_told_apart_and_not_repeated() {
    for (answer, kind) in [
        ((401, "{}"), ErrorKind::Auth),
        ((403, r#"{"error_code":40301,"message":"no"}"#), ErrorKind::Auth),
        ((404, r#"{"error_code":40401,"message":"no"}"#), ErrorKind::RegistryRefused),
        ((404, "<html>"), ErrorKind::RegistryRefused),
        ((404, r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#), ErrorKind::RegistryRefused),
        ((422, r#"{"error_code":42201,"message":"Invalid schema"}"#), ErrorKind::RegistryRefused),
        ((422, r#"{"error_code":42205,"message":"READONLY"}"#), ErrorKind::RegistryRefused),
        ((200, "<html>"), ErrorKind::RegistryRefused),
        ((200, "{}"), ErrorKind::RegistryRefused),
    ] {
        for normalize in ["false", "true"] {
            let (error, lines) = failure(&[answer], &[("normalize.schemas", normalize)]).await;
            assert_eq!((error.kind(), lines.len()), (kind, 1), "{answer:?} {error:?}");
            assert_eq!(error.context("subject"), Some("t-value"));
        }
    }
    let (error, _) = failure(&[(422, r#"{"error_code":42201,"message":"Invalid schema"}"#)], &[]).await;
    assert!(error.report().ends_with(": Invalid schema"), "{error:?}");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_as_often_as_configured() {
    for status in [408, 429, 500, 503] {
        let served = serve(&[(status, "{}"), (status, "oops"), (200, r#"{"id":1}"#)]).await;
        bind(&served.converter(&[]), "t", &test_table()).await.unwrap();
        assert_eq!(served.lines().len(), 3);
    }
    let (error, lines) = failure(&[(500, r#"{"error_code":50001,"message":"store"}"#)], &[]).await;
    assert_eq!((error.kind(), lines.len()), (ErrorKind::Registry, 4));
    let (_, lines) = failure(&[(500, "{}")], &[("max.retries", "0")]).await;
    assert_eq!(lines.len(), 1);
}

#[tokio::test]
async fn an_unreachable_registry_may_pass_and_the_next_address_is_used() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = format!("http://user:secret@{}", closed.local_addr().unwrap());
    drop(closed);
    let converter = spec(&dead, &[]).create().unwrap();
    let error = bind(&converter, "t", &test_table()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Registry);
    assert!(error.report().contains("onnection refused") && !error.report().contains("secret"), "{error:?}");

    let served = serve(&[(200, r#"{"id":1}"#)]).await;
    let both = format!("{dead},http://{}", served.address);
    for normalize in ["false", "true"] {
        let converter = spec(&both, &[("normalize.schemas", normalize)]).create().unwrap();
        bind(&converter, "t", &test_table()).await.unwrap();
    }
    assert_eq!(served.lines(), ["POST /subjects/t-value/versions", "POST /subjects/t-value/versions?normalize=true"]);
}

#[tokio::test]
async fn credentials_reach_the_registry_whoever_makes_the_call() {
    for (settings, expected) in [
        (&[("basic.auth.credentials.source", "USER_INFO"), ("basic.auth.user.info", "a:b")][..], "Basic YTpi"),
        (&[("bearer.auth.credentials.source", "STATIC_TOKEN"), ("bearer.auth.token", "t")], "Bearer t"),
        (&[("request.header.Authorization", "Own x"), ("basic.auth.user.info", "a:b")], "Own x"),
    ] {
        for register in ["true", "false"] {
            let served = serve(&[(200, r#"{"id":1}"#)]).await;
            let settings = [settings, &[("auto.register.schemas", register)]].concat();
            bind(&served.converter(&settings), "t", &test_table()).await.unwrap();
            let calls = served.script.calls.lock().unwrap().clone();
            assert_eq!(calls[0].authorization.as_deref(), Some(expected));
        }
    }
    let served = serve(&[(200, r#"{"id":1}"#)]).await;
    let converter = spec(&format!("http://a:b@{}", served.address), &[]).create().unwrap();
    bind(&converter, "t", &test_table()).await.unwrap();
    converter.check(side(&test_table(), &[0, 1, 2, 3, 4], &definition())).await.unwrap();
    for call in served.script.calls.lock().unwrap().iter() {
        assert_eq!(call.authorization.as_deref(), Some("Basic YTpi"));
    }
}

/// A converter that gets its tokens from an endpoint.
fn by_oauth(registry: &Served, endpoint: &Served) -> Arc<dyn Converter> {
    registry.converter(&[
        ("bearer.auth.credentials.source", "OAUTHBEARER"),
        ("bearer.auth.issuer.endpoint.url", &format!("http://{}/token", endpoint.address)),
        ("bearer.auth.client.id", "a"),
        ("bearer.auth.client.secret", "b"),
        ("bearer.auth.scope", "read write"),
    ])
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_when_the_registry_refuses_it() {
    let token = |text: &'static str| (200, text);
    let endpoint = serve(&[
        token(r#"{"access_token":"one","expires_in":3600}"#),
        token(r#"{"access_token":"two","expires_in":3600}"#),
    ])
    .await;
    let id = (200, r#"{"id":1,"schema":"\"int\""}"#);
    let registry = serve(&[id, (401, ""), id]).await;
    let converter = by_oauth(&registry, &endpoint);
    for topic in ["t", "u", "v"] {
        bind(&converter, topic, &test_table()).await.unwrap();
    }
    let shown: Vec<_> = registry.script.calls.lock().unwrap().iter().map(|call| call.authorization.clone()).collect();
    let shown: Vec<_> = shown.into_iter().flatten().collect();
    assert_eq!(shown, ["Bearer one", "Bearer one", "Bearer two", "Bearer two"]);
    let asked = endpoint.script.calls.lock().unwrap().clone();
    assert_eq!(asked.len(), 2);
    assert_eq!((asked[0].line.as_str(), asked[0].authorization.as_deref()), ("POST /token", Some("Basic YTpi")));
    assert_eq!(asked[0].body, "grant_type=client_credentials&scope=read%20write");
}

#[tokio::test]
async fn an_endpoint_without_a_token_is_told_from_a_registry_that_refuses() {
    let failed = async |answer: (u16, &'static str)| {
        let (endpoint, registry) = (serve(&[answer]).await, serve(&[(200, r#"{"id":1}"#)]).await);
        let error = bind(&by_oauth(&registry, &endpoint), "t", &test_table()).await.unwrap_err();
        assert!(registry.lines().is_empty() && error.context("token endpoint").is_some(), "{error:?}");
        (error.kind(), endpoint.lines().len(), format!("{}; {}", error.report(), error.advice()))
    };
    let (kind, calls, report) = failed((401, r#"{"error":"invalid_client","error_description":"who?"}"#)).await;
    assert_eq!((kind, calls), (ErrorKind::Auth, 1));
    assert!(report.contains("invalid_client: who?") && report.contains("bearer.auth.client.secret"), "{report}");
    assert_eq!(failed((503, "")).await.0, ErrorKind::Registry);
    let (kind, _, report) = failed((200, r#"{"access_token":"opaque"}"#)).await;
    assert_eq!(kind, ErrorKind::Auth);
    assert!(report.contains("no end") && !report.contains("opaque"), "{report}");
}

const LATEST: &str = r#"{"subject":"t-value","version":3,"id":9,"schema":"{\"type\":\"record\",\"name\":\"test_table\",\"fields\":[{\"name\":\"seq\",\"type\":\"long\"}]}"}"#;

#[tokio::test]
async fn an_incompatible_schema_says_what_differs_under_which_rule() {
    let refusal = (409, r#"{"error_code":40901,"message":"READER_FIELD_MISSING_DEFAULT_VALUE"}"#);
    let (error, lines) = failure(&[refusal, (200, LATEST), (200, r#"{"compatibilityLevel":"BACKWARD"}"#)], &[]).await;
    assert_eq!(error.kind(), ErrorKind::IncompatibleSchema);
    assert_eq!((error.context("subject"), error.context("rule")), (Some("t-value"), Some("BACKWARD")));
    let report = error.report();
    for part in ["field `seq` is int, was long", "field `ts` is new and required", "READER_FIELD_MISSING"] {
        assert!(report.contains(part), "{report}");
    }
    assert_eq!(lines.len(), 3);
}

#[tokio::test]
async fn a_check_looks_but_does_not_register() {
    let unknown = (404, r#"{"error_code":40403,"message":"Schema not found"}"#);
    let check = async |answers: &[(u16, &'static str)]| {
        let served = serve(answers).await;
        let outcome = served.converter(&[]).check(side(&test_table(), &[0, 1, 2, 3, 4], &definition())).await;
        assert!(!served.lines().iter().any(|line| line.ends_with("/versions")));
        outcome
    };
    check(&[(200, r#"{"id":1}"#)]).await.unwrap();
    check(&[unknown, (404, r#"{"error_code":40401,"message":"Subject not found"}"#)]).await.unwrap();
    check(&[unknown, (200, r#"{"is_compatible":true}"#)]).await.unwrap();
    let verdict = (200, r#"{"is_compatible":false,"messages":["because"]}"#);
    let error = check(&[unknown, verdict, (200, LATEST), (500, "")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IncompatibleSchema);
    assert!(error.report().contains("because"));
    assert_eq!(check(&[(401, "")]).await.unwrap_err().kind(), ErrorKind::Auth);
}

#[tokio::test]
async fn without_registration_the_schema_is_looked_up_or_fetched() {
    let no = ("auto.register.schemas", "false");
    let served = serve(&[(200, r#"{"id":5,"version":1}"#)]).await;
    assert_eq!(bind(&served.converter(&[no]), "t", &test_table()).await.unwrap()[4], 5);
    assert_eq!(served.lines(), ["POST /subjects/t-value?normalize=false&deleted=false"]);

    let (error, _) = failure(&[(404, r#"{"error_code":40403,"message":"Schema not found"}"#)], &[no]).await;
    assert_eq!(error.kind(), ErrorKind::RegistryRefused);
    assert!(error.advice().contains("auto.register.schemas=true"));

    let served = serve(&[(200, LATEST)]).await;
    let latest = served.converter(&[no, ("use.latest.version", "true")]);
    assert_eq!(bind(&latest, "t", &test_table()).await.unwrap(), [0, 0, 0, 0, 9, 2]);
    assert_eq!(served.lines(), ["GET /subjects/t-value/versions/latest"]);

    let pinned = served.converter(&[no, ("use.schema.id", "7")]);
    assert_eq!(bind(&pinned, "t", &test_table()).await.unwrap(), [0, 0, 0, 0, 7, 2]);
    assert_eq!(served.lines()[1], "GET /schemas/ids/7?fetchMaxId=false&subject=t-value");

    let (error, _) = failure(
        &[(200, r#"{"id":1,"schema":"\"int\"","ruleSet":{"domainRules":[{"name":"r"}]}}"#)],
        &[no, ("use.latest.version", "true")],
    )
    .await;
    assert_eq!(error.kind(), ErrorKind::RegistryRefused);
}

#[tokio::test]
async fn options_that_would_change_the_bytes_unseen_are_refused() {
    for (key, value) in [
        ("value.schema.id.serializer", "io.confluent.kafka.serializers.schema.id.HeaderSchemaIdSerializer"),
        ("context.name.strategy", "x.Custom"),
        ("schema.backup.enabled", "true"),
        ("value.subject.name.strategy", "x.AssociatedNameStrategy"),
        ("connect.meta.data", "perhaps"),
    ] {
        let error = spec("http://localhost", &[(key, value)]).create().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(key));
    }
    for (key, value) in [
        ("value.schema.id.serializer", "io.confluent.kafka.serializers.schema.id.PrefixSchemaIdSerializer"),
        ("enhanced.avro.schema.support", "true"),
        ("generalized.sum.type.support", "true"),
        ("use.latest.version", "true"),
    ] {
        spec("http://localhost", &[(key, value)]).create().unwrap();
    }
}

#[tokio::test]
async fn records_are_decoded_with_one_call_per_schema() {
    let served = serve(&[(200, r#"{"schema":"[\"null\",\"int\"]"}"#)]).await;
    let decoder = served.spec(&[]).decoder().unwrap();
    for _ in 0..2 {
        assert_eq!(decoder.decode(&[0, 0, 0, 0, 3, 2, 4]).await.unwrap(), "2");
    }
    assert_eq!(served.lines(), ["GET /schemas/ids/3?deleted=true"]);
    assert_eq!(decoder.decode(b"{}").await.unwrap_err().kind(), ErrorKind::Value);
    let served = serve(&[(200, r#"{"schema":"{}","schemaType":"JSON"}"#)]).await;
    let error = served.spec(&[]).decoder().unwrap().decode(&[0, 0, 0, 0, 3, 2]).await.unwrap_err();
    assert_eq!((error.kind(), error.context("schema id")), (ErrorKind::RegistryRefused, Some("3")));
}

#[tokio::test]
async fn a_sample_is_encoded_and_printed_without_any_call() {
    let converter = spec("http://localhost:1", &[]).create().unwrap();
    let (schema, table) = (test_table(), definition());
    let side = side(&schema, &[0, 1, 2, 3, 4], &table);
    let preview = converter.preview(side).unwrap();
    let encoder = converter.bind_sample(side).unwrap();
    let mut bytes = Vec::new();
    encoder.encode(&test_table_row(), &mut bytes).unwrap();
    assert!(converter.render_sample(&preview, &bytes).unwrap().starts_with(r#"{"seq":1,"ts":"#));
}
