//! The registry's address, credentials, TLS and patience out of the converter's settings. Every option
//! counts with and without the prefix `schema.registry.`; with it wins. Reads certificate files, talks
//! to nobody.

use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{ClientBuilder, Proxy, Url};

use super::super::options::Options;
use super::oauth::Credentials;
use super::tls;
use crate::error::{Error, Result};
use crate::retry::RetryPolicy;
use crate::setting::Secret;

/// The authorization of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Authorization {
    /// No authorization, or the one in the URL.
    None,
    Basic {
        user: String,
        password: Secret,
    },
    Bearer(Secret),
    /// A token of an endpoint.
    OAuth(Credentials),
    /// A header, `request.header.Authorization`.
    Header,
}

/// The settings of the connection to the registry.
pub(super) struct Settings {
    /// Base addresses in order, without a slash at the end; with credentials if the URL has them.
    pub(super) urls: Vec<String>,
    /// The same without credentials, for messages.
    pub(super) shown: String,
    pub(super) authorization: Authorization,
    /// Retries inside of a call.
    pub(super) retry: RetryPolicy,
    /// The longest a request may take.
    pub(super) timeout: Duration,
    connect_timeout: Duration,
    headers: HeaderMap,
    proxy: Option<String>,
    tls: tls::Settings,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("urls", &self.shown).finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads and checks the settings.
    ///
    /// # Errors
    /// `Config` with the option's name.
    pub(super) fn parse(options: Options<'_>) -> Result<Self> {
        let headers = headers(options)?;
        let authorization = match headers.contains_key("authorization") {
            true => Authorization::Header,
            false => authorization(options)?,
        };
        let (urls, shown) = urls(options, authorization == Authorization::None)?;
        let connect_timeout = Duration::from_millis(options.number("http.connect.timeout.ms", 60_000)?);
        let read_timeout = Duration::from_millis(options.number("http.read.timeout.ms", 60_000)?);
        let retries = options.number("max.retries", 3)?;
        let proxy = match (options.get("proxy.host"), options.number("proxy.port", 0)?) {
            (Some(host), port) if port > 0 => Some(format!("http://{host}:{port}")),
            _ => None,
        };
        Ok(Self {
            urls,
            shown,
            authorization,
            retry: RetryPolicy {
                patience: None,
                attempts: Some(u32::try_from(retries).unwrap_or(u32::MAX).saturating_add(1)),
                first: Duration::from_millis(options.number("retries.wait.ms", 1_000)?),
                longest: Duration::from_millis(options.number("retries.max.wait.ms", 20_000)?),
            },
            timeout: connect_timeout + read_timeout,
            connect_timeout,
            headers,
            proxy,
            tls: tls::Settings::parse(options)?,
        })
    }

    /// A builder of HTTP clients with all of it but the authorization.
    ///
    /// # Errors
    /// `Config` if the proxy or a certificate cannot be used.
    pub(super) fn client_builder(&self) -> Result<ClientBuilder> {
        let mut builder = self.plain_builder().default_headers(self.headers.clone());
        builder = match &self.proxy {
            Some(proxy) => {
                let proxy = Proxy::all(proxy)
                    .map_err(|error| Error::config("proxy.host is not a host").caused_by(error.without_url()))?;
                builder.proxy(proxy)
            }
            None => builder.no_proxy(),
        };
        self.tls.apply(builder)
    }

