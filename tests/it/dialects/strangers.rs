//! Failures before a session is open that do not pass: another kind of server, and methods and plugins that rowtide
//! does not have. Servers that cannot be had here are played by a few lines of their protocol.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rowtide::error::{Directive, Error, ErrorKind};

use super::mysql::{MARIADB, MYSQL};
use super::place::{Database, Place, refused};
use super::postgres::Postgres;
use crate::support::config::Connector;
use crate::support::process::run;

/// Listens on a port of its own; `answer` gives what is said to what was heard, at first to nothing.
fn listening(answer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = std::sync::Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = std::sync::Arc::clone(&answer);
            std::thread::spawn(move || converse(stream, &*answer));
        }
    });
    port
}

fn converse(mut stream: TcpStream, answer: &dyn Fn(&[u8]) -> Vec<u8>) {
    let mut heard = Vec::new();
    loop {
        if stream.write_all(&answer(&heard)).is_err() {
            return;
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => heard = buffer[..length].to_vec(),
            _ => return,
        }
    }
}

/// A server that says this at once, and nothing more.
fn greeting(words: &'static [u8]) -> u16 {
    listening(move |heard| if heard.is_empty() { words.to_vec() } else { Vec::new() })
}

/// A server that answers each line with this.
fn answering(words: &'static [u8]) -> u16 {
    listening(move |heard| if heard.contains(&b'\n') { words.to_vec() } else { Vec::new() })
}

async fn error_at(database: &'static dyn Database, port: u16) -> Error {
    let place = Place::new(database, "");
    let mut source = place.source.clone();
    source.url.hosts = vec![("127.0.0.1".to_owned(), port)];
    source.connect_timeout = Duration::from_secs(2);
    let started = Instant::now();
    let error = refused(&source).await;
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    error
}

#[tokio::test]
async fn another_kind_of_server_is_named_and_not_waited_for() {
    let databases: [&'static dyn Database; 3] = [&Postgres, &MYSQL, &MARIADB];
    for database in databases {
        for (port, name) in [
            (greeting(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), "an SSH server"),
            (greeting(b"220 mail.example.com ESMTP ready\r\n"), "a mail or FTP server"),
            (answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), "an HTTP server"),
            (answering(b"-ERR unknown command 'GET'\r\n"), "Redis"),
            (database.strange_server().1, if database.dialect() == "postgresql" { "MySQL" } else { "PostgreSQL" }),
        ] {
            let error = error_at(database, port).await;
            assert_eq!(error.kind(), ErrorKind::Config, "{}: {error:?}", database.dialect());
            assert!(error.report().contains(name), "{name}: {}", error.report());
            assert!(error.advice().contains("connection.url"), "{}", error.advice());
        }
    }
}

#[tokio::test]
async fn whoever_says_nothing_or_goes_away_is_waited_for() {
    let databases: [&'static dyn Database; 2] = [&Postgres, &MYSQL];
    for database in databases {
        // One that hangs; one that is about to start; a proxy without a server; words that mean nothing.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for port in [greeting(b""), closed, greeting(b"\x01\0\0\0"), greeting(b"hello")] {
            let error = error_at(database, port).await;
            assert_eq!(error.kind().directive(), Directive::Retry, "{}: {error:?}", database.dialect());
        }
    }
}

/// A message of PostgreSQL: its letter, its length, its body.
fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[letter][..], &length, body].concat()
}

/// A PostgreSQL without TLS that asks for this authentication, and then says `then`.
fn authenticating(request: &'static [u8], then: Vec<u8>) -> u16 {
    listening(move |heard| match heard {
        [] => Vec::new(),
        [0, 0, 0, 8, 4, 210, 22, 47] => b"N".to_vec(),
        [0, ..] => message(b'R', request),
        _ => then.clone(),
    })
}

#[tokio::test]
async fn methods_that_rowtide_does_not_have_are_named() {
    let refusal =
        b"SFATAL\0VFATAL\0C08P01\0Mein Client hat einen ung\xc3\xbcltigen Mechanismus gew\xc3\xa4hlt\0Rscram_init\0\0";
    for (request, then, name) in [
        (&b"\0\0\0\x07"[..], Vec::new(), "GSSAPI"),
        (b"\0\0\0\x09", Vec::new(), "SSPI"),
        (b"\0\0\0\x02", Vec::new(), "Kerberos"),
        (b"\0\0\0\x0aOAUTHBEARER\0\0", Vec::new(), "OAUTHBEARER"),
        (b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0", message(b'E', refusal), "SCRAM-SHA-256-PLUS"),
    ] {
        let error = error_at(&Postgres, authenticating(request, then)).await;
        assert_eq!(error.kind(), ErrorKind::Auth, "{name}: {error:?}");
        assert!(error.report().contains(name), "{name}: {}", error.report());
        assert!(error.advice().contains("scram-sha-256"), "{}", error.advice());
    }
}

/// A packet of MySQL's protocol.
fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&length[..3], &[number], body].concat()
}

/// A server of the family without TLS that wants this plugin.
fn switching(plugin: &'static str) -> u16 {
    let start = [
        &b"\x0a8.0.36\0\x01\0\0\0abcdefgh\0"[..],
        // PROTOCOL_41, CONNECT_WITH_DB, TRANSACTIONS, SECURE_CONNECTION; PLUGIN_AUTH.
        &[0x09, 0xa2, 45, 2, 0, 0x08, 0, 21],
        &[0; 10],
        b"ijklmnopqrst\0mysql_native_password\0",
    ]
    .concat();
    listening(move |heard| match heard {
        [] => packet(0, &start),
        _ => packet(2, &[b"\xfe", plugin.as_bytes(), b"\0abcdefghijklmnopqrst\0"].concat()),
    })
}

#[tokio::test]
async fn plugins_that_rowtide_does_not_have_are_named() {
    let databases: [&'static dyn Database; 2] = [&MYSQL, &MARIADB];
    for database in databases {
        for plugin in ["client_ed25519", "dialog", "auth_gssapi_client", "authentication_kerberos_client", "parsec"] {
            let error = error_at(database, switching(plugin)).await;
            assert_eq!(error.kind(), ErrorKind::Auth, "{plugin}: {error:?}");
            assert!(error.report().contains(plugin), "{}", error.report());
            assert!(error.advice().contains("caching_sha2_password"), "{}", error.advice());
        }
        // PAM with a password that is shown as it is: over TLS.
        let error = error_at(database, switching("mysql_clear_password")).await;
        assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
        assert!(error.advice().contains("sslMode=REQUIRED"), "{}", error.advice());
    }
}

#[test]
fn a_connector_of_another_kind_of_server_ends_with_its_name() {
    let connector = Connector::new(&format!("jdbc:mysql://127.0.0.1:{}/shop", greeting(b"SSH-2.0-OpenSSH_9.2\r\n")))
        .set("mode", "bulk")
        .set("connection.attempts", "1");
    for command in ["run", "check"] {
        let finished = run(&[command, &connector.file().display().to_string()]);
        finished.expect_code(2).expect_says(&["an SSH server answers there", "connection.url"]);
    }
}
