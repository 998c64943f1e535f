//! A client of one request, so that tests need no library for it.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{PATIENCE, eventually};

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// GET of an `http://` URL.
pub fn get(url: &str) -> Answer {
    request("GET", url, "")
}

/// POST of a registry document.
pub fn post(url: &str, body: &str) -> Answer {
    request("POST", url, body)
}

/// DELETE of a resource.
pub fn delete(url: &str) -> Answer {
    request("DELETE", url, "")
}

/// The answer to a request, which is sent again where the server closes the connection without one: servers on a
/// loaded machine do, and every request of these tests may come twice.
fn request(method: &str, url: &str, body: &str) -> Answer {
    eventually("an answer of the server", PATIENCE, || try_request(method, url, body))
}

fn try_request(method: &str, url: &str, body: &str) -> Option<Answer> {
    let rest = url.strip_prefix("http://").expect("an http URL");
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // HTTP/1.0: the end of the body is the end of the connection.
    let head = format!(
        "{method} /{path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Some(Answer { status, body: if is_chunked { joined(body) } else { body.to_owned() } })
}

/// A body that came in pieces, each with its length before it: large ones do, whatever was asked for.
fn joined(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).expect("a length");
        let (piece, after) = rest.split_at(length);
        whole.push_str(piece);
        body = after.strip_prefix("\r\n").unwrap_or(after);
    }
    whole
}
