//! Identification of the server at an address where the database should be: asked only when a session could not be
//! opened, so that a server of another kind is named and not taken for one that is away.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::Error;

/// The longest wait for the answer to each question.
const PATIENCE: Duration = Duration::from_secs(1);

/// PostgreSQL's request for TLS, which it answers with one byte.
const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];

/// A kind of server, recognised by its first words, or by its answer to a question of another protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stranger {
    Postgres,
    MySqlFamily,
    Http,
    Ssh,
    Redis,
    Mail,
}

impl Stranger {
    fn words(self) -> &'static str {
        match self {
            Stranger::Postgres => "PostgreSQL",
            Stranger::MySqlFamily => "MySQL, MariaDB or TiDB",
            Stranger::Http => "an HTTP server",
            Stranger::Ssh => "an SSH server",
            Stranger::Redis => "Redis",
            Stranger::Mail => "a mail or FTP server",
        }
    }

    /// The kind of server, by the first bytes that it sent unasked, or in answer to a line of HTTP.
    fn known_by(said: &[u8]) -> Option<Self> {
        // A packet's length and number, then the version of the protocol, or an error before any question.
        if said.len() > 4 && said[2..4] == [0, 0] && matches!(said[4], 9 | 10 | 255) {
            return Some(Stranger::MySqlFamily);
        }
        const SIGNS: &[(&str, Stranger)] = &[
            ("HTTP/", Stranger::Http),
            ("SSH-", Stranger::Ssh),
            ("-ERR", Stranger::Redis),
            ("-NOAUTH", Stranger::Redis),
            ("-DENIED", Stranger::Redis),
            ("220", Stranger::Mail),
            ("* OK", Stranger::Mail),
            ("+OK", Stranger::Mail),
        ];
        SIGNS.iter().find(|(sign, _)| said.starts_with(sign.as_bytes())).map(|(_, stranger)| *stranger)
    }
}

/// The server that listens there, if it is a known one.
pub(super) async fn listening(host: &str, port: u16) -> Option<Stranger> {
    let said = asked(host, port, b"").await?;
    if !said.is_empty() {
        return Stranger::known_by(&said);
    }
    if matches!(asked(host, port, SSL_REQUEST).await?.as_slice(), b"S" | b"N") {
        return Some(Stranger::Postgres);
    }
    Stranger::known_by(&asked(host, port, b"GET / HTTP/1.0\r\n\r\n").await?)
}

/// The first bytes that come after `question`; none if nobody listens.
async fn asked(host: &str, port: u16, question: &[u8]) -> Option<Vec<u8>> {
    let mut stream = tokio::time::timeout(PATIENCE, TcpStream::connect((host, port))).await.ok()?.ok()?;
    let mut said = vec![0; 64];
    let exchange = async {
        stream.write_all(question).await?;
        stream.read(&mut said).await
    };
    let length = tokio::time::timeout(PATIENCE, exchange).await.ok().and_then(Result::ok).unwrap_or(0);
    said.truncate(length);
    Some(said)
}

/// The error of a session that could not be opened, told as a wrong address if a server of another kind is there.
pub(super) async fn or_stranger(error: Error, (host, port): (&str, u16), expected: Stranger) -> Error {
    match listening(host, port).await {
        Some(found) if found != expected => {
            let error = Error::config(format!("{} answers there, not {}", found.words(), expected.words()));
            let other = match found {
                Stranger::Postgres => "; for PostgreSQL write jdbc:postgresql://",
                Stranger::MySqlFamily => "; for MySQL write jdbc:mysql://, for MariaDB jdbc:mariadb://",
                _ => "",
            };
            error.advise(format!("check host and port of connection.url{other}"))
        }
        _ => error,
    }
}

/// The result of a driver's call; a driver that panics at the words of another kind of server does not take the task
/// with it.
pub(super) async fn caught<T>(call: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let stumbled = |_| Err(sqlx::Error::Protocol("the driver could not read the server's first words".to_owned()));
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(stumbled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_known_by_their_first_words() {
        for (said, expected) in [
            (&b"\x4a\0\0\0\x0a8.0.36\0"[..], Some(Stranger::MySqlFamily)),
            (b"\x17\0\0\0\xff\x10\x04Too many connections", Some(Stranger::MySqlFamily)),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Some(Stranger::Ssh)),
            (b"HTTP/1.1 400 Bad Request\r\n", Some(Stranger::Http)),
            (b"-ERR unknown command 'GET'\r\n", Some(Stranger::Redis)),
            (b"220 mail.example.com ESMTP\r\n", Some(Stranger::Mail)),
            (b"hello", None),
            (b"", None),
        ] {
            assert_eq!(Stranger::known_by(said), expected, "{said:?}");
        }
    }
}
