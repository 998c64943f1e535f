//! A server that gives the real page and canned answers: states that take long to bring about, thousands of tables, a server
//! that goes away. It keeps what it is asked to do.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};

use crate::support::{PATIENCE, eventually};

/// An answer made anew for each question, of the number of questions before it.
type Made = Box<dyn Fn(u64) -> Json + Send>;

#[derive(Default)]
struct State {
    answers: BTreeMap<String, (u16, Json)>,
    status: Option<Made>,
    asked: u64,
    /// The changes that were asked for, `METHOD PATH BODY`.
    done: Vec<String>,
    is_away: bool,
    token: Option<String>,
}

/// The server, which ends with the process.
#[derive(Clone)]
pub struct Fake {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Fake {
    /// A server whose `/status` is made by a function.
    pub fn new(status: impl Fn(u64) -> Json + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let state = State { status: Some(Box::new(status)), ..State::default() };
        let fake = Self { url, state: Arc::new(Mutex::new(state)) };
        fake.answer("GET /connectors?expand=status", 200, json!({}));
        fake.answer("GET /rowtide/v1/openapi.json", 404, json!({"error_code": 404, "message": "HTTP 404 Not Found"}));
        let serving = fake.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        fake
    }

    /// Sets an answer, by method and path.
    pub fn answer(&self, asked: &str, status: u16, body: Json) {
        self.state.lock().expect("a lock").answers.insert(asked.to_owned(), (status, body));
    }

    /// Makes the calls of /rowtide/v1 known to the page.
    pub fn describe(&self, calls: &[(&str, &str)]) {
        let mut paths = json!({});
        for (method, path) in calls {
            paths[format!("/rowtide/v1/{path}")][*method] = json!({});
        }
        self.answer("GET /rowtide/v1/openapi.json", 200, json!({"openapi": "3.1.0", "paths": paths}));
    }

    /// Breaks off every connection, or answers again.
    pub fn away(&self, is_away: bool) {
        self.state.lock().expect("a lock").is_away = is_away;
    }

    /// Answers only to this token; the page itself is given to everybody.
    pub fn only_for(&self, token: &str) {
        self.state.lock().expect("a lock").token = Some(token.to_owned());
    }

    /// The number of times the status was asked for.
    pub fn asked(&self) -> u64 {
        self.state.lock().expect("a lock").asked
    }

    /// Waits until the status was asked for so many times more.
    #[track_caller]
    pub fn wait_for_answers(&self, more: u64) {
        let before = self.asked();
        eventually("more answers", PATIENCE, || (self.asked() >= before + more).then_some(()));
    }

    /// The changes that were asked for.
    pub fn done(&self) -> Vec<String> {
        self.state.lock().expect("a lock").done.clone()
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
        let Some((line, head, body)) = request(&mut reader) else { return };
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let Some((status, kind, text)) = self.respond(method, path, &head, body) else { return };
        let policy =
            "Content-Security-Policy: default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        let answer = format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\n{policy}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
            text.len()
        );
        let _ = stream.write_all(answer.as_bytes());
    }

    /// None if the server is away.
    fn respond(&self, method: &str, path: &str, head: &str, body: String) -> Option<(u16, &'static str, String)> {
        let mut state = self.state.lock().expect("a lock");
        if state.is_away {
            return None;
        }
        if let Some(file) = page(path) {
            return Some((200, file.0, file.1));
        }
        let refused = |status: u16, text: &str| (status, json!({"error_code": status, "message": text}));
        let is_stranger =
            state.token.as_ref().is_some_and(|token| !head.contains(&format!("authorization: bearer {token}")));
        let (status, body) = if is_stranger {
            refused(401, "User cannot access the resource.")
        } else if path == "/status" {
            state.asked += 1;
            let made = state.status.as_ref().map_or(Json::Null, |made| made(state.asked));
            (200, made)
        } else {
            if method != "GET" {
                state.done.push(format!("{method} {path} {body}").trim().to_owned());
            }
            let known = state.answers.get(&format!("{method} {path}")).cloned();
            known.unwrap_or_else(|| refused(404, "HTTP 404 Not Found"))
        };
        let text = if body.is_null() { String::new() } else { body.to_string() };
        Some((status, "application/json", text))
    }
}

/// First line, other lines in lower case, and body of a request.
fn request(reader: &mut impl BufRead) -> Option<(String, String, String)> {
    let (mut line, mut head, mut length) = (String::new(), String::new(), 0);
    // Chromium opens connections that it may need, and closes them.
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    loop {
        let mut next = String::new();
        reader.read_line(&mut next).ok()?;
        let next = next.trim().to_lowercase();
        if next.is_empty() {
            break;
        }
        if let Some(given) = next.strip_prefix("content-length:") {
            length = given.trim().parse().ok()?;
        }
        head.push_str(&next);
        head.push('\n');
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((line, head, String::from_utf8(body).ok()?))
}

/// A file of the page, as it is in the source.
fn page(path: &str) -> Option<(&'static str, String)> {
    let name = if path == "/" { "index.html" } else { path.strip_prefix("/rowtide/page/")? };
    let kind = match name.rsplit('.').next()? {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/page").join(name);
    Some((kind, std::fs::read_to_string(file).ok()?))
}

/// The status of a table as a server tells it; `changes` replaces fields.
pub fn table(name: &str, changes: &Json) -> Json {
    let mut table = json!({
        "table": name, "state": "idle", "since": "2026-01-01T08:00:00.000Z", "reason": null, "advice": null,
        "last_poll": "2026-01-01T08:00:00.000Z", "rows": 0, "bytes": 0, "rows_skipped": 0, "position": "ts=2026-01-01T07:59:58.120Z seq=4711",
        "newest": "2026-01-01T07:59:58.120Z", "lag_seconds": 0.4, "rows_behind": 0, "not_polled": [], "load": null,
        "guard": {"level": "exact", "way": "snapshot", "uncovered": "", "raise": null, "window_seconds": null,
            "oldest_transaction_seconds": null, "oldest_transaction": null, "late_rows": 0, "hidden_ids": 0, "reread_rows": 0,
            "blocker": null, "at_risk": null},
        "cursor_facts": [],
    });
    merge(&mut table, changes);
    table
}

fn merge(into: &mut Json, changes: &Json) {
    match (into, changes) {
        (Json::Object(into), Json::Object(changes)) => {
            for (key, value) in changes {
                merge(into.entry(key).or_insert(Json::Null), value);
            }
        }
        (into, changes) => *into = changes.clone(),
    }
}

/// The status of a connector with tables.
pub fn connector(name: &str, state: &str, tables: Vec<Json>) -> Json {
    json!({"name": name, "state": state, "error": null, "advice": null, "tables": tables})
}

/// The answer of `/status`.
pub fn status(connectors: Vec<Json>) -> Json {
    json!({"version": "0.1.0", "ready": true, "connectors": connectors})
}
