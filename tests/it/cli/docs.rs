//! The pages in `docs/` are what the binary prints, and every command explains itself.

use crate::support::golden;
use crate::support::process::{finish, rowtide, run};

#[test]
fn the_reference_pages_are_fresh() {
    let pages =
        [("config", "configuration"), ("metrics", "metrics"), ("types", "types"), ("errors", "troubleshooting")];
    for (page, file) in pages {
        let printed = run(&["docs", page]).expect_code(0).stdout;
        golden::same_as_file(&format!("docs/{file}.md"), &printed);
    }
}

#[test]
fn the_page_on_migrating_ends_with_every_key_as_the_code_has_it() {
    let page = std::fs::read_to_string(golden::path("docs/migrating.md")).expect("the page");
    let (by_hand, _) = page.split_once("## Every key\n").expect("the heading");
    let printed = run(&["docs", "migrating"]).expect_code(0).stdout;
    golden::same_as_file("docs/migrating.md", &format!("{by_hand}{printed}"));
}

#[test]
fn the_help_of_every_command_has_an_example() {
    let commands = [
        "run",
        "worker",
        "check",
        "explain",
        "offsets",
        "consume",
        "quickstart",
        "docs",
        "health",
        "completions",
        "man",
    ];
    let commands = commands.map(|command| vec![command]);
    let below = ["list", "get", "set", "reset", "export", "import"].map(|command| vec!["offsets", command]);
    for command in commands.into_iter().chain(below).chain([vec![]]) {
        let help = finish(rowtide().args(&command).arg("--help")).expect_code(0).stdout;
        let example = format!("Example: rowtide {}", command.join(" "));
        assert!(help.contains(example.trim_end()), "{command:?} has no example:\n{help}");
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2_with_the_usage() {
    for (line, says) in [
        (&["rnu"][..], &["unrecognized subcommand", "Usage"][..]),
        (&["run"], &["<CONNECTOR>", "Usage"]),
        (&["check", "x.json", "--timeout", "soon"], &["--timeout", "expected a number of seconds"]),
        (&["check", "x.json", "--set", "novalue"], &["expected KEY=VALUE"]),
        (&["docs", "everything"], &["config", "types", "metrics", "errors"]),
        (&["docs", "errors", "fencd"], &["no kind of error `fencd`", "did you mean `fenced`?"]),
        (&["docs", "errors", "nonsense"], &["the kinds are config, auth,"]),
        (&["docs", "types", "fenced"], &["only the page `errors` has entries"]),
        (&["docs", "types", "--log-level", "loud"], &["off, error, warn, info, debug and trace"]),
        (&["offsets", "set", "x.json", "--timestamp", "yesterday"], &["RFC 3339", "milliseconds"]),
    ] {
        run(line).expect_code(2).expect_says(says);
    }
}

#[test]
fn an_error_names_the_entry_that_explains_it_and_the_entry_is_there() {
    let (_folder, file) = super::text_file(
        "c.json",
        r#"{"name": "c", "config": {"connection.url": "jdbc:sqlite:/nowhere/x.db",
        "mode": "bulk", "topic.prefix": "p_", "bootstrap.servers": "127.0.0.1:1", "value.converter": "JsonConverter"}}"#,
    );
    let checked = run(&["check", &file, "--timeout", "1"]);
    let more: Vec<&str> =
        checked.stdout.lines().filter_map(|line| line.trim().strip_prefix("more: rowtide ")).collect();
    assert!(more.contains(&"docs errors unreachable"), "{}", checked.stdout);
    for command in more {
        let words: Vec<&str> = command.split(' ').collect();
        let entry = run(&words).expect_code(0).stdout;
        assert!(entry.starts_with(&format!("## {}\n", words[2])) && entry.contains("What to do:"), "{entry}");
    }
}

#[test]
fn a_container_s_health_check_is_told_whether_an_instance_answers() {
    let address = format!("127.0.0.1:{}", super::closed_port());
    run(&["health", "--address", &address]).expect_code(1).expect_says(&["no instance answers", &address]);
}

fn page(name: &str) -> String {
    std::fs::read_to_string(golden::path(name)).expect("the page")
}

#[test]
fn every_promise_of_the_readme_names_the_tests_behind_it() {
    let (readme, promises) = (page("README.md"), page("docs/promises.md"));
    let promise = regex::Regex::new(r"(?m)^(\d+\. )\*\*(.+?)\*\*").expect("a pattern");
    let difference = regex::Regex::new(r"(?m)^\| ([a-z][^|]+) \| [^|]+ \| [^|]+ \|$").expect("a pattern");
    let promised = promise.captures_iter(&readme).map(|found| format!("{}{}", &found[1], &found[2]));
    let different = difference.captures_iter(&readme).map(|found| found[1].to_owned());
    let statements: Vec<String> = promised.chain(different).collect();
    assert!(statements.len() >= 15, "{statements:?}");
    for statement in statements {
        assert!(promises.contains(&format!("\n| {statement} | ")), "docs/promises.md has no row `{statement}`");
    }
}

#[test]
fn every_test_that_a_promise_names_exists() {
    let page = format!("{}{}", page("docs/guarantees.md"), page("docs/promises.md"));
    let named = regex::Regex::new("`([a-z_]+(?:::[a-z_]+)*)::([a-z0-9_]+)`").expect("a pattern");
    let mut count = 0;
    for name in named.captures_iter(&page) {
        let module = format!("tests/it/{}", name[1].replace("::", "/"));
        let file = [format!("{module}.rs"), format!("{module}/mod.rs")]
            .into_iter()
            .find_map(|file| std::fs::read_to_string(golden::path(&file)).ok())
            .unwrap_or_else(|| panic!("there is no module of {}", &name[0]));
        assert!(file.contains(&name[2]), "there is no test {}", &name[0]);
        count += 1;
    }
    assert!(count > 20, "only {count} tests are named");
}
