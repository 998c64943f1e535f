//! A server that sends its own certificate only, as the databases here cannot be made to.

use rowtide::error::ErrorKind;

use super::place::{Database, Place, connect, refused};
use super::postgres::Postgres;
use crate::support::tls_files;
use crate::support::tls_proxy::{Before, serve};

#[tokio::test]
async fn an_authority_between_is_found_in_the_file_where_the_server_does_not_send_it() {
    let place = Place::new(&Postgres, "");
    let folder = Postgres.server().unwrap().tls().folder;
    let (host, port) = place.source.url.hosts[0].clone();
    let proxy = serve(&folder, &format!("{host}:{port}"), Before::PostgreSql, false, false).await;
    let (authorities, _) = tls_files::authorities(&folder);
    let (between, root) = authorities.split_at(authorities.rfind("-----BEGIN").unwrap());
    assert!(!between.is_empty(), "the server's certificate is signed by the root itself");
    let strangers: String = (0..3).map(|_| tls_files::stranger("rowtide tests").0).collect();
    for (name, pem, holds) in [
        ("both", authorities.clone(), true),
        ("turned", format!("{strangers}{root}{between}"), true),
        ("between", between.to_owned(), true),
        ("root", root.to_owned(), false),
        ("strangers", strangers.clone(), false),
    ] {
        let path = place.folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        let mut source = place.source.clone();
        source.url.hosts = vec![("localhost".to_owned(), proxy)];
        source.url.parameters.insert("sslmode".to_owned(), "verify-full".to_owned());
        source.url.parameters.insert("sslrootcert".to_owned(), path.display().to_string());
        if holds {
            connect(&source).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        } else {
            let error = refused(&source).await;
            assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
            assert!(error.advice().contains("CN=rowtide tests, between"), "{}", error.advice());
        }
    }
}
