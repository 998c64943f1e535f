//! The grammar of URLs as a table, and what becomes of parameters.

use super::*;

pub(super) fn shown(text: &str) -> String {
    match parse(text, &[]) {
        Ok(found) => {
            let user = found.user.map(|user| format!(" user={user}")).unwrap_or_default();
            let password = found.password.map(|it| format!(" password={}", it.reveal())).unwrap_or_default();
            let parameters: String =
                found.url.parameters.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            format!("{}{user}{password}{parameters}", found.url)
        }
        Err(message) => format!("error: {message}"),
    }
}

#[test]
fn addresses_of_every_form_are_understood() {
    for (text, expected) in [
        ("jdbc:postgresql://localhost:5432/testdb", "postgresql://localhost:5432/testdb"),
        ("jdbc:postgresql://db/testdb", "postgresql://db:5432/testdb"),
        ("jdbc:postgresql://a:1,b,[::1]:3/db", "postgresql://a:1,b:5432,[::1]:3/db"),
        ("jdbc:postgresql:testdb", "postgresql://localhost:5432/testdb"),
        ("jdbc:postgresql:/testdb", "postgresql://localhost:5432/testdb"),
        ("jdbc:postgresql:///testdb", "postgresql://localhost:5432/testdb"),
        ("jdbc:postgresql:", "postgresql://localhost:5432"),
        ("jdbc:POSTGRESQL://h/", "postgresql://h:5432"),
        ("jdbc:postgresql://h/my%20db", "postgresql://h:5432/my db"),
        ("jdbc:postgresql://h/d?user=u&password=a%26b%25+c", "postgresql://h:5432/d user=u password=a&b% c"),
        ("jdbc:postgresql://h/d?ssl", "postgresql://h:5432/d sslmode=verify-full"),
        ("jdbc:postgresql://h/d?ssl=true&sslmode=require", "postgresql://h:5432/d sslmode=require"),
        ("jdbc:postgresql://h/d?ssl=false", "postgresql://h:5432/d"),
        (
            "jdbc:postgresql://h/d?ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory",
            "postgresql://h:5432/d sslmode=require",
        ),
        (
            "jdbc:postgresql://h/d?currentSchema=a,b&options=-c%20x%3D1&targetServerType=master",
            "postgresql://h:5432/d currentSchema=a,b options=-c x=1 targetServerType=primary",
        ),
        ("postgres://u:p%40w@h:6/d?application_name=x", "postgresql://h:6/d user=u password=p@w ApplicationName=x"),
        ("postgresql://h", "postgresql://h:5432"),
        ("postgres:///d?host=/run/pg&keepalives=0", "postgresql:///run/pg:5432/d tcpKeepAlive=false"),
        ("jdbc:sqlite:/data/a b.db", "sqlite:/data/a b.db"),
        ("jdbc:sqlite:relative.db?busy_timeout=5&date_class=text", "sqlite:relative.db busy_timeout=5 date_class=TEXT"),
        ("jdbc:sqlite:", "sqlite::memory:"),
        ("jdbc:sqlite::memory:", "sqlite::memory:"),
        ("jdbc:sqlite:file:/d/a%20b?mode=ro&cache=shared", "sqlite:/d/a b cache=shared mode=ro"),
        ("jdbc:sqlite:file:///d/a", "sqlite:/d/a"),
        ("sqlite:///d/a", "sqlite:/d/a"),
        ("sqlite::memory:", "sqlite::memory:"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn other_texts_are_refused_with_what_is_accepted() {
    for (text, phrase) in [
        ("", "is missing; write jdbc:postgresql://"),
        ("localhost", "is not a URL"),
        ("jdbc:postgresql", "must be jdbc:<subprotocol>:<name>"),
        ("JDBC:postgresql://h/d", "must be in lower case"),
        ("jdbc:postgresql://h:5432", "needs a `/` after the host"),
        ("jdbc:postgresql://h:x/d", "port"),
        ("jdbc:postgresql://h:70000/d", "port"),
        ("jdbc:postgresql://::1/d", "brackets"),
        ("jdbc:postgresql://[::1/d", "without a `]`"),
        ("jdbc:postgresql://u:p@h/d", "connection.user"),
        ("jdbc:postgresql://h/d?password=%zz", "%25"),
        ("jdbc:oracle:thin:@h:1521:x", "there is no dialect"),
        ("jdbc:aws-wrapper:postgresql://h/d", "there is no dialect"),
        ("jdbc:sqlite::resource:a.db", "Java archive"),
        ("jdbc:sqlite:file://host/a", "another host"),
    ] {
        let error = parse(text, &[]).unwrap_err();
        assert!(error.contains(phrase), "{text}: {error}");
    }
}

#[test]
fn parameters_are_kept_ignored_refused_or_unknown() {
    let passed_on = [("sslmode", "disable"), ("ApplicationName", "x"), ("pasword", "hush"), ("socketFactory", "y")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let text = "jdbc:postgresql://h/d?sslmode=require&stringtype=unspecified&connectTimeout=3&socketTimeout=0&sslmod=x";
    let found = parse(text, &passed_on).unwrap();
    assert_eq!(found.url.parameters["sslmode"], "require", "the URL wins");
    assert_eq!(found.url.parameters["ApplicationName"], "x");
    assert_eq!(found.ignored, ["stringtype"]);
    assert_eq!(found.connect_timeout, Some(Duration::from_secs(3)));
    assert_eq!(found.socket_timeout, Some(Duration::from_secs(86_400)));
    let problems: Vec<_> = found.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(problems, ["connection.socketFactory"]);
    let warnings: Vec<_> =
        found.warnings.iter().map(|warning| (warning.key.as_str(), warning.nearest.as_deref().unwrap())).collect();
    assert_eq!(warnings, [("connection.pasword", "connection.password"), ("connection.url", "sslmode")]);
}
