//! Servers of a test's own behind HTTPS: a front that asks for credentials before it passes a request on to the registry,
//! and an endpoint that gives out OAuth tokens. A thread per connection, a connection per request.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openssl::ecdsa::EcdsaSig;
use openssl::pkey::PKey;
use openssl::sha::sha256;
use openssl::ssl::SslAcceptor;
use serde_json::{Value as Json, json};

use super::Stack;
use super::tls_proxy::acceptor;

/// A server that counts the requests it has answered.
pub struct Server {
    pub port: u16,
    answered: Arc<AtomicUsize>,
}

impl Server {
    /// Serves until the tests end; `folder` is one of `scripts/services`, `asks` for one that wants the client's
    /// certificate.
    fn start(folder: &str, asks: bool, answer: impl Fn(&str, &[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let (acceptor, answer) = (acceptor(folder, true, asks), Arc::new(answer));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let answered = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&answered);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (acceptor, answer, count) = (acceptor.clone(), answer.clone(), count.clone());
                // A client that hangs up is no failure of the server.
                std::thread::spawn(move || {
                    one(client, &acceptor, &*answer).inspect(|()| _ = count.fetch_add(1, Ordering::Relaxed))
                });
            }
        });
        Self { port, answered }
    }

    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// The registry, for those who show these credentials in the header `Authorization`.
    pub fn registry(folder: &str, asks: bool, authorization: &str) -> Self {
        let wanted = authorization.to_owned();
        Self::registry_for(folder, asks, move |head| {
            wanted.is_empty() || header(head, "authorization") == Some(&wanted)
        })
    }

    /// The registry, for those who show a token of [`Server::tokens`] for `subject` and name the logical cluster.
    pub fn registry_by_tokens(folder: &str, subject: &str, cluster: &str) -> Self {
        let signing = std::fs::read(format!("{folder}/token.key")).expect("token.key");
        let (subject, cluster) = (subject.to_owned(), cluster.to_owned());
        Self::registry_for(folder, false, move |head| {
            let token = header(head, "authorization").and_then(|shown| shown.strip_prefix("Bearer "));
            token.is_some_and(|token| is_token_for(token, &signing, &subject))
                && header(head, "target-sr-cluster") == Some(&cluster)
        })
    }

    /// The registry, for those whose requests `admits` lets in by their head.
    fn registry_for(folder: &str, asks: bool, admits: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        let registry = Stack::get().registry;
        let address = registry.strip_prefix("http://").expect("http").split('/').next().expect("a host").to_owned();
        Self::start(folder, asks, move |head, body| match admits(head) {
            true => passed_on(&address, head, body),
            false => status("401 Unauthorized", &json!({"error_code": 40101, "message": "Unauthorized"})),
        })
    }

    /// Tokens for `subject`, for the client of this name and secret.
    pub fn tokens(folder: &str, client: &str, secret: &str, subject: &str) -> Self {
        let wanted = basic(client, secret);
        let (signing, subject) = (std::fs::read(format!("{folder}/token.key")).expect("token.key"), subject.to_owned());
        Self::start(folder, false, move |head, body| {
            let asked = String::from_utf8_lossy(body);
            if header(head, "authorization") != Some(&wanted) || !asked.contains("grant_type=client_credentials") {
                return status("401 Unauthorized", &json!({"error": "invalid_client"}));
            }
            let token = token(&signing, &subject);
            status("200 OK", &json!({"access_token": token, "token_type": "Bearer", "expires_in": 300}))
        })
    }
}

/// The header of a user and password.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Reads one request, answers it, and closes the connection.
fn one(client: TcpStream, acceptor: &SslAcceptor, answer: &dyn Fn(&str, &[u8]) -> Vec<u8>) -> Option<()> {
    let mut client = acceptor.accept(client).ok()?;
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        more(&mut client, &mut bytes)?;
    };
    let text = String::from_utf8(bytes[..head].to_vec()).ok()?;
    let length = header(&text, "content-length").map_or(Some(0), |length| length.parse::<usize>().ok())?;
    while bytes.len() < head + length {
        more(&mut client, &mut bytes)?;
    }
    client.write_all(&answer(&text, &bytes[head..])).ok()?;
    let _ = client.shutdown();
    client.get_ref().shutdown(Shutdown::Write).ok()
}

fn more(client: &mut impl Read, bytes: &mut Vec<u8>) -> Option<()> {
    let mut part = [0; 4096];
    let read = client.read(&mut part).ok().filter(|read| *read > 0)?;
    bytes.extend(&part[..read]);
    Some(())
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn status(status: &str, body: &Json) -> Vec<u8> {
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close");
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The answer of the server behind, without the credentials, which are not for it.
fn passed_on(address: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let kept = head.lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default();
        !line.is_empty() && !name.eq_ignore_ascii_case("authorization") && !name.eq_ignore_ascii_case("connection")
    });
    let head = kept.collect::<Vec<_>>().join("\r\n") + "\r\nConnection: close\r\n\r\n";
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(address)?;
        server.write_all(&[head.as_bytes(), body].concat())?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        Ok(answer)
    };
    ask().unwrap_or_else(|error| status("502 Bad Gateway", &json!({"message": error.to_string()})))
}

/// A JSON web token, as the brokers take it by `token-keys.json`.
fn token(signing: &[u8], subject: &str) -> String {
    let now = chrono::Utc::now().timestamp();
    let encode = |json: Json| URL_SAFE_NO_PAD.encode(json.to_string());
    let claims = json!({"sub": subject, "aud": "brokers", "iss": "tests", "iat": now, "exp": now + 300});
    let signed = format!("{}.{}", encode(json!({"alg": "ES256", "kid": "tests", "typ": "JWT"})), encode(claims));
    let key = PKey::private_key_from_pem(signing).and_then(|key| key.ec_key()).expect("a key");
    let signature = EcdsaSig::sign(&sha256(signed.as_bytes()), &key).expect("a signature");
    let part = |number: &openssl::bn::BigNumRef| number.to_vec_padded(32).expect("32 bytes");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode([part(signature.r()), part(signature.s())].concat()))
}

/// True if a token is signed by this key, for this subject, and not over.
fn is_token_for(token: &str, signing: &[u8], subject: &str) -> bool {
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let checked = || {
        let (signed, signature) = token.rsplit_once('.')?;
        let (signature, payload) = (decoded(signature)?, decoded(signed.split('.').nth(1)?)?);
        let (r, s) = signature.split_at_checked(32)?;
        let [r, s] = [r, s].map(openssl::bn::BigNum::from_slice);
        let signature = EcdsaSig::from_private_components(r.ok()?, s.ok()?).ok()?;
        let key = PKey::private_key_from_pem(signing).and_then(|key| key.ec_key()).expect("a key");
        let claims: Json = serde_json::from_slice(&payload).ok()?;
        let is_good = claims["sub"] == subject && claims["exp"].as_i64()? > chrono::Utc::now().timestamp();
        Some(is_good && signature.verify(&sha256(signed.as_bytes()), &key).ok()?)
    };
    checked() == Some(true)
}
