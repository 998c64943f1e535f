//! The authority of a URL: hosts in every form of Connector/J (`host:port`, `(host=h,port=p)`,
//! `address=(host=h)(port=p)`, lists in brackets), and what stands beside them. Messages name no part of it:
//! any part may be the rest of a password that was not escaped.

use std::net::Ipv6Addr;

/// The syntax of a URL.
pub(super) struct Style {
    /// True if there are no escapes.
    pub(super) literal: bool,
    /// A plus is a space, as in Java.
    pub(super) plus_is_space: bool,
    pub(super) default_port: u16,
}

/// The hosts to try in order, and the parameters given beside them.
#[derive(Debug)]
pub(super) struct Hosts {
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) given: Vec<(String, String)>,
}

#[derive(Default)]
struct Host {
    name: String,
    port: u16,
    /// `type=source` is true, `type=replica` is false.
    is_source: Option<bool>,
    given: Vec<(String, String)>,
}

/// True if a user stands before a host.
pub(super) fn has_user(authority: &str) -> bool {
    authority.split('(').next().is_some_and(|before| before.contains('@'))
}

/// Takes an authority apart.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(authority: &str, style: &Style, sources_only: bool) -> Result<Hosts, String> {
    let mut all = Vec::new();
    for segment in separated(authority)? {
        segment_into(segment.trim(), style, &mut all)?;
    }
    let given = shared(&all)?;
    if sources_only {
        let typed = all.iter().any(|host| host.is_source.is_some());
        let mut index = 0;
        all.retain(|host| {
            index += 1;
            if typed { host.is_source == Some(true) } else { index == 1 }
        });
    }
    if all.is_empty() {
        return Err("names no host of type source".to_owned());
    }
    Ok(Hosts { hosts: all.into_iter().map(|host| (host.name, host.port)).collect(), given })
}

/// Splits at commas outside of brackets and parentheses.
fn separated(text: &str) -> Result<Vec<&str>, String> {
    let (mut depth, mut start, mut parts) = (0_i32, 0, Vec::new());
    for (at, character) in text.char_indices() {
        match character {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth != 0 {
        return Err("has parentheses or brackets that do not match".to_owned());
    }
    parts.push(&text[start..]);
    Ok(parts)
}

/// `[user[:password]@]` and a host, or a list of hosts in brackets.
fn segment_into(segment: &str, style: &Style, all: &mut Vec<Host>) -> Result<(), String> {
    let before_keys = segment.find('(').unwrap_or(segment.len());
    let (credentials, address) = match segment[..before_keys].rfind('@') {
        Some(at) => (Some(&segment[..at]), segment[at + 1..].trim()),
        None => (None, segment),
    };
    let mut given = Vec::new();
    if let Some(credentials) = credentials {
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        given.push(("user".to_owned(), style.decoded(user)?));
        if let Some(password) = password {
            given.push(("password".to_owned(), style.decoded(password)?));
        }
    }
    let listed = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|inner| !is_v6(inner));
    let addresses = match listed {
        Some(inner) => separated(inner)?,
        None => vec![address],
    };
    for address in addresses {
        let mut host = one(address.trim(), style)?;
        host.given.extend(given.iter().cloned());
        all.push(host);
    }
    Ok(())
}

fn is_v6(text: &str) -> bool {
    text.split('%').next().is_some_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

fn one(address: &str, style: &Style) -> Result<Host, String> {
    let lower = address.to_lowercase();
    let pairs = if let Some(inner) = address.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        separated(inner)?
    } else if lower.starts_with("address=(") && address.ends_with(')') {
        address["address=(".len()..address.len() - 1].split(")(").collect()
    } else {
        let (name, port) = super::super::host(address, style.default_port)?;
        if name.contains(['@', '(', ')', '=', '[', ']']) {
            return Err("has a host that is none; in a user or password `@` is written %40 and `,` %2C".to_owned());
        }
        return Ok(Host { name, port, ..Host::default() });
    };
    let mut host = Host { name: "localhost".to_owned(), port: style.default_port, ..Host::default() };
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (style.decoded(name.trim())?, style.decoded(value.trim())?);
        match (name.to_lowercase().as_str(), value.to_lowercase().as_str()) {
            ("host", _) => {
                let bare = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
                host.name = bare.unwrap_or(&value).to_owned();
            }
            ("port", _) => {
                let port = value.parse().ok().filter(|port| *port > 0);
                host.port = port.ok_or("has a port that is not a number from 1 to 65535")?;
            }
            ("type", "source" | "master" | "primary") => host.is_source = Some(true),
            ("type", "replica" | "slave") => host.is_source = Some(false),
            ("type", _) => return Err("has a host whose type is neither source nor replica".to_owned()),
            ("protocol", "tcp") | ("priority", _) => {}
            ("protocol", _) => return Err("has a host whose protocol is not tcp".to_owned()),
            _ => host.given.push((name, value)),
        }
    }
    Ok(host)
}

/// The parameters that all hosts share. The first may speak for the others, as in `user@a,b`.
fn shared(all: &[Host]) -> Result<Vec<(String, String)>, String> {
    let first = all.first().map(|host| host.given.clone()).unwrap_or_default();
    if all.iter().skip(1).any(|host| !host.given.is_empty() && host.given != first) {
        return Err("has hosts with users or parameters of their own; all must be alike".to_owned());
    }
    Ok(first)
}
