//! No secret is in the `Debug` of a specification, nor in a report, whatever it is about.

use super::*;

const SECRET: &str = "hush-hush";

#[test]
fn a_specification_can_be_printed() {
    let environment = BTreeMap::from([("SECRET".to_owned(), SECRET.to_owned())]);
    let worker = "bootstrap.servers=b:1\nsecurity.protocol=SASL_SSL\nssl.keystore.password=${env:SECRET}\n\
        sasl.jaas.config=org.apache.X required username=\"u\" password=\"hush-hush\";\n\
        producer.sasl.jaas.config=x hush-hush\nproducer.ssl.key.password=hush-hush\n\
        value.converter.schema.registry.url=https://u:hush-hush@r:1\n\
        value.converter.basic.auth.user.info=u:hush-hush\n";
    let surroundings = Surroundings { environment, ..surroundings(worker) };
    let changes = changed(&[
        ("connection.url", Some("jdbc:postgresql://h/d?sslpassword=hush-hush&password=hush-hush")),
        ("connection.password", Some("hush-hush")),
        ("connection.user", Some("u")),
        ("table.whitelist", None),
        ("query.masked", Some("select 'hush-hush' as x")),
        ("consumer.override.sasl.jaas.config", Some("hush-hush")),
    ]);
    let loaded = connector(Document::from_map("c", changes), surroundings).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.spec.kafka.common["ssl.keystore.password"], SECRET);
    let url = "jdbc:mysql://u:hush-hush@h/d?trustCertificateKeyStoreUrl=file:/a.p12\
        &trustCertificateKeyStorePassword=hush-hush&clientCertificateKeyStoreUrl=file:/b.p12";
    let stores = [("connection.url", Some(url)), ("connection.clientCertificateKeyStorePassword", Some("hush-hush"))];
    let source = with(&stores).unwrap_or_else(|report| panic!("{report}")).spec.source;
    assert_eq!(source.url.parameters["keyStorePassword"], SECRET);
    assert!(!format!("{source:?} {}", source.url).contains(SECRET));
    let shown = format!("{:?} {:#?} {}", loaded.spec, loaded.spec, loaded.spec.source.url);
    assert!(!shown.contains(SECRET), "{shown}");
    assert!(!loaded.report.to_string().contains(SECRET) && !format!("{:?}", loaded.report).contains(SECRET));
}

#[test]
fn a_report_shows_no_secret_even_if_every_value_is_one() {
    let environment = BTreeMap::from([("SECRET".to_owned(), SECRET.to_owned())]);
    for definition in keys::all() {
        let key = definition.name.replace('*', "x");
        for value in [SECRET, "${env:SECRET}"] {
            // A secret in the place of a value that is none has been shown by its author.
            // And names of groups, transforms and predicates are parts of other keys, which have to be named.
            let are_names = ["topic.creation.groups", "transforms", "predicates"].contains(&key.as_str());
            if value == SECRET && !keys::is_secret(&key) || are_names {
                continue;
            }
            let surroundings = Surroundings { environment: environment.clone(), strict: true, ..surroundings(WORKER) };
            let document = Document::from_map("c", changed(&[(&key, Some(value))]));
            let shown = match connector(document, surroundings) {
                Ok(loaded) => loaded.report.to_string(),
                Err(report) => report.to_string(),
            };
            assert!(!shown.contains(SECRET), "{key}={value}: {shown}");
        }
    }
    for url in [
        "jdbc:postgresql://u:hush-hush@h/d",
        "postgres://u:hush-hush@h:x/d",
        "postgres://u:hush?hush-hush@h/d",
        "jdbc:postgresql://h/d?password=hush-hush%zz",
        "jdbc:oracle:thin:u/hush-hush@h",
        "jdbc:sqlserver://h;password=hush-hush",
        "jdbc:postgresql://h/d?sslmode=x&password=a&hush-hush",
        "postgres://u:1/hush-hush@h/d",
        "jdbc:mysql://u:hush-hush@h:x/d",
        "jdbc:mysql://u:hush-hush(@h/d",
        "jdbc:mysql://u:1,hush-hush@h/d",
        "jdbc:mysql://address=(host=h)(port=x)(password=hush-hush)/d",
        "jdbc:mysql://u:hush-hush@h,u:other@i/d",
        "jdbc:mysql://h/d?password=hush-hush&sslMode=x",
        "jdbc:mysql://h/d?trustCertificateKeyStoreUrl=file:/a.jks&trustCertificateKeyStorePassword=hush-hush",
        "jdbc:mysql:hush-hush@h//d",
        "jdbc:mariadb://u:hush-hush@h/d",
        "mysql://u:1#hush-hush@h/d",
        "mysql://u:1/hush-hush@h/d",
        "mysqlx://u:hush-hush@h/d",
        "jdbc:tidb://u:hush-hush@h/d",
    ] {
        let shown = match with(&[("connection.url", Some(url))]) {
            Ok(loaded) => format!("{loaded:?} {}", loaded.report),
            Err(report) => report.to_string(),
        };
        assert!(!shown.contains("hush-hush"), "{shown}");
    }
}
