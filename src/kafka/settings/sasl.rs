//! Java's settings of SASL as librdkafka's: PLAIN, SCRAM and, with client credentials, OAUTHBEARER, with the options of
//! `sasl.jaas.config`. Refuses mechanisms and classes that librdkafka has not. Values never appear in messages.

use std::collections::BTreeMap;

use super::{Translated, refuse};
use crate::error::{Error, Result};
use crate::tls::Certificates;
use crate::tls::java::trusted;

const JAAS: &str = "sasl.jaas.config";
const MECHANISM: &str = "sasl.mechanism";
const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";
const CLIENT: &str = "sasl.oauthbearer.client.credentials.client.id";
const SECRET: &str = "sasl.oauthbearer.client.credentials.client.secret";
const SCOPE: &str = "sasl.oauthbearer.scope";
const RETRIEVER: &str = "sasl.oauthbearer.jwt.retriever.class";
const HANDLER: &str = "sasl.login.callback.handler.class";
/// The settings that OAUTHBEARER has a use for; those before `HANDLER` have the same name in librdkafka.
const OF_OAUTH: &[&str] = &[ENDPOINT, CLIENT, SECRET, SCOPE, RETRIEVER, HANDLER];
/// Classes of Kafka that get a token by client credentials, by their last names.
const KAFKAS_CLASSES: &[&str] =
    &["OAuthBearerLoginCallbackHandler", "DefaultJwtRetriever", "ClientCredentialsJwtRetriever"];
const SUPPORTED: &str = "supported are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER with client credentials and, with \
     security.protocol=SSL, client certificates";

/// The advice where the login of AWS's own class is meant, which rowtide cannot run.
const INSTEAD_OF_IAM: &str = "let the cluster take SASL/SCRAM too (user and password of a secret in AWS Secrets Manager; port 9096) with \
     sasl.mechanism=SCRAM-SHA-512, or client certificates (port 9094) with security.protocol=SSL";

/// True if a setting is translated here, together with others.
pub(super) fn takes(key: &str, java: &BTreeMap<String, String>) -> bool {
    key == JAAS || key == MECHANISM || OF_OAUTH.contains(&key) && mechanism(java) == Some("OAUTHBEARER")
}

fn mechanism(java: &BTreeMap<String, String>) -> Option<&str> {
    java.get(MECHANISM).or_else(|| java.get("sasl.mechanisms")).map(|text| text.trim())
}

/// Adds mechanism and login (librdkafka's own names win).
///
/// # Errors
/// `Config`, naming the key.
pub(super) fn add(java: &BTreeMap<String, String>, out: &mut Translated) -> Result<()> {
    let protocol = java.get("security.protocol").map(|protocol| protocol.trim().to_ascii_uppercase());
    let uses_sasl = protocol.is_some_and(|protocol| protocol.starts_with("SASL"));
    out.settings.remove("sasl.mechanisms");
    let known = match mechanism(java) {
        Some(known @ ("PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" | "OAUTHBEARER")) => known,
        Some("AWS_MSK_IAM") if uses_sasl => {
            return Err(refuse(MECHANISM, "AWS_MSK_IAM is a Java class of AWS").advise(INSTEAD_OF_IAM));
        }
        Some(other) if uses_sasl => {
            return Err(refuse(MECHANISM, &format!("{other} is not supported")).advise(SUPPORTED));
        }
        None if uses_sasl => {
            let what = "is needed with this security.protocol (Java's default, GSSAPI, is not supported)";
            return Err(refuse(MECHANISM, what).advise(SUPPORTED));
        }
        _ => "",
    };
    if !known.is_empty() {
        out.settings.insert(MECHANISM.to_owned(), known.to_owned());
    }
    let jaas = java.get(JAAS).filter(|jaas| !jaas.trim().is_empty()).map(|jaas| Jaas::read(jaas)).transpose()?;
    if known == "OAUTHBEARER" {
        return oauth(java, &jaas.unwrap_or_default(), out);
    }
    if let Some(jaas) = jaas {
        let (username, password) = jaas.login()?;
        out.settings.entry("sasl.username".to_owned()).or_insert(username);
        out.settings.entry("sasl.password".to_owned()).or_insert(password);
    }
    if uses_sasl && !out.settings.contains_key("sasl.username") {
        return Err(refuse(JAAS, "is missing, and with it the user")
            .advise("set it without a prefix, for all clients, or for each of producer, consumer and admin"));
    }
    Ok(())
}

