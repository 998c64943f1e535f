//! A page of the documentation, taken apart into its fenced blocks.

use std::path::Path;

use crate::support::golden;

/// Languages of blocks that are no commands.
const DATA: [&str; 11] =
    ["text", "json", "properties", "yaml", "toml", "mermaid", "promql", "ini", "rust", "sql,example", "dockerfile"];

/// The use of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Run to its end.
    Now,
    /// Left running until the page ends.
    Background,
    /// Statements for the page's database.
    Sql,
    /// A command that is not run.
    Not,
    /// No command.
    Data,
    /// Neither.
    Unknown,
}

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// The words behind the fence.
    pub info: String,
    /// Its lines.
    pub text: String,
    /// The line of its fence, from 1.
    pub line: usize,
    /// The reason in front of it for not being run.
    pub reason: Option<String>,
    /// True if nothing but blank lines is between it and the block before.
    follows: bool,
    /// The number of lines of its text in the file.
    height: usize,
}

impl Block {
    pub fn run(&self) -> Run {
        match self.info.as_str() {
            "sh" => Run::Now,
            "sh,background" => Run::Background,
            "sh,no-run" => Run::Not,
            "sql" => Run::Sql,
            info if DATA.contains(&info) => Run::Data,
            _ => Run::Unknown,
        }
    }

    pub fn place(&self, page: &Page) -> String {
        format!("{}:{}", page.file, self.line)
    }
}

/// A page.
#[derive(Debug)]
pub struct Page {
    /// Its path in the repository.
    pub file: String,
    /// Its text.
    pub text: String,
    pub blocks: Vec<Block>,
    /// Lines of blocks that are indented instead of fenced.
    pub indented: Vec<usize>,
}

impl Page {
    /// README.md, CONTRIBUTING.md and all of docs/.
    pub fn all() -> Vec<Self> {
        let mut files = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
        below("docs", &mut files);
        files.iter().map(|file| Self::read(file)).collect()
    }

    pub fn read(file: &str) -> Self {
        let text = std::fs::read_to_string(golden::path(file)).expect(file);
        let (mut blocks, mut indented): (Vec<Block>, Vec<usize>) = (Vec::new(), Vec::new());
        let (mut inside, mut follows, mut reason, mut blank) = (false, false, None, true);
        for (index, line) in text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (fence, inside) {
                (Some(info), false) => {
                    let info = info.trim().to_owned();
                    let reason = reason.take();
                    blocks.push(Block { info, text: String::new(), line: index + 1, reason, follows, height: 0 });
                    inside = true;
                }
                (Some(_), true) => (inside, follows) = (false, true),
                (None, true) => {
                    let block = blocks.last_mut().expect("a block");
                    block.text.push_str(line);
                    block.text.push('\n');
                    block.height += 1;
                }
                (None, false) => {
                    if blank && line.starts_with("    ") {
                        indented.push(index + 1);
                    }
                    if let Some(why) = line.trim().strip_prefix("<!-- no-run:") {
                        reason = Some(why.trim_end_matches("-->").trim().to_owned());
                    } else if !line.trim().is_empty() {
                        (follows, reason) = (false, None);
                    }
                }
            }
            blank = line.trim().is_empty();
        }
        assert!(!inside, "{file}: a block has no end");
        Self { file: file.to_owned(), text, blocks, indented }
    }

    /// True if something of it is to be run.
    pub fn has_commands(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block.run(), Run::Now | Run::Background | Run::Sql))
    }

    /// The words of a comment `<!-- name: words -->`.
    pub fn comment(&self, name: &str) -> Option<&str> {
        let start = format!("<!-- {name}:");
        self.text.lines().find_map(|line| Some(line.trim().strip_prefix(&start)?.trim_end_matches("-->").trim()))
    }

    /// The block that shows the output of another.
    pub fn output_of(&self, index: usize) -> Option<usize> {
        let next = self.blocks.get(index + 1)?;
        (next.follows && matches!(next.info.as_str(), "text" | "json")).then_some(index + 1)
    }

    /// Writes the page with the texts that its blocks have now.
    pub fn write(&self) {
        let mut lines: Vec<&str> = self.text.lines().collect();
        for block in self.blocks.iter().rev() {
            lines.splice(block.line..block.line + block.height, block.text.lines());
        }
        std::fs::write(golden::path(&self.file), lines.join("\n") + "\n").expect("write");
    }
}

fn below(folder: &str, files: &mut Vec<String>) {
    let mut found: Vec<_> =
        std::fs::read_dir(golden::path(folder)).expect(folder).map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    for path in found {
        let name = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("below the repository");
        let name = name.to_str().expect("UTF-8").to_owned();
        if path.is_dir() && !name.ends_with("/book") {
            below(&name, files);
        } else if name.ends_with(".md") {
            files.push(name);
        }
    }
}
