//! The grammar of URLs as a table, and what the parameters of three drivers become.

use std::time::Duration;

use super::super::{Connection, parse, tests::shown};

#[test]
fn addresses_of_every_form_are_understood() {
    for (text, expected) in [
        ("jdbc:mysql://db/shop", "mysql://db:3306/shop"),
        ("jdbc:mysql://db:3307", "mysql://db:3307"),
        ("jdbc:mysql://db/", "mysql://db:3306"),
        ("jdbc:mysql:///shop", "mysql://localhost:3306/shop"),
        ("jdbc:MySQL://db?user=u#fragment", "mysql://db:3306 user=u"),
        ("jdbc:mysql://[::1]:4/shop", "mysql://[::1]:4/shop"),
        ("jdbc:mysql://a,b:1,[::1]/shop", "mysql://a:3306,b:1,[::1]:3306/shop"),
        ("jdbc:mysql://[a:1,b]/my%20shop", "mysql://a:1,b:3306/my shop"),
        ("jdbc:mysql://u:p%40w@h/d?password=a+b", "mysql://h:3306/d user=u password=a b"),
        ("jdbc:mysql://u:p@w@[a,b]/d", "mysql://a:3306,b:3306/d user=u password=p@w"),
        ("jdbc:mysql://u@a,b/d", "mysql://a:3306,b:3306/d user=u"),
        ("jdbc:mysql://(host=a,port=1),(host=::1)/d", "mysql://a:1,[::1]:3306/d"),
        ("jdbc:mysql://address=(host=a)(port=1)(user=u)(password=x/y)/d", "mysql://a:1/d user=u password=x/y"),
        ("jdbc:mysql://ADDRESS=(protocol=tcp)(host=a)(sslMode=required)/d", "mysql://a:3306/d sslMode=REQUIRED"),
        ("jdbc:mysql:loadbalance://a,b/d", "mysql://a:3306,b:3306/d"),
        ("jdbc:mysql:replication://a,b,c/d", "mysql://a:3306/d"),
        ("jdbc:mysql:replication://(host=a,type=replica),(host=b,type=source)/d", "mysql://b:3306/d"),
        ("jdbc:mariadb:sequential://a,b:1/d", "mariadb://a:3306,b:1/d"),
        (
            "jdbc:mariadb:replication://address=(type=slave)(host=a),address=(type=master)(host=b)/d",
            "mariadb://b:3306/d",
        ),
        ("jdbc:mariadb://h/d?user=u&password=a%40+b#c", "mariadb://h:3306/d user=u password=a%40+b#c"),
        ("jdbc:mysql://h/d?permitMysqlScheme&password=a%zz", "mariadb://h:3306/d password=a%zz"),
        ("mysql://u:p%2Fw@h/d?password=a+b", "mysql://h:3306/d user=u password=a+b"),
        ("mariadb://h", "mariadb://h:3306"),
        ("tidb://root@h/test", "tidb://h:4000/test user=root"),
        ("tidb://a,b:5/test", "tidb://a:4000,b:5/test"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn other_texts_are_refused_with_what_to_write() {
    for (text, phrase) in [
        ("jdbc:mysql:db", "needs `//` before the host: jdbc:mysql://host:port/database"),
        ("mysql:h/d", "needs `//`"),
        ("jdbc:mysql:aws://h/d", "write jdbc:mysql://"),
        ("jdbc:mariadb:aurora://h/d", "the cluster's endpoint"),
        ("jdbc:mysql:fabric://h/d", "unknown kind of host list; there are jdbc:mysql://"),
        ("jdbc:mysql+srv://h/d", "service records"),
        ("mysqlx://h/d", "X protocol"),
        ("jdbc:tidb://h/d", "jdbc:mysql://host:4000"),
        ("jdbc:mariadb://u:p@h/d", "connection.user"),
        ("jdbc:mysql://h:x/d", "port"),
        ("jdbc:mysql://address=(host=h)(port=0)/d", "port"),
        ("jdbc:mysql://address=(protocol=pipe)(path=p)/d", "protocol is not tcp"),
        ("jdbc:mysql://(host=a,type=x)/d", "neither source nor replica"),
        ("jdbc:mysql:replication://(host=a,type=replica)/d", "no host of type source"),
        ("jdbc:mysql://(host=a/d", "do not match"),
        ("jdbc:mysql://u:1,w@h/d", "users or parameters of their own"),
        ("jdbc:mysql://u@a,v@b/d", "users or parameters of their own"),
        ("jdbc:mysql://h//d", "second `/`"),
        ("mysql://u:a/b@h/d", "%2F"),
        ("mysql://u:a#b@h/d", "%23"),
        ("mysql://h/d?password=%zz", "%25"),
    ] {
        let error = parse(text, &[]).unwrap_err();
        assert!(error.contains(phrase), "{text}: {error}");
    }
}

/// The parameters kept, after `://h/d?`.
fn kept(scheme: &str, parameters: &str) -> String {
    let shown = shown(&format!("{scheme}://h/d?{parameters}"));
    shown.split_once("/d").map(|(_, rest)| rest.trim().to_owned()).unwrap_or(shown)
}

#[test]
fn every_way_to_ask_for_encryption_becomes_one() {
    for (scheme, parameters, expected) in [
        ("jdbc:mysql", "", ""),
        ("jdbc:mysql", "sslMode=verify_ca&useSSL=false", "sslMode=VERIFY_CA"),
        ("jdbc:mysql", "useSSL=false&requireSSL=true", "sslMode=DISABLED"),
        ("jdbc:mysql", "useSSL=true", "sslMode=PREFERRED"),
        ("jdbc:mysql", "requireSSL=TRUE", "sslMode=REQUIRED"),
        ("jdbc:mysql", "useSSL=true&requireSSL=true&verifyServerCertificate=true", "sslMode=VERIFY_CA"),
        ("jdbc:mysql", "requireSSL=false", "sslMode=PREFERRED"),
        ("jdbc:mariadb", "sslMode=trust", "sslMode=REQUIRED"),
        ("jdbc:mariadb", "sslMode=verify-full", "sslMode=VERIFY_IDENTITY"),
        ("jdbc:mariadb", "useSsl", "sslMode=VERIFY_IDENTITY"),
        ("jdbc:mariadb", "useSSL=true&trustServerCertificate=true", "sslMode=REQUIRED"),
        ("jdbc:mariadb", "useSsl=true&disableSslHostnameVerification=1", "sslMode=VERIFY_CA"),
        ("jdbc:mariadb", "useSsl=false", "sslMode=DISABLED"),
        ("jdbc:mariadb", "trustServerCertificate=true", ""),
        ("mysql", "ssl-mode=verify_identity&ssl-ca=/ca.pem", "sslCa=/ca.pem sslMode=VERIFY_IDENTITY"),
        ("mariadb", "sslmode=required&ssl_cert=c.pem&ssl_key=k.pem", "sslCert=c.pem sslKey=k.pem sslMode=REQUIRED"),
    ] {
        assert_eq!(kept(scheme, parameters), expected, "{scheme} {parameters}");
    }
}

#[test]
fn key_stores_are_pem_by_type_or_name() {
    for (scheme, parameters, expected) in [
        (
            "jdbc:mysql",
            "trustCertificateKeyStoreUrl=file:///a%20b.p12&trustCertificateKeyStorePassword=p",
            "trustStore=/a b.p12 trustStorePassword=p",
        ),
        ("jdbc:mysql", "trustCertificateKeyStoreUrl=file:/a&trustCertificateKeyStoreType=PKCS12", "trustStore=/a"),
        ("jdbc:mysql", "trustCertificateKeyStoreUrl=file:/a.p12&trustCertificateKeyStoreType=JKS", "trustStore=/a.p12"),
        (
            "jdbc:mysql",
            "clientCertificateKeyStoreUrl=file:/a.pem&clientCertificateKeyStorePassword=p",
            "keyStorePassword=p sslCert=/a.pem sslKey=/a.pem",
        ),
        ("jdbc:mysql", "trustCertificateKeyStoreType=PEM&trustCertificateKeyStoreUrl=file:/a", "sslCa=/a"),
        ("jdbc:mysql", "trustCertificateKeyStoreType=JKS&clientCertificateKeyStorePassword=p", ""),
        ("jdbc:mariadb", "keyStore=/k.p12&keyStorePassword=p&keyPassword=p", "keyStore=/k.p12 keyStorePassword=p"),
        ("jdbc:mariadb", "serverSslCert=/ca.pem", "sslCa=/ca.pem"),
        ("jdbc:mariadb", "serverSslCert=/ca.pem&trustStore=/t.p12", "trustStore=/t.p12"),
        ("mysql", "ssl-cert=/both.pem", "sslCert=/both.pem sslKey=/both.pem"),
        ("mysql", "ssl-key=/both.p12&keyPassword=p", "keyStorePassword=p sslCert=/both.p12 sslKey=/both.p12"),
        // Since Java 9 a file of this name is PKCS12 as a rule; its content decides.
        ("jdbc:mysql", "trustCertificateKeyStoreUrl=file:/a.jks&trustCertificateKeyStoreType=JKS", "trustStore=/a.jks"),
    ] {
        assert_eq!(kept(scheme, parameters), expected, "{scheme} {parameters}");
    }
}

#[test]
fn the_zone_of_the_session_is_set_only_if_asked_for() {
    for (scheme, parameters, expected) in [
        ("jdbc:mysql", "serverTimezone=UTC", ""),
        ("jdbc:mysql", "connectionTimeZone=Mars/Olympus&forceConnectionTimeZoneToSession=false", ""),
        ("jdbc:mysql", "connectionTimeZone=SERVER&forceConnectionTimeZoneToSession=true", ""),
        ("jdbc:mysql", "connectionTimeZone=UTC&forceConnectionTimeZoneToSession=true", "sessionZone=+00:00"),
        ("jdbc:mysql", "serverTimezone=GMT%2B2&forceConnectionTimeZoneToSession=true", "sessionZone=+02:00"),
        ("jdbc:mysql", "serverTimezone=Etc/GMT%2B5&forceConnectionTimeZoneToSession=true", "sessionZone=-05:00"),
        (
            "jdbc:mysql",
            "serverTimezone=Europe/Berlin&forceConnectionTimeZoneToSession=true",
            "sessionZone=Europe/Berlin",
        ),
        ("jdbc:mariadb", "timezone=Asia/Kolkata", "sessionZone=Asia/Kolkata"),
        ("mysql", "time-zone=%2B05:30", "sessionZone=+05:30"),
        ("mysql", "timezone=SYSTEM", ""),
    ] {
        assert_eq!(kept(scheme, parameters), expected, "{scheme} {parameters}");
    }
}

#[test]
fn values_are_settled_and_names_are_translated() {
    for (scheme, parameters, expected) in [
        ("jdbc:mysql", "zeroDateTimeBehavior=convertToNull", "zeroDateTimeBehavior=CONVERT_TO_NULL"),
        ("jdbc:mysql", "zeroDateTimeBehavior=CONVERT_TO_NULL", "zeroDateTimeBehavior=CONVERT_TO_NULL"),
        ("jdbc:mysql", "zerodatetimebehavior=round", "zeroDateTimeBehavior=ROUND"),
        ("jdbc:mysql", "tinyInt1isBit=no&yearIsDateType=FALSE", "tinyInt1isBit=false yearIsDateType=false"),
        ("jdbc:mysql", "nullCatalogMeansCurrent=true", "nullDatabaseMeansCurrent=true"),
        ("jdbc:mysql", "sessionVariables=sql_mode='',a=1", "sessionVariables=sql_mode='',a=1"),
        ("jdbc:mysql", "connectionCollation=utf8_unicode_ci", "connectionCollation=utf8mb4_unicode_ci"),
        ("mysql", "collation=utf8mb4_bin&charset=utf8mb4", "connectionCollation=utf8mb4_bin"),
        ("mysql", "socket=/run/mysqld.sock", "socket=/run/mysqld.sock"),
        ("jdbc:mariadb", "localSocket=/run/mysqld.sock", "socket=/run/mysqld.sock"),
        ("jdbc:mysql", "allowPublicKeyRetrieval=true&databaseTerm=CATALOG", "allowPublicKeyRetrieval=true"),
    ] {
        assert_eq!(kept(scheme, parameters), expected, "{scheme} {parameters}");
    }
}

fn with(text: &str, passed_on: &[(&str, &str)]) -> Connection {
    let passed_on: Vec<_> = passed_on.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    parse(text, &passed_on).unwrap()
}

#[test]
fn what_cannot_be_honoured_is_refused_with_a_reason() {
    for (parameter, phrase) in [
        ("sslMode=on", "DISABLED, PREFERRED, REQUIRED"),
        ("databaseTerm=SCHEMA", "databases are catalogs"),
        ("authenticationPlugins=a.B", "log in with user and password"),
        ("defaultAuthenticationPlugin=com.azure.AzureMysqlAuthenticationPlugin", "log in with user and password"),
        ("socketFactory=com.google.cloud.sql.mysql.SocketFactory", "the address of a proxy"),
        ("queryInterceptors=a.B", "Java class"),
        ("useConfigs=maxPerformance", "one by one"),
        ("propertiesTransform=a.B", "Java class"),
        ("dnsSrv=true", "service records"),
        ("padCharsWithSpace=true", "PAD_CHAR_TO_FULL_LENGTH"),
        ("maxRows=10", "batch.max.rows"),
        ("connectTimeout=10s", "milliseconds"),
        ("useSSL=maybe", "true or false"),
        ("connectionCollation=utf8mb4_bin;drop", "name of a collation"),
        ("connectionCollation=utf8mb4", "name of a collation"),
        ("socket=mysqld.sock", "whole path"),
        ("trustCertificateKeyStoreUrl=https://a/b", "must be a file"),
        ("serverSslCert=classpath:ca.pem", "must be a file"),
        ("forceConnectionTimeZoneToSession=true", "name a zone in connectionTimeZone"),
    ] {
        let found = with(&format!("jdbc:mysql://h/d?{parameter}"), &[]);
        let name = parameter.split_once('=').unwrap().0;
        let messages: Vec<_> = found.problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(messages.len(), 1, "{parameter}");
        assert!(
            messages[0].starts_with(&format!("parameter {name}: ")) && messages[0].contains(phrase),
            "{messages:?}"
        );
    }
    let store = [("trustCertificateKeyStoreUrl", "jar:/a"), ("trustCertificateKeyStoreType", "JKS")];
    let zone = [("forceConnectionTimeZoneToSession", "true"), ("serverTimezone", "LOCAL")];
    for (passed_on, key) in [(store, "connection.trustCertificateKeyStoreUrl"), (zone, "connection.serverTimezone")] {
        assert_eq!(with("jdbc:mysql://h/d", &passed_on).problems[0].key, key);
    }
}

#[test]
fn what_only_steers_the_java_driver_is_ignored() {
    let text = "jdbc:mysql://h/d?useCursorFetch=true&serverTimezone=UTC&ha.enableJMX=true&loadBalancePingTimeout=1\
        &defaultAuthenticationPlugin=com.mysql.cj.protocol.a.authentication.CachingSha2PasswordPlugin&cachePrepStmts=1";
    let found = with(text, &[("defaultFetchSize", "100"), ("dnsSrv", "false")]);
    assert!(found.url.parameters.is_empty() && found.problems.is_empty() && found.warnings.is_empty());
    let expected = [
        "useCursorFetch",
        "ha.enableJMX",
        "loadBalancePingTimeout",
        "defaultAuthenticationPlugin",
        "cachePrepStmts",
        "defaultFetchSize",
        "dnsSrv",
        "serverTimezone",
    ];
    assert_eq!(found.ignored, expected);
}

#[test]
fn a_collation_of_another_character_set_is_noted() {
    for parameter in ["connectionCollation=latin1_swedish_ci", "connectionCollation=binary", "collation=cp1251_bin"] {
        let found = with(&format!("jdbc:mysql://h/d?{parameter}"), &[]);
        assert!(found.url.parameters.is_empty() && found.problems.is_empty(), "{parameter}");
        let message = &found.warnings[0].message;
        assert!(message.starts_with(parameter) && message.contains("text comes as utf8mb4"), "{message}");
    }
}

#[test]
fn times_are_milliseconds_and_keys_win_over_the_url() {
    let text = "jdbc:mysql://u:p@h/d?connectTimeout=1500&socketTimeout=0&sslMode=DISABLED&useCursorFech=1&timezone=UTC";
    let found = with(text, &[("sslmode", "REQUIRED")]);
    assert_eq!(found.connect_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(found.socket_timeout, Some(Duration::from_secs(86_400)));
    assert_eq!(found.url.parameters["sslMode"], "REQUIRED");
    assert!(found.keys_win);
    let meant: Vec<_> = found.warnings.iter().map(|warning| warning.nearest.as_deref()).collect();
    assert_eq!(meant.len(), 2, "Connector/J has no parameter timezone");
    assert_eq!(meant[0], Some("useCursorFetch"));
}
