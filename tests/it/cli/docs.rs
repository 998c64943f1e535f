//! The pages in `docs/` are what the binary prints, and every command explains itself.

use crate::support::golden;
use crate::support::process::{finish, rowtide, run};

#[test]
fn the_reference_pages_are_fresh() {
    for (page, file) in [("config", "configuration"), ("metrics", "metrics"), ("types", "types")] {
        let printed = run(&["docs", page]).expect_code(0).stdout;
        golden::same_as_file(&format!("docs/{file}.md"), &printed);
    }
}

#[test]
fn the_help_of_every_command_has_an_example() {
    let commands = ["run", "check", "explain", "offsets", "consume", "quickstart", "docs"].map(|command| vec![command]);
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
        (&["docs", "everything"], &["config", "types", "metrics"]),
        (&["docs", "types", "--log-level", "loud"], &["off, error, warn, info, debug and trace"]),
        (&["offsets", "set", "x.json", "--timestamp", "yesterday"], &["RFC 3339", "milliseconds"]),
    ] {
        run(line).expect_code(2).expect_says(says);
    }
}

#[test]
fn every_test_that_a_promise_names_exists() {
    let page = std::fs::read_to_string(golden::path("docs/guarantees.md")).expect("the page");
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
