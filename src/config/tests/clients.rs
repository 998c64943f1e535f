//! Settings of the Kafka clients: in whatever place and under whatever name they stand, all clients go to the one
//! cluster, and a setting has one value.

use super::*;

/// The report of a connector with one more setting: a key of its file, of the worker's, a variable, or `--set`.
fn loaded(place: &str, key: &str, value: &str) -> Result<Loaded<ConnectorSpec>, Report> {
    let pair = (key.to_owned(), value.to_owned());
    let mut surroundings = surroundings(WORKER);
    let mut map = changed(&[]);
    match place {
        "connector" => drop(map.insert(pair.0, pair.1)),
        "worker" => {
            let worker = format!("{WORKER}{key}={value}\n");
            surroundings.worker = Some(Document::parse("worker.properties", &worker).unwrap());
        }
        "environment" => drop(surroundings.environment.insert(pair.0, pair.1)),
        _ => surroundings.sets.push(pair),
    }
    connector(Document::from_map("c", map), surroundings)
}

#[test]
fn a_client_that_is_sent_to_another_cluster_is_refused_wherever_it_is_said() {
    for (place, key) in [
        ("connector", "producer.override.bootstrap.servers"),
        ("connector", "producer.override.metadata.broker.list"),
        ("connector", "consumer.override.bootstrap.servers"),
        ("connector", "admin.override.metadata.broker.list"),
        ("connector", "producer.bootstrap.servers"),
        ("worker", "producer.bootstrap.servers"),
        ("worker", "consumer.metadata.broker.list"),
        ("worker", "admin.bootstrap.servers"),
        ("environment", "CONNECT_PRODUCER_BOOTSTRAP_SERVERS"),
        ("environment", "CONNECT_CONSUMER_METADATA_BROKER_LIST"),
        ("--set", "producer.override.bootstrap.servers"),
        ("--set", "admin.metadata.broker.list"),
    ] {
        let report = loaded(place, key, "other:9092").expect_err(key);
        let text = report.to_string();
        assert_eq!(report.problems.len(), 1, "{text}");
        assert!(text.contains("records and offsets share a transaction"), "{text}");
        assert!(text.contains("with bootstrap.servers") && text.contains("found: other:9092"), "{text}");
        let same =
            loaded(place, key, " PLAINTEXT://LOCALHOST:9092 ").unwrap_or_else(|report| panic!("{key}: {report}"));
        assert_eq!(same.report.warnings, []);
        assert_eq!(same.spec.kafka.bootstrap_servers, "localhost:9092");
    }
    // One broker of several may be of another cluster, for all that is known.
    assert!(loaded("connector", "producer.override.bootstrap.servers", "localhost:9092,other:9092").is_err());
}

#[test]
fn a_setting_counts_under_each_of_its_names_and_has_one_value() {
    let producer = |loaded: Loaded<ConnectorSpec>| loaded.spec.kafka.producer;
    let other = producer(loaded("connector", "producer.override.queue.buffering.max.ms", "50").unwrap());
    assert_eq!(other, BTreeMap::from([("linger.ms".to_owned(), "50".to_owned())]));
    let kilobytes = producer(loaded("worker", "producer.queue.buffering.max.kbytes", "1024").unwrap());
    assert_eq!(kilobytes["buffer.memory"], "1048576");

    let two = [("producer.override.linger.ms", Some("5")), ("producer.override.queue.buffering.max.ms", Some("50"))];
    let report = with(&two).unwrap_err().to_string();
    assert!(report.contains("another name of the same setting") && report.contains("override.linger.ms"), "{report}");

    // The connector's counts, under whichever name.
    let worker = format!("{WORKER}producer.linger.ms=5\nproducer.compression.codec=gzip\nsasl.mechanisms=PLAIN\n");
    let map = changed(&[
        ("producer.override.queue.buffering.max.ms", Some("50")),
        ("producer.override.compression.type", Some("lz4")),
    ]);
    let kafka = connector(Document::from_map("c", map), surroundings(&worker)).unwrap().spec.kafka;
    assert_eq!((kafka.producer["linger.ms"].as_str(), kafka.producer["compression.type"].as_str()), ("50", "lz4"));
    assert_eq!(kafka.common["sasl.mechanism"], "PLAIN");
}

#[test]
fn what_exactly_once_delivery_fixes_is_said_under_each_name() {
    for (place, key, value) in [
        ("connector", "producer.override.acks", "1"),
        ("connector", "producer.override.request.required.acks", "1"),
        ("worker", "producer.request.required.acks", "0"),
        ("worker", "producer.enable.idempotence", "false"),
        ("environment", "CONNECT_PRODUCER_TRANSACTIONAL_ID", "mine"),
        ("worker", "consumer.auto.commit.enable", "true"),
    ] {
        let loaded = loaded(place, key, value).unwrap_or_else(|report| panic!("{key}: {report}"));
        let warnings = loaded.report.to_string();
        assert!(warnings.contains("has no effect: exactly-once delivery fixes it"), "{key}: {warnings}");
        assert!(loaded.spec.kafka.producer.is_empty() && loaded.spec.kafka.consumer.is_empty(), "{key}");
    }
}

#[test]
fn the_policy_knows_a_setting_under_each_of_its_names() {
    let worker = format!("{WORKER}connector.client.config.override.policy=Principal\n");
    let outcome = |key: &str| {
        let map = changed(&[(key, Some("PLAIN"))]);
        connector(Document::from_map("c", map), surroundings(&worker)).map(|loaded| loaded.spec.kafka.producer)
    };
    assert_eq!(outcome("producer.override.sasl.mechanisms").unwrap()["sasl.mechanism"], "PLAIN");
    assert!(outcome("producer.override.compression.codec").is_err());
}

#[test]
fn the_protocol_of_one_client_alone_is_refused() {
    for (place, key) in [
        ("connector", "producer.override.security.protocol"),
        ("worker", "consumer.security.protocol"),
        ("environment", "CONNECT_ADMIN_SECURITY_PROTOCOL"),
    ] {
        let report = loaded(place, key, "SASL_SSL").expect_err(key).to_string();
        assert!(report.contains("goes to the same brokers with PLAINTEXT"), "{report}");
        assert!(report.contains("for all clients"), "{report}");
        loaded(place, key, "plaintext").unwrap_or_else(|report| panic!("{key}: {report}"));
    }
    let all = ["producer", "consumer", "admin"].map(|name| format!("{name}.security.protocol=SSL\n")).concat();
    connector(Document::from_map("c", changed(&[])), surroundings(&format!("{WORKER}{all}"))).unwrap();
    let authority = loaded("connector", "producer.override.ssl.truststore.location", "ca.pem").unwrap().report;
    assert!(authority.to_string().contains("the consumer goes to the same brokers"), "{authority}");
}
