//! Encryption: who is trusted, who is asked, and what is said when it does not hold.

use rowtide::config::spec::{Secret, SourceSpec};
use rowtide::error::ErrorKind;
use rowtide::model::{CursorColumn, CursorKind, CursorValue, PlannedQuery};

use crate::support::tls_files as files;

use super::place::{Database, Place, Server, Tls, connect, plain, refused};

/// A source with TLS: the mode, the authority and the client's certificate where they are wanted.
fn source(place: &Place, tls: &Tls, mode: usize, authority: Option<&str>, has_certificate: bool) -> SourceSpec {
    let mut source = place.source.clone();
    let file = |name: &str| format!("{}/{name}", tls.folder);
    let parameters = &mut source.url.parameters;
    parameters.insert(tls.names[0].to_owned(), tls.modes[mode].to_owned());
    if let Some(authority) = authority {
        parameters.insert(tls.names[1].to_owned(), authority.to_owned());
    }
    if has_certificate {
        parameters.insert(tls.names[2].to_owned(), file("client.pem"));
        parameters.insert(tls.names[3].to_owned(), file("client.key"));
        source.user = Some("tls_user".to_owned());
    }
    source
}

async fn is_encrypted(source: &SourceSpec, server: &dyn Server) -> bool {
    let query = PlannedQuery {
        cursor: vec![CursorColumn { index: 0, kind: CursorKind::Integer }],
        ..plain(server.is_encrypted())
    };
    connect(source).await.unwrap().probe(&query).await.unwrap() == Some(CursorValue::Integer(1))
}

pub(super) async fn tls_is_checked_as_far_as_asked(database: &'static dyn Database) {
    let Some(server) = database.server() else { return };
    let (place, tls) = (Place::new(database, ""), server.tls());
    let authority = format!("{}/ca.pem", tls.folder);
    connect(&source(&place, &tls, 0, None, false)).await.unwrap();
    assert!(is_encrypted(&source(&place, &tls, 1, None, false), server).await);
    assert!(is_encrypted(&source(&place, &tls, 2, Some(&authority), false), server).await);
    let mut named = source(&place, &tls, 3, Some(&authority), false);
    assert!(is_encrypted(&named, server).await);
    // Known by another name than its certificate says: 127.0.0.2 leads to nobody or to the same server.
    named.url.hosts[0].0 = "127.0.0.2".to_owned();
    assert_ne!(refused(&named).await.kind(), ErrorKind::Auth);
}

pub(super) async fn another_authority_is_refused(database: &'static dyn Database) {
    let Some(server) = database.server() else { return };
    let (place, tls) = (Place::new(database, ""), server.tls());
    // A certificate that has signed nobody.
    let stranger = format!("{}/client.pem", tls.folder);
    for mode in [2, 3] {
        let error = refused(&source(&place, &tls, mode, Some(&stranger), false)).await;
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        let error = refused(&source(&place, &tls, mode, None, false)).await;
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    }
    let error = refused(&source(&place, &tls, 2, Some("no/such/file.pem"), false)).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.report().contains("no/such/file.pem"), "{}", error.report());
}

pub(super) async fn a_client_can_show_a_certificate(database: &'static dyn Database) {
    let Some(server) = database.server() else { return };
    let (place, tls) = (Place::new(database, ""), server.tls());
    let authority = format!("{}/ca.pem", tls.folder);
    assert!(is_encrypted(&source(&place, &tls, 3, Some(&authority), true), server).await);
    let mut without = source(&place, &tls, 3, Some(&authority), false);
    without.user = Some("tls_user".to_owned());
    let error = refused(&without).await;
    assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
}

/// Writes a file of a test's own and gives its path.
fn file(place: &Place, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = place.folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

pub(super) async fn any_authority_of_a_file_is_trusted(database: &'static dyn Database) {
    let Some(server) = database.server() else { return };
    let (place, tls) = (Place::new(database, ""), server.tls());
    let (own, _) = files::authorities(&tls.folder);
    // Of the same name, so that only the key tells them apart.
    let strangers: String = (0..3).map(|_| files::stranger("rowtide tests").0).collect();
    let (between, root) = own.split_at(own.rfind("-----BEGIN").unwrap());
    for (name, bytes) in [
        ("bundle.pem", format!("{strangers}{root}").into_bytes()),
        ("chain.pem", own.clone().into_bytes()),
        ("turned.pem", format!("{root}{between}").into_bytes()),
        ("marked.pem", format!("\u{feff}\n# the root\n{}", root.replace('\n', "\r\n")).into_bytes()),
        ("root.der", files::der(root)),
    ] {
        let path = file(&place, name, bytes);
        for mode in [2, 3] {
            assert!(is_encrypted(&source(&place, &tls, mode, Some(&path), false), server).await, "{name}");
        }
    }
    let path = file(&place, "strangers.pem", strangers);
    let error = refused(&source(&place, &tls, 2, Some(&path), false)).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.advice().contains(&path) && error.advice().contains("CN=rowtide tests"), "{}", error.advice());
}