/// OAUTHBEARER: librdkafka asks the endpoint for a token by the client's credentials, and for the next before it expires.
fn oauth(java: &BTreeMap<String, String>, jaas: &Jaas, out: &mut Translated) -> Result<()> {
    if !matches!(jaas.module(), "" | "OAuthBearerLoginModule") {
        return Err(refuse(JAAS, "the login module is not OAuthBearerLoginModule, that of OAUTHBEARER"));
    }
    let given = |key: &str| java.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
    for key in [HANDLER, RETRIEVER] {
        let class = given(key).unwrap_or_default();
        if class.starts_with("software.amazon.") {
            return Err(refuse(key, "Java classes cannot be loaded").advise(INSTEAD_OF_IAM));
        }
        if !class.is_empty() && !KAFKAS_CLASSES.contains(&class.rsplit('.').next().unwrap_or(class)) {
            return Err(refuse(key, "Java classes cannot be loaded").advise(format!(
                "remove it, and set {ENDPOINT}, {CLIENT} and {SECRET}: a token is got by client credentials"
            )));
        }
    }
    let endpoint = given(ENDPOINT).ok_or_else(|| missing(ENDPOINT, "the address that gives out tokens"))?;
    if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
        return Err(refuse(ENDPOINT, "not an http:// or https:// address")
            .advise("tokens in files are not supported; name the address that gives them out"));
    }
    let client = given(CLIENT).or(given("sasl.oauthbearer.client.id")).or(jaas.option("clientId"));
    let client = client.ok_or_else(|| missing(CLIENT, "the client's name towards the token endpoint"))?;
    let secret = given(SECRET).or(given("sasl.oauthbearer.client.secret")).or(jaas.option("clientSecret"));
    let secret = secret.ok_or_else(|| missing(SECRET, "the client's secret towards the token endpoint"))?;
    let mut set = |key: &str, value: &str| out.settings.insert(key.to_owned(), value.to_owned());
    set("sasl.oauthbearer.method", "oidc");
    set(ENDPOINT, endpoint);
    set("sasl.oauthbearer.client.id", client);
    set("sasl.oauthbearer.client.secret", secret);
    if let Some(scope) = given(SCOPE).or(jaas.option("scope")) {
        set(SCOPE, scope);
    }
    if let Some(extensions) = jaas.extensions()? {
        set("sasl.oauthbearer.extensions", &extensions);
    }
    // Java takes the trust in the endpoint from the options of the login module, never from `ssl.*` of the client.
    let own = trusted(|key| jaas.option(key).map(|text| (key, text)));
    if let Some(input) = own.map_err(|error| error.with("of", JAAS))? {
        out.settings.remove("https.ca.location");
        out.settings.insert("https.ca.pem".to_owned(), Certificates::read(&input)?.pem().concat());
    } else if !out.settings.contains_key("https.ca.pem") {
        // The OpenSSL inside has no certificates of its own.
        out.settings.entry("https.ca.location".to_owned()).or_insert_with(|| "probe".to_owned());
    }
    Ok(())
}

fn missing(key: &str, what: &str) -> Error {
    refuse(key, &format!("is missing: {what}")).advise("OAUTHBEARER gets its tokens by client credentials; set the key")
}

/// `...LoginModule required name="value" ...;`
#[derive(Default)]
struct Jaas {
    module: String,
    options: Vec<(String, String)>,
}

impl Jaas {
    fn read(text: &str) -> Result<Self> {
        let mut tokens = tokens(text).ok_or_else(|| refuse(JAAS, "a quoted value does not end"))?.into_iter();
        let module = tokens.next().unwrap_or_default();
        let mut jaas = Self { module, options: Vec::new() };
        let mut name = String::new();
        while let Some(token) = tokens.next().filter(|token| token != ";") {
            if token == "=" {
                jaas.options.push((std::mem::take(&mut name), tokens.next().unwrap_or_default()));
            } else {
                name = token;
            }
        }
        Ok(jaas)
    }

    /// The class without its package.
    fn module(&self) -> &str {
        self.module.rsplit('.').next().unwrap_or(&self.module)
    }

