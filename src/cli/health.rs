//! `rowtide health`: the question of an image's health check, which has neither shell nor curl, to a running instance.

use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::output;
use crate::error::{Error, ErrorKind, Result};
use crate::retry::within;

#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// Address of the instance's REST, by plain HTTP.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8083")]
    address: String,
    /// Ask only whether the process answers, not whether every table is polled.
    #[arg(long)]
    live: bool,
    /// Longest wait for the answer.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = super::seconds)]
    timeout: Duration,
}

pub(super) async fn run(args: &HealthArgs) -> u8 {
    let path = if args.live { "/health/live" } else { "/health/ready" };
    let what = format!("rowtide at {}", args.address);
    let answered = within(args.timeout, &what, ask(&args.address, path)).await;
    match answered.and_then(|answer| verdict(&answer)) {
        Ok(()) => 0,
        Err(error) => {
            output::fail(&error.with("address", &args.address).with("path", path));
            1
        }
    }
}

async fn ask(address: &str, path: &str) -> Result<String> {
    let unreachable =
        |error| Error::new(ErrorKind::Unreachable, "no instance answers").caused_by(error as std::io::Error);
    let mut stream = TcpStream::connect(address).await.map_err(unreachable)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(unreachable)?;
    let mut answer = Vec::new();
    stream.take(1 << 20).read_to_end(&mut answer).await.map_err(unreachable)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// An answer of status 200, or what it says.
fn verdict(answer: &str) -> Result<()> {
    let line = answer.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    match (words.next(), words.next()) {
        (Some(version), Some("200")) if version.starts_with("HTTP/1.") => Ok(()),
        (Some(version), Some(status)) if version.starts_with("HTTP/1.") => {
            let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.trim()).unwrap_or_default();
            Err(Error::new(ErrorKind::Unreachable, format!("not healthy (status {status}): {body}"))
                .advise("see /status of the instance"))
        }
        _ => Err(Error::new(ErrorKind::Unreachable, "the answer is no plain HTTP")
            .advise("give the address of a listener without TLS")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_status_200_is_health() {
        assert!(verdict("HTTP/1.1 200 OK\r\n\r\nok").is_ok());
        let unready = verdict("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"problems\":[]}").unwrap_err();
        assert_eq!(unready.report(), "not healthy (status 503): {\"problems\":[]}");
        assert!(verdict("").is_err() && verdict("\u{15}\u{3}").is_err());
    }
}