pub(super) async fn a_client_s_key_is_taken_in_every_form(database: &'static dyn Database) {
    let Some(server) = database.server() else { return };
    let (place, tls) = (Place::new(database, ""), server.tls());
    let authority = format!("{}/ca.pem", tls.folder);
    let read = |name: &str| std::fs::read_to_string(format!("{}/{name}", tls.folder)).unwrap();
    // The server knows the root only: what is between it is shown.
    let (chain, plain) = (read("chained-client.pem"), read("chained-client.key"));
    let certificate = file(&place, "client.pem", &chain);
    let bag = "Bag Attributes\n    localKeyID: 01\nKey Attributes: <No Attributes>\n";
    for (name, bytes, password) in [
        ("ec.key", files::sec1(&plain), None),
        ("bag.key", format!("{bag}{plain}").into_bytes(), None),
        ("marked.key", format!("\u{feff}{plain}").into_bytes(), None),
        ("blank.key", format!("\n{plain}").into_bytes(), None),
        ("der.pk8", files::pkcs8_der(&plain), None),
        ("locked.key", files::locked(&plain, "opens"), Some("opens")),
        ("locked.pk8", files::locked_der(&plain, "opens"), Some("opens")),
        ("store.p12", files::pkcs12(&chain, &plain, "opens"), Some("opens")),
    ] {
        let path = file(&place, name, bytes);
        for mode in [1, 3] {
            let mut source = source(&place, &tls, mode, Some(&authority), true);
            let parameters = &mut source.url.parameters;
            parameters.insert(tls.names[2].to_owned(), certificate.clone());
            parameters.insert(tls.names[3].to_owned(), path.clone());
            if name.ends_with(".p12") {
                parameters.remove(tls.names[2]);
            }
            parameters.extend(password.map(|password| (tls.password.to_owned(), password.to_owned())));
            assert!(is_encrypted(&source, server).await, "{name} {mode}");
        }
    }
}

pub(super) async fn a_stranger_s_key_is_refused_with_the_reason(database: &'static dyn Database) {
    let Some(server) = database.server() else { return };
    let (place, tls) = (Place::new(database, ""), server.tls());
    let authority = format!("{}/ca.pem", tls.folder);
    let (certificate, key) = files::stranger("tls_user");
    let locked = files::locked(&key, "opens");
    let with = |key: &str| {
        let mut source = source(&place, &tls, 3, Some(&authority), true);
        source.url.parameters.insert(tls.names[3].to_owned(), key.to_owned());
        source
    };
    let foreign = file(&place, "foreign.key", &key);
    let error = refused(&with(&foreign)).await;
    assert!(error.report().contains(&foreign) && error.report().contains("does not belong"), "{}", error.report());
    let error = refused(&with(&file(&place, "locked.key", locked))).await;
    assert_eq!(error.advice(), format!("set {}", tls.password));
    let jks = file(&place, "store.jks", [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]);
    let error = refused(&with(&jks)).await;
    assert!(error.advice().contains(&format!("keytool -importkeystore -srckeystore {jks}")), "{}", error.advice());
    // Nobody the server knows has signed it.
    let mut unknown = with(&foreign);
    unknown.url.parameters.insert(tls.names[2].to_owned(), file(&place, "foreign.pem", certificate));
    let error = refused(&unknown).await;
    assert!(matches!(error.kind(), ErrorKind::Config | ErrorKind::Auth), "{error:?}");
}

pub(super) async fn a_password_is_shown_with_and_without_tls(database: &'static dyn Database) {
    let Some(server) = database.server() else { return };
    let (place, tls) = (Place::new(database, ""), server.tls());
    let (user, password) = server.user_with_password();
    for mode in [0, 1, 0] {
        let mut source = source(&place, &tls, mode, None, false);
        source.user = Some(user.clone());
        source.password = Some(Secret::new(password.clone()));
        match connect(&source).await {
            Ok(_) => {}
            Err(error) if mode == 0 && database.passwords_want_tls() => {
                assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
                assert!(error.advice().contains(tls.modes[1]), "{}", error.advice());
            }
            Err(error) => panic!("{}: {error:?}", tls.modes[mode]),
        }
    }
}

pub(super) async fn another_kind_of_server_is_told(database: &'static dyn Database) {
    if database.server().is_none() {
        return;
    }
    let place = Place::new(database, "");
    let mut source = place.source.clone();
    source.url.hosts = vec![database.strange_server()];
    source.connect_timeout = std::time::Duration::from_secs(1);
    let error = refused(&source).await;
    assert!(matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Config), "{error:?}");
    assert!(error.advice().contains("check"), "{} {}", error.report(), error.advice());
}