    fn option(&self, name: &str) -> Option<&str> {
        let found = self.options.iter().rev().find(|(option, _)| option == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// User and password of PLAIN and SCRAM.
    fn login(&self) -> Result<(String, String)> {
        if !matches!(self.module(), "PlainLoginModule" | "ScramLoginModule") {
            return Err(refuse(JAAS, "the login module is neither PlainLoginModule nor ScramLoginModule"));
        }
        let option = |name: &str| {
            let value = self.option(name).map(str::to_owned);
            value.ok_or_else(|| refuse(JAAS, &format!("there is no {name}=\"...\"")))
        };
        Ok((option("username")?, option("password")?))
    }

    /// Options `extension_NAME` as librdkafka's list.
    fn extensions(&self) -> Result<Option<String>> {
        let mut list = Vec::new();
        for (option, value) in &self.options {
            let Some(name) = option.strip_prefix("extension_") else { continue };
            if value.contains(',') {
                return Err(refuse(JAAS, &format!("the value of {option} has a comma, which cannot be sent")));
            }
            list.push(format!("{name}={value}"));
        }
        Ok(if list.is_empty() { None } else { Some(list.join(",")) })
    }
}

/// Words, `=`, `;` and quoted strings with backslash escapes; none if a quote is left open.
fn tokens(jaas: &str) -> Option<Vec<String>> {
    let mut tokens = Vec::new();
    let mut characters = jaas.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            space if space.is_whitespace() => {}
            '=' | ';' => tokens.push(character.to_string()),
            quote @ ('"' | '\'') => {
                let mut text = String::new();
                loop {
                    match characters.next()? {
                        end if end == quote => break,
                        '\\' => text.push(characters.next()?),
                        plain => text.push(plain),
                    }
                }
                tokens.push(text);
            }
            first => {
                let mut word = String::from(first);
                while let Some(next) = characters.next_if(|next| !next.is_whitespace() && !"=;".contains(*next)) {
                    word.push(next);
                }
                tokens.push(word);
            }
        }
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::kafka::settings::{ClientKind, translate};

    fn client(pairs: &[(&str, &str)]) -> Result<BTreeMap<String, String>> {
        let pairs = [&[("security.protocol", "SASL_SSL")], pairs].concat();
        let java = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        translate(ClientKind::Producer, &java).map(|translated| translated.settings)
    }

    #[test]
    fn jaas_gives_user_and_password_and_never_prints_them() {
        let login = |jaas: &str| Jaas::read(jaas).and_then(|jaas| jaas.login());
        let jaas = r#"org.apache.kafka.common.security.scram.ScramLoginModule required
            username="al\"ice" password='s=e;c\\ret' serviceName=x;"#;
        assert_eq!(login(jaas).unwrap(), ("al\"ice".to_owned(), "s=e;c\\ret".to_owned()));
        let bare = "org.apache.kafka.common.security.plain.PlainLoginModule required username=a password=b;";
        assert_eq!(login(bare).unwrap(), ("a".to_owned(), "b".to_owned()));
        for broken in ["com.sun.Krb5LoginModule required;", "x.PlainLoginModule required username=\"a\";", "x \"secret"]
        {
            let error = login(broken).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!error.report().contains("secret"));
        }
        assert!(client(&[]).is_err());
        assert!(client(&[("sasl.mechanism", "GSSAPI")]).is_err());
        let nobody = client(&[("sasl.mechanism", "PLAIN")]).err().unwrap();
        assert!(nobody.to_string().starts_with("sasl.jaas.config: is missing"), "{nobody}");
    }

    #[test]
    fn client_credentials_of_jaas_and_of_kafkas_own_settings_become_the_same() {
        const URL: (&str, &str) = ("sasl.oauthbearer.token.endpoint.url", "https://idp/token");
        const OAUTH: (&str, &str) = ("sasl.mechanism", "OAUTHBEARER");
        let jaas = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId=\"c\" \
                    clientSecret=\"hush\" scope=\"s\" extension_logicalCluster=\"lkc-1\" extension_identityPoolId=\"p\";";
        let handler = "org.apache.kafka.common.security.oauthbearer.secured.OAuthBearerLoginCallbackHandler";
        let of_jaas = client(&[URL, OAUTH, ("sasl.jaas.config", jaas), (HANDLER, handler)]).unwrap();
        let expected = [
            ("https.ca.location", "probe"),
            ("sasl.mechanism", "OAUTHBEARER"),
            ("sasl.oauthbearer.client.id", "c"),
            ("sasl.oauthbearer.client.secret", "hush"),
            ("sasl.oauthbearer.extensions", "logicalCluster=lkc-1,identityPoolId=p"),
            ("sasl.oauthbearer.method", "oidc"),
            ("sasl.oauthbearer.scope", "s"),
            ("sasl.oauthbearer.token.endpoint.url", "https://idp/token"),
            ("security.protocol", "sasl_ssl"),
        ];
        let of_jaas: Vec<_> = of_jaas.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(of_jaas, expected);
        let keys = [URL, OAUTH, (CLIENT, "c"), (SECRET, "hush"), (SCOPE, "s")];
        let of_keys = client(&keys).unwrap();
        assert!(
            expected.iter().filter(|(key, _)| !key.ends_with("extensions")).all(|(key, value)| of_keys[*key] == *value)
        );
        for (changed, says) in [
            (&[OAUTH][..], "sasl.oauthbearer.token.endpoint.url: is missing"),
            (&[OAUTH, (ENDPOINT, "file:///token")], "not an http:// or https:// address"),
            (&[OAUTH, URL, (CLIENT, "c")], "client.secret: is missing"),
            (&[OAUTH, URL, (HANDLER, "software.amazon.msk.auth.iam.IAMClientCallbackHandler")], "cannot be loaded"),
            (&[OAUTH, URL, ("sasl.jaas.config", "x.PlainLoginModule required;")], "is not OAuthBearerLoginModule"),
        ] {
            let error = client(changed).unwrap_err();
            assert!(error.to_string().contains(says) && !error.report().contains("hush"), "{error}");
        }
    }

    #[test]
    fn the_login_of_aws_is_refused_with_what_its_clusters_take_too() {
        let handler = (HANDLER, "software.amazon.msk.auth.iam.IAMOAuthBearerLoginCallbackHandler");
        for settings in [&[(MECHANISM, "AWS_MSK_IAM")][..], &[(MECHANISM, "OAUTHBEARER"), handler]] {
            let error = client(settings).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.advice().contains("SCRAM-SHA-512"), "{}", error.report());
        }
    }
}
