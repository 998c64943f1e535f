//! Links between pages: every relative one leads to a file and a heading that are there, and the book has every page.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::page::Page;
use crate::support::golden;

/// The targets of a page's links, outside of its blocks and of code.
fn targets(page: &Page) -> Vec<(usize, String)> {
    let link = regex::Regex::new(r"\]\(([^()\s]+)\)").expect("a pattern");
    let code = regex::Regex::new("`[^`]*`").expect("a pattern");
    let mut inside = false;
    let mut found = Vec::new();
    for (index, line) in page.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            // A link's text may be code, its target is not.
            let line = code.replace_all(line, "");
            found.extend(link.captures_iter(&line).map(|found| (index + 1, found[1].to_owned())));
        }
    }
    found
}

/// The anchors of a page: its headings, as GitHub and mdBook name them, and those in HTML.
fn anchors(text: &str) -> BTreeSet<String> {
    let id = regex::Regex::new(r#"<a (?:id|name)="([^"]+)""#).expect("a pattern");
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    });
    headings.chain(id.captures_iter(text).map(|found| found[1].to_owned())).collect()
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leaves the repository", path.display()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn every_link_leads_to_a_page_and_a_heading() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in Page::all() {
        for (line, target) in targets(&page) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = Path::new(&page.file).parent().expect("a folder");
            let path = if file.is_empty() { PathBuf::from(&page.file) } else { plain(&folder.join(file)) };
            let place = format!("{}:{line}: {target}", page.file);
            if page.file.starts_with("docs/") && !path.starts_with("docs") {
                wrong.push(format!("{place}: leaves the book"));
            }
            let at = golden::path(&path.display().to_string());
            if !at.exists() {
                wrong.push(format!("{place}: there is no {}", path.display()));
            } else if !anchor.is_empty() && !anchors(&std::fs::read_to_string(at).expect("a page")).contains(anchor) {
                wrong.push(format!("{place}: there is no heading `{anchor}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 100, "only {count} links");
}

#[test]
fn the_book_has_every_page_once() {
    let summary = Page::read("docs/SUMMARY.md");
    let mut listed: Vec<String> = targets(&summary).into_iter().map(|(_, target)| format!("docs/{target}")).collect();
    listed.sort();
    let mut pages: Vec<String> = Page::all().into_iter().map(|page| page.file).collect();
    pages.retain(|file| file.starts_with("docs/") && file != "docs/SUMMARY.md");
    pages.sort();
    assert_eq!(listed, pages);
    let readme = Page::read("README.md");
    assert!(readme.text.lines().count() <= 80, "README.md is one page: {} lines", readme.text.lines().count());
}