    /// A builder of HTTP clients with the time limits alone, for another server than the registry.
    pub(super) fn plain_builder(&self) -> ClientBuilder {
        ClientBuilder::new()
            .user_agent(concat!("rowtide/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout)
            .timeout(self.timeout)
    }
}

fn urls(options: Options<'_>, keep_credentials: bool) -> Result<(Vec<String>, String)> {
    let Some(list) = options.get("url") else {
        return Err(Error::config("schema.registry.url is missing")
            .advise("set value.converter.schema.registry.url to the registry's address, http://HOST:8081"));
    };
    let mut urls = Vec::new();
    let mut shown = Vec::new();
    for text in list.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        if text.starts_with("mock://") {
            return Err(Error::config("schema.registry.url: mock:// is a registry inside of a Java process")
                .advise("give the address of a registry, or use `rowtide quickstart`, which brings its own"));
        }
        // The text is not shown if it does not parse: it may hold a password.
        let mut url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
            .ok_or_else(|| {
                Error::config("schema.registry.url is not a list of http:// or https:// addresses")
                    .advise("write http://HOST:PORT, several with commas")
            })?;
        url.set_query(None);
        url.set_fragment(None);
        let with_credentials = url.clone();
        // Neither fails for a URL with a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let base = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
        urls.push(if keep_credentials { base(&with_credentials) } else { base(&url) });
        shown.push(base(&url));
    }
    if urls.is_empty() {
        return Err(Error::config("schema.registry.url is empty"));
    }
    Ok((urls, shown.join(",")))
}

fn headers(options: Options<'_>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str| -> Result<()> {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::config(format!("request.header.{name}: not the name of a header")))?;
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| Error::config(format!("request.header.{name}: not the value of a header")))?;
        value.set_sensitive(true);
        headers.insert(key, value);
        Ok(())
    };
    for (key, value) in options.0 {
        let key = key.strip_prefix("schema.registry.").unwrap_or(key);
        if let Some(name) = key.strip_prefix("request.header.") {
            add(name, value)?;
        }
    }
    for (option, name) in [
        ("bearer.auth.logical.cluster", "target-sr-cluster"),
        ("bearer.auth.identity.pool.id", "Confluent-Identity-Pool-Id"),
    ] {
        if let Some(value) = options.get(option) {
            add(name, value)?;
        }
    }
    Ok(headers)
}

fn authorization(options: Options<'_>) -> Result<Authorization> {
    let user_info = options.get("basic.auth.user.info");
    let basic = options.get("basic.auth.credentials.source").or(user_info.map(|_| "USER_INFO"));
    let bearer = options.get("bearer.auth.credentials.source");
    match (basic, bearer) {
        (Some(_), Some(_)) => Err(Error::config(
            "basic.auth.credentials.source and bearer.auth.credentials.source are both set; one is meant",
        )),
        (Some("URL"), None) | (None, None) => Ok(Authorization::None),
        (Some("USER_INFO"), None) => {
            let info = user_info.ok_or_else(|| Error::config("basic.auth.user.info is missing"))?;
            let (user, password) = info
                .split_once(':')
                .ok_or_else(|| Error::config("basic.auth.user.info: expected the form user:password"))?;
            Ok(Authorization::Basic { user: user.to_owned(), password: Secret::new(password) })
        }
        (Some("SASL_INHERIT"), None) => {
            let jaas = options.get("sasl.jaas.config").unwrap_or_default();
            let missing = || {
                Error::config(
                    "basic.auth.credentials.source is SASL_INHERIT, but sasl.jaas.config of the converter has no username and password",
                )
            };
            let user = jaas_option(jaas, "username").ok_or_else(missing)?;
            let password = jaas_option(jaas, "password").ok_or_else(missing)?;
            Ok(Authorization::Basic { user, password: Secret::new(password) })
        }
        (Some(other), None) => {
            let name = "basic.auth.credentials.source";
            Err(Error::config(format!("{name}: `{other}` is not one of URL, USER_INFO, SASL_INHERIT")))
        }
        (None, Some("STATIC_TOKEN")) => {
            let token =
                options.get("bearer.auth.token").ok_or_else(|| Error::config("bearer.auth.token is missing"))?;
            Ok(Authorization::Bearer(Secret::new(token)))
        }
        (None, Some("OAUTHBEARER")) => Credentials::parse(options).map(Authorization::OAuth),
        (None, Some(other)) => {
            let name = "bearer.auth.credentials.source";
            Err(Error::config(format!("{name}: `{other}` is not one of STATIC_TOKEN, OAUTHBEARER")).advise(
                "with OAUTHBEARER, bearer.auth.issuer.endpoint.url, client.id and client.secret name the endpoint of the tokens",
            ))
        }
    }
}

/// `name="value"` of a JAAS line; the value may come without quotes.
fn jaas_option(jaas: &str, name: &str) -> Option<String> {
    let mut rest = jaas;
    while let Some(at) = rest.find(name) {
        let starts_word = rest[..at].chars().next_back().is_some_and(char::is_whitespace);
        let after = rest[at + name.len()..].trim_start();
        if let (true, Some(value)) = (starts_word, after.strip_prefix('=')) {
            let value = value.trim_start();
            return match value.strip_prefix('"') {
                Some(quoted) => unquote(quoted),
                None => value.split(|end: char| end.is_whitespace() || end == ';').next().map(str::to_owned),
            };
        }
        rest = &rest[at + name.len()..];
    }
    None
}

