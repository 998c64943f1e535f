//! `GET /` for people: the page that shows connectors and tables, and by which they are managed. Its files are part of the
//! binary and ask for nothing elsewhere; whatever they show comes from the same REST that everybody has.

use std::sync::LazyLock;

use axum::extract::Request;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::answer::{Answer, Refused};
use super::request::At;
use crate::model::Hash;

/// The path of the page's files, as a route.
pub(super) const FILES: &str = "/rowtide/page/{file}";

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const INDEX: File = File { name: "", kind: "text/html; charset=utf-8", text: include_str!("page/index.html") };

/// The files that the page names.
const ALL: &[File] = &[
    File { name: "actions.js", kind: SCRIPT, text: include_str!("page/actions.js") },
    File { name: "api.js", kind: SCRIPT, text: include_str!("page/api.js") },
    File { name: "board.js", kind: SCRIPT, text: include_str!("page/board.js") },
    File { name: "columns.js", kind: SCRIPT, text: include_str!("page/columns.js") },
    File { name: "create.js", kind: SCRIPT, text: include_str!("page/create.js") },
    File { name: "detail.js", kind: SCRIPT, text: include_str!("page/detail.js") },
    File { name: "dom.js", kind: SCRIPT, text: include_str!("page/dom.js") },
    File { name: "events.js", kind: SCRIPT, text: include_str!("page/events.js") },
    File { name: "grid.js", kind: SCRIPT, text: include_str!("page/grid.js") },
    File { name: "icon.svg", kind: "image/svg+xml", text: include_str!("page/icon.svg") },
    File { name: "main.js", kind: SCRIPT, text: include_str!("page/main.js") },
    File { name: "style.css", kind: CSS, text: include_str!("page/style.css") },
    File { name: "words.js", kind: SCRIPT, text: include_str!("page/words.js") },
];

/// The policy of the browser towards the page: its own files, its own server, no frames around it, no forms to elsewhere.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

/// One file of the page.
struct File {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

/// The version of all files, which belong together.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let all = ALL.iter().chain([&INDEX]).fold(Hash::default(), |hash, file| hash.with(file.text.as_bytes()));
    format!("\"{:016x}\"", all.whole())
});

/// True if the request is for the page itself, where others get Kafka Connect's JSON: the client would rather have HTML.
pub(super) fn is_preferred(headers: &HeaderMap) -> bool {
    let html = quality(headers, "text/html");
    html > 0.0 && html >= quality(headers, "application/json")
}

/// True for the page and its files, which say nothing about this worker.
pub(super) fn is_asked(request: &Request) -> bool {
    let path = request.uri().path();
    path.starts_with("/rowtide/page/") || (path == "/" && is_preferred(request.headers()))
}

/// The page.
pub(super) fn index(headers: &HeaderMap) -> Response {
    answer(&INDEX, headers)
}

/// A file of the page.
pub(super) async fn file(At(name): At<String>, headers: HeaderMap) -> Answer {
    let file = ALL.iter().find(|file| file.name == name);
    file.map(|file| answer(file, &headers)).ok_or_else(|| Refused::plain(StatusCode::NOT_FOUND))
}

/// A browser asks each time whether there is a newer one: modules of two versions never meet.
fn answer(file: &File, asked: &HeaderMap) -> Response {
    let tag = TAG.as_str();
    let is_known = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').map(|known| known.trim().trim_start_matches("W/")).any(|known| known == tag || known == "*")
    });
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, file.kind)], file.text).into_response()
    };
    let headers = response.headers_mut();
    let fixed = [
        (CACHE_CONTROL, "no-cache"),
        (VARY, "Accept"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.extend(HeaderValue::from_str(tag).ok().map(|tag| (ETAG, tag)));
    response
}

/// The weight that a client gives to a type by its name; wildcards are no wish for HTML.
fn quality(headers: &HeaderMap, kind: &str) -> f32 {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let weight = |part: &str| {
        let mut parts = part.split(';').map(str::trim);
        let is_meant = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(kind));
        let given = parts.find_map(|part| part.strip_prefix("q=")?.trim().parse::<f32>().ok());
        is_meant.then_some(given.unwrap_or(1.0))
    };
    values.flat_map(|value| value.split(',')).filter_map(weight).fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(text))])
    }

    #[test]
    fn browsers_get_the_page_and_everybody_else_the_json() {
        for browser in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "Text/HTML",
            "text/html, application/json",
        ] {
            assert!(is_preferred(&accept(browser)), "{browser}");
        }
        for other in ["*/*", "application/json", "application/json, text/html;q=0.5", "text/html;q=0", "text/*", ""] {
            assert!(!is_preferred(&accept(other)), "{other}");
        }
        assert!(!is_preferred(&HeaderMap::new()));
    }

    #[test]
    fn the_page_names_its_own_files_only_and_all_of_them_are_there() {
        let is_there = |name: &str| ALL.iter().any(|file| file.name == name);
        for named in INDEX.text.split("rowtide/page/").skip(1) {
            let name = named.split('"').next().unwrap();
            assert!(is_there(name), "{name}");
        }
        for file in ALL {
            for named in file.text.split(" from './").skip(1) {
                assert!(is_there(named.split('\'').next().unwrap()), "{}: {named:.20}", file.name);
            }
        }
        for file in ALL.iter().chain([&INDEX]) {
            let outside = file.text.replace("http://www.w3.org/2000/svg", "");
            assert!(!outside.contains("http://") && !outside.contains("https://"), "{} asks elsewhere", file.name);
            for danger in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!file.text.contains(danger), "{} has {danger}", file.name);
            }
        }
    }

    #[test]
    fn a_file_that_has_not_changed_is_not_sent_again() {
        let first = index(&HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers()[ETAG].clone();
        let mut asked = HeaderMap::from_iter([(IF_NONE_MATCH, tag.clone())]);
        assert_eq!(index(&asked).status(), StatusCode::NOT_MODIFIED);
        asked.insert(IF_NONE_MATCH, HeaderValue::from_static("\"other\""));
        let again = index(&asked);
        assert_eq!((again.status(), &again.headers()[ETAG]), (StatusCode::OK, &tag));
        assert!(again.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'self'"));
    }
}
