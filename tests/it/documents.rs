//! The documentation as a reader would use it: every command block is run, what it prints is what the page shows, and no
//! link leads nowhere.
//!
//! A fenced block `sh` is run by bash in the page's folder, `sh,background` is left running until the page ends, and
//! `sql` is run on the page's database. A block `text` right behind one of them is its output; `UPDATE_GOLDEN=1`
//! rewrites it. `sh,no-run` needs a comment in front that says why not: `<!-- no-run: ... -->`. The page's comment
//! `<!-- database: postgres -->` says where it runs; `with table` there begins with the table of the walkthrough.

mod links;
mod page;
mod world;

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;

use page::{Page, Run};
use world::World;

use crate::support::golden;
use crate::support::process::{finish, rowtide};

/// Pages at once: most of their time they wait.
const AT_ONCE: usize = 4;

#[test]
fn every_command_block_is_run_or_says_why_not() {
    let (mut run, mut left, mut wrong) = (0, 0, Vec::new());
    for page in Page::all() {
        for block in &page.blocks {
            match (block.run(), &block.reason) {
                (Run::Not, Some(reason)) if reason.len() > 20 => left += 1,
                (Run::Not, _) => wrong.push(format!("{}: no reason for no-run in front", block.place(&page))),
                (Run::Unknown, _) => {
                    let what = &block.info;
                    wrong.push(format!(
                        "{}: `{what}` is neither a command block nor a known language",
                        block.place(&page)
                    ));
                }
                (Run::Data, _) => {}
                (_, Some(_)) => wrong.push(format!("{}: a reason for no-run, and it is run", block.place(&page))),
                (_, None) => run += 1,
            }
        }
        wrong.extend(page.indented.iter().map(|line| format!("{}:{line}: an indented block; use a fence", page.file)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(run > 60 && left < run, "{run} blocks are run, {left} are not");
}

#[test]
fn every_command_block_prints_what_its_page_shows() {
    let pages: Vec<Page> = Page::all().into_iter().filter(Page::has_commands).collect();
    assert!(pages.len() > 10, "only {} pages have commands", pages.len());
    let only = std::env::var("ROWTIDE_TEST_PAGE").ok();
    let waiting: Vec<Page> =
        pages.into_iter().filter(|page| only.as_ref().is_none_or(|only| page.file.contains(only.as_str()))).collect();
    let (waiting, failures) = (Mutex::new(waiting), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(page) = waiting.lock().expect("the list").pop() else { break };
                    let file = page.file.clone();
                    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| walk(page)));
                    let message = match outcome {
                        Ok(wrong) => wrong,
                        Err(panic) => vec![format!("{file}: {}", world::words(&*panic))],
                    };
                    failures.lock().expect("the list").extend(message);
                }
            });
        }
    });
    let failures = failures.into_inner().expect("the list");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn the_connectors_of_compose_and_kustomize_are_complete() {
    let example = golden::path("deploy/kustomize/example");
    let mut checked = vec![(example.join("connector.json"), example.join("worker.properties"))];
    for kind in ["postgres", "mysql", "mariadb", "tidb"] {
        let file = golden::path(&format!("configs/compose/{kind}.json"));
        checked.push((file, golden::path("configs/worker.properties")));
    }
    for (connector, worker) in checked {
        let mut check = rowtide();
        check.args(["check", "--offline", "--strict"]).arg(&connector).arg("--worker").arg(&worker);
        finish(check.env("DB_PASSWORD", "x")).expect_code(0).expect_says(&["no problems"]);
    }
}

/// Runs a page from its top to its end; the blocks that did something else.
fn walk(mut page: Page) -> Vec<String> {
    let mut world = World::of(&page);
    let mut wrong = Vec::new();
    for index in 0..page.blocks.len() {
        let block = &page.blocks[index];
        let printed = match block.run() {
            Run::Now => world.run(&block.text),
            Run::Background => world.start(&block.text),
            Run::Sql => world.sql(&block.text),
            Run::Not | Run::Data | Run::Unknown => continue,
        };
        let place = block.place(&page);
        match printed {
            Err(what) => {
                wrong.push(format!("{place}: {what}\n--- of ---\n{}", block.text));
                break;
            }
            Ok(printed) => {
                let Some(shown) = page.output_of(index) else { continue };
                if !world::is_like(&page.blocks[shown].text, &printed) {
                    wrong.push(format!(
                        "{place}: the page shows\n{}--- and it printed ---\n{printed}",
                        page.blocks[shown].text
                    ));
                    page.blocks[shown].text = printed;
                }
            }
        }
    }
    wrong.extend(world.end());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        page.write();
    }
    wrong
}