/// The text up to the closing quote; a backslash takes the next character literally.
fn unquote(quoted: &str) -> Option<String> {
    let mut text = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some(text),
            '\\' => text.push(characters.next()?),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Settings> {
        let settings = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Settings::parse(Options(&settings))
    }

    const URL: (&str, &str) = ("schema.registry.url", "http://a:8081/,https://u:p%40ss@b/apis/ccompat/v7");

    #[test]
    fn urls_keep_their_path_and_hide_their_credentials() {
        let settings = parse(&[URL]).unwrap();
        assert_eq!(settings.urls, ["http://a:8081", "https://u:p%40ss@b/apis/ccompat/v7"]);
        assert_eq!(settings.shown, "http://a:8081,https://b/apis/ccompat/v7");
        assert!(!format!("{settings:?}").contains("ss@"));
        settings.client_builder().unwrap().build().unwrap();
        for bad in ["", "mock://x", "localhost:8081", "http://", "jdbc:x"] {
            let error = parse(&[("schema.registry.url", bad)]).unwrap_err();
            assert_eq!(error.kind(), crate::error::ErrorKind::Config);
        }
    }

    const OAUTH: [(&str, &str); 4] = [
        ("bearer.auth.credentials.source", "OAUTHBEARER"),
        ("bearer.auth.issuer.endpoint.url", "https://x/token"),
        ("bearer.auth.client.id", "rowtide"),
        ("bearer.auth.client.secret", "hush"),
    ];

    #[test]
    fn credentials_come_from_where_the_options_say() {
        let of = |pairs: &[(&str, &str)]| parse(&[&[URL], pairs].concat()).map(|settings| settings.authorization);
        let basic =
            |user: &str, password: &str| Authorization::Basic { user: user.into(), password: Secret::new(password) };
        assert_eq!(of(&[]).unwrap(), Authorization::None);
        assert_eq!(of(&[("basic.auth.user.info", "k:s:t")]).unwrap(), basic("k", "s:t"));
        assert_eq!(
            of(&[
                ("schema.registry.basic.auth.credentials.source", "USER_INFO"),
                ("schema.registry.basic.auth.user.info", "k:s"),
            ])
            .unwrap(),
            basic("k", "s")
        );
        let jaas = r#"o.PlainLoginModule required username="u" password="p\"w;x" ;"#;
        assert_eq!(
            of(&[("basic.auth.credentials.source", "SASL_INHERIT"), ("sasl.jaas.config", jaas)]).unwrap(),
            basic("u", "p\"w;x")
        );
        let token = [("bearer.auth.credentials.source", "STATIC_TOKEN"), ("bearer.auth.token", "t")];
        assert_eq!(of(&token).unwrap(), Authorization::Bearer(Secret::new("t")));
        assert!(matches!(of(&OAUTH).unwrap(), Authorization::OAuth(_)));
        assert_eq!(of(&[("request.header.Authorization", "x")]).unwrap(), Authorization::Header);
        for wrong in [
            &[("basic.auth.credentials.source", "USER_INFO")][..],
            &[("basic.auth.credentials.source", "nobody")],
            &[("basic.auth.user.info", "hush")],
            &[("bearer.auth.credentials.source", "UAMI")],
            &[("bearer.auth.credentials.source", "OAUTHBEARER")],
            &[OAUTH[0], ("bearer.auth.issuer.endpoint.url", "https://id:hush@x/token"), OAUTH[2], OAUTH[3]],
            &[OAUTH[0], OAUTH[1], OAUTH[2]],
            &[("basic.auth.user.info", "a:b"), token[0], token[1]],
        ] {
            assert!(!of(wrong).unwrap_err().report().contains("hush"));
        }
    }

    #[test]
    fn credentials_in_the_url_give_way_to_others() {
        let settings = parse(&[URL, ("basic.auth.user.info", "k:s")]).unwrap();
        assert_eq!(settings.urls[1], "https://b/apis/ccompat/v7");
    }

    #[test]
    fn patience_and_proxy_are_the_references() {
        let settings = parse(&[URL, ("proxy.host", "p"), ("proxy.port", "3128"), ("max.retries", "0")]).unwrap();
        assert_eq!(settings.proxy.as_deref(), Some("http://p:3128"));
        assert_eq!(settings.retry.attempts, Some(1));
        assert_eq!(settings.timeout, Duration::from_secs(120));
        assert!(parse(&[URL, ("max.retries", "many")]).is_err());
    }
}
