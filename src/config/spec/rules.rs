//! `table.PATTERN.SETTING`: settings of single tables, and which of several counts for one. Each setting is looked for by
//! itself: the most specific pattern that has it wins. Pure.

use std::sync::Arc;
use std::time::Duration;

use super::{ModeName, PartitionBy, PollWindows, Template};
use crate::model::{Relation, TableId};
use crate::near::{likeness, may_be_meant};

/// The settings of single tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableRules(Arc<[TableRule]>);

/// One `table.PATTERN.SETTING`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRule {
    /// The whole key.
    pub key: String,
    /// The tables.
    pub pattern: TablePattern,
    /// The last part of the key.
    pub name: &'static str,
    /// The setting.
    pub setting: TableSetting,
}

/// The value of a setting that one table can have for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableSetting {
    /// `mode`.
    Mode(ModeName),
    /// `incrementing.column.name`; none: the table's auto-increment column.
    Incrementing(Option<String>),
    /// `timestamp.column.name`.
    Timestamp(Vec<String>),
    /// `key.mode`.
    KeyMode(KeyWord),
    /// `message.key.columns`.
    KeyColumns(Vec<String>),
    /// `topic`.
    Topic(Template),
    /// `partition.by`.
    PartitionBy(PartitionBy),
    /// `poll.interval.ms`.
    Interval(Duration),
    /// `poll.windows`.
    Windows(PollWindows),
    /// `where`; none: no condition.
    Where(Option<String>),
    /// `columns.include`; empty: all.
    Include(Vec<ColumnPattern>),
    /// `columns.exclude`.
    Exclude(Vec<ColumnPattern>),
}

/// `key.mode` of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyWord {
    /// No key.
    None,
    /// The primary key.
    PrimaryKey,
    /// The columns that are named.
    Columns,
}

/// The name of a table, dotted or bare, in which `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePattern(pub String);

/// The name of a column, in which `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnPattern(pub String);

/// The specificity of a pattern for a table: a dotted name, a bare name, or so many characters of either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Closeness {
    Characters(usize),
    BareName,
    DottedName,
}

/// The settings of one table, and where they come from.
#[derive(Debug, Clone, Default)]
pub(in crate::config) struct Overrides<'a> {
    found: Vec<Found<'a>>,
}

#[derive(Debug, Clone)]
struct Found<'a> {
    rule: &'a TableRule,
    closeness: Closeness,
    /// Less specific keys of the same setting.
    over: Vec<&'a str>,
    /// The key of one as specific that says something else.
    against: Option<&'a str>,
}

/// A setting that a table has by a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedRule {
    /// The key.
    pub key: String,
    /// The keys of the same setting that it wins over.
    pub over: Vec<String>,
}

/// `table.shop.*.where (over table.*.where)`.
impl std::fmt::Display for AppliedRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.key)?;
        if self.over.is_empty() { Ok(()) } else { write!(f, " (over {})", self.over.join(", ")) }
    }
}

/// True if a text is what a pattern says, `*` being any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

impl ColumnPattern {
    /// The name, if it is one.
    pub fn name(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(self.0.as_str())
    }

    /// True if it is a name of this column, or matches it.
    pub fn matches(&self, column: &str) -> bool {
        matches(&self.0, column)
    }
}

impl TablePattern {
    /// True if it is the name of a table.
    pub fn is_name(&self) -> bool {
        !self.0.contains('*')
    }

    fn closeness(&self, dotted: &str, bare: &str) -> Option<Closeness> {
        if self.is_name() {
            let is_dotted = self.0 == dotted;
            return (is_dotted || self.0 == bare).then_some(if is_dotted {
                Closeness::DottedName
            } else {
                Closeness::BareName
            });
        }
        let characters = self.0.chars().filter(|character| *character != '*').count();
        (matches(&self.0, dotted) || matches(&self.0, bare)).then_some(Closeness::Characters(characters))
    }
}

impl TableRules {
    /// These settings.
    pub fn new(rules: Vec<TableRule>) -> Self {
        Self(rules.into())
    }

    /// The settings in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &TableRule> {
        self.0.iter()
    }

    /// The settings that count for a relation. Of a query there are none.
    pub(super) fn of(&self, relation: &Relation) -> Overrides<'_> {
        match relation {
            Relation::Table(id) => self.of_names(&id.to_string(), &id.name),
            Relation::Query(_) => Overrides::default(),
        }
    }

    /// The settings that count for a table of this dotted and this bare name.
    pub(super) fn of_names(&self, dotted: &str, bare: &str) -> Overrides<'_> {
        let mut found: Vec<Found<'_>> = Vec::new();
        for rule in self.iter() {
            let Some(closeness) = rule.pattern.closeness(dotted, bare) else { continue };
            let Some(before) = found.iter_mut().find(|before| before.rule.name == rule.name) else {
                found.push(Found { rule, closeness, over: Vec::new(), against: None });
                continue;
            };
            match closeness.cmp(&before.closeness) {
                std::cmp::Ordering::Less => before.over.push(&rule.key),
                std::cmp::Ordering::Equal if before.rule.setting == rule.setting => {}
                std::cmp::Ordering::Equal => before.against = Some(&rule.key),
                std::cmp::Ordering::Greater => {
                    let mut over = std::mem::take(&mut before.over);
                    over.push(&before.rule.key);
                    over.extend(before.against);
                    *before = Found { rule, closeness, over, against: None };
                }
            }
        }
        Overrides { found }
    }

    /// True if a relation has the same settings by both, whatever its poll interval and windows.
    pub(super) fn are_same_for(&self, other: &Self, relation: &Relation) -> bool {
        let of = |rules: &Self| {
            let overrides = rules.of(relation);
            let is_of_pace =
                |found: &&Found<'_>| matches!(found.rule.setting, TableSetting::Interval(_) | TableSetting::Windows(_));
            let found = overrides.found.iter().filter(|found| !is_of_pace(found));
            let mut found: Vec<_> = found.map(|found| (found.rule.name, found.rule.setting.clone())).collect();
            found.sort_by_key(|(name, _)| *name);
            (found, overrides.tie())
        };
        of(self) == of(other)
    }

    /// True if any table has a key of its own.
    pub fn make_keys(&self) -> bool {
        self.iter().any(|rule| match rule.setting {
            TableSetting::KeyMode(word) => word != KeyWord::None,
            TableSetting::KeyColumns(_) => true,
            _ => false,
        })
    }

    /// The modes that single tables have.
    pub fn modes(&self) -> impl Iterator<Item = ModeName> {
        self.iter().filter_map(|rule| match rule.setting {
            TableSetting::Mode(mode) => Some(mode),
            _ => None,
        })
    }

    /// The longest pause between polls that a table has by itself.
    pub fn longest_interval(&self) -> Option<Duration> {
        let of = |rule: &TableRule| match rule.setting {
            TableSetting::Interval(interval) => Some(interval),
            _ => None,
        };
        self.iter().filter_map(of).max()
    }

    /// True if a column of a table is not to be read as a value.
    pub fn leave_out(&self, relation: &Relation, column: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let overrides = self.of(relation);
        let names = |patterns: &[ColumnPattern]| {
            patterns.iter().any(|pattern| pattern.matches(column) || pattern.0.eq_ignore_ascii_case(column))
        };
        let (include, exclude) = overrides.columns();
        !include.is_empty() && !names(include) || names(exclude)
    }

    /// The names of columns in `columns.exclude` of a table; none if neither that nor `columns.include` chooses among its
    /// columns.
    pub fn exclusions(&self, relation: &Relation) -> Option<Vec<String>> {
        let overrides = self.of(relation);
        let (include, exclude) = overrides.columns();
        let names = || exclude.iter().filter_map(ColumnPattern::name).map(str::to_owned).collect();
        (!include.is_empty() || !exclude.is_empty()).then(names)
    }

    /// The patterns that match none of these tables, each with the table that may be meant.
    pub fn unplaced(&self, tables: &[Relation]) -> Vec<String> {
        let ids = || {
            tables.iter().filter_map(|relation| match relation {
                Relation::Table(id) => Some(id),
                Relation::Query(_) => None,
            })
        };
        let is_idle = |rule: &&TableRule| !ids().any(|id| rule.pattern.closeness(&id.to_string(), &id.name).is_some());
        let near = |rule: &TableRule| {
            let like = |id: &TableId| {
                let name = &rule.pattern.0;
                likeness(name, &id.name).max(likeness(name, &id.to_string()))
            };
            let best = ids().map(|id| (like(id), id)).max_by(|one, other| one.0.total_cmp(&other.0))?;
            may_be_meant(best.0).then(|| format!("; did you mean `{}`?", best.1))
        };
        let say = |rule: &TableRule| {
            let near = near(rule).unwrap_or_default();
            format!("{}: `{}` matches no table that is polled; it has no effect{near}", rule.key, rule.pattern.0)
        };
        self.iter().filter(is_idle).map(say).collect()
    }
}

impl<'a> Overrides<'a> {
    fn find<T>(&self, take: impl Fn(&'a TableSetting) -> Option<T>) -> Option<T> {
        self.found.iter().find_map(|found| take(&found.rule.setting))
    }

    /// `mode`.
    pub(in crate::config) fn mode(&self) -> Option<ModeName> {
        self.find(|setting| if let TableSetting::Mode(mode) = setting { Some(*mode) } else { None })
    }

    /// `incrementing.column.name`; inside none where the auto-increment column is meant.
    pub(in crate::config) fn incrementing(&self) -> Option<&'a Option<String>> {
        self.find(|setting| if let TableSetting::Incrementing(column) = setting { Some(column) } else { None })
    }

    /// `timestamp.column.name`.
    pub(in crate::config) fn timestamp(&self) -> Option<&'a [String]> {
        self.find(
            |setting| if let TableSetting::Timestamp(columns) = setting { Some(columns.as_slice()) } else { None },
        )
    }

    /// `partition.by`.
    pub(super) fn partition_by(&self) -> Option<&'a PartitionBy> {
        self.find(|setting| if let TableSetting::PartitionBy(by) = setting { Some(by) } else { None })
    }

    /// `poll.interval.ms`.
    pub(super) fn interval(&self) -> Option<Duration> {
        self.find(|setting| if let TableSetting::Interval(interval) = setting { Some(*interval) } else { None })
    }

    /// `poll.windows`.
    pub(super) fn windows(&self) -> Option<&'a PollWindows> {
        self.find(|setting| if let TableSetting::Windows(windows) = setting { Some(windows) } else { None })
    }

    /// `where`.
    pub(super) fn filter(&self) -> Option<String> {
        self.find(|setting| if let TableSetting::Where(condition) = setting { Some(condition.clone()) } else { None })?
    }

    /// `topic`, and its key.
    pub(super) fn topic(&self) -> Option<(Template, String)> {
        self.found.iter().find_map(|found| match &found.rule.setting {
            TableSetting::Topic(template) => Some((template.clone(), found.rule.key.clone())),
            _ => None,
        })
    }

    /// `columns.include` and `columns.exclude`.
    pub(super) fn columns(&self) -> (&'a [ColumnPattern], &'a [ColumnPattern]) {
        let include = self
            .find(|setting| if let TableSetting::Include(columns) = setting { Some(columns.as_slice()) } else { None });
        let exclude = self
            .find(|setting| if let TableSetting::Exclude(columns) = setting { Some(columns.as_slice()) } else { None });
        (include.unwrap_or_default(), exclude.unwrap_or_default())
    }

    /// The keys under which columns are named for this table by its very name: a column that is not there is an error.
    pub(super) fn columns_by_name(&self) -> Vec<(&'a str, &'a [ColumnPattern])> {
        let named = self.found.iter().filter(|found| found.rule.pattern.is_name());
        named
            .filter_map(|found| match &found.rule.setting {
                TableSetting::Include(columns) | TableSetting::Exclude(columns) => {
                    Some((found.rule.key.as_str(), columns.as_slice()))
                }
                _ => None,
            })
            .collect()
    }

    /// `key.mode` and `message.key.columns`: the columns count unless a more specific `key.mode` says otherwise.
    pub(super) fn key(&self) -> Option<(KeyWord, &'a [String])> {
        let place =
            |found: &&Found<'a>| matches!(found.rule.setting, TableSetting::KeyMode(_) | TableSetting::KeyColumns(_));
        let (mut word, mut columns) = (None, None);
        for found in self.found.iter().filter(place) {
            match &found.rule.setting {
                TableSetting::KeyMode(mode) => word = Some((*mode, found.closeness)),
                TableSetting::KeyColumns(names) => columns = Some((names.as_slice(), found.closeness)),
                _ => {}
            }
        }
        match (word, columns) {
            (None, None) => None,
            (Some((word, _)), None) => Some((word, &[])),
            (None, Some((columns, _))) => Some((KeyWord::Columns, columns)),
            (Some((word, of_word)), Some((columns, of_columns))) => {
                let is_named = word == KeyWord::Columns || of_columns > of_word;
                Some(if is_named { (KeyWord::Columns, columns) } else { (word, &[]) })
            }
        }
    }

    /// The settings that apply, in the order of the keys.
    pub(super) fn applied(&self) -> Vec<AppliedRule> {
        let owned = |found: &Found<'_>| AppliedRule {
            key: found.rule.key.clone(),
            over: found.over.iter().map(|key| (*key).to_owned()).collect(),
        };
        self.found.iter().map(owned).collect()
    }

    /// Two keys of one setting that are as specific as each other and say different things.
    pub(super) fn tie(&self) -> Option<(String, String)> {
        let tied = self.found.iter().find_map(|found| Some((found.rule.key.as_str(), found.against?)))?;
        Some((tied.0.to_owned(), tied.1.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(settings: &[(&str, ModeName)]) -> TableRules {
        let rule = |(pattern, mode): &(&str, ModeName)| TableRule {
            key: format!("table.{pattern}.mode"),
            pattern: TablePattern((*pattern).to_owned()),
            name: "mode",
            setting: TableSetting::Mode(*mode),
        };
        TableRules::new(settings.iter().map(rule).collect())
    }

    fn table(schema: &str, name: &str) -> Relation {
        Relation::Table(TableId { catalog: None, schema: Some(schema.to_owned()), name: name.to_owned() })
    }

    #[test]
    fn a_star_is_any_characters() {
        for (pattern, text, is_match) in [
            ("*", "", true),
            ("orders", "orders", true),
            ("orders", "orders_eu", false),
            ("orders_*", "orders_eu", true),
            ("*.orders", "shop.orders", true),
            ("shop.*", "shop.a.b", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, text), is_match, "{pattern} {text}");
        }
    }

    #[test]
    fn the_most_specific_pattern_wins_whatever_the_order_of_the_keys() {
        use ModeName::{Bulk, Incrementing, Timestamp, TimestampIncrementing};
        let mut settings =
            [("*", Bulk), ("shop.*", Incrementing), ("orders", Timestamp), ("shop.orders", TimestampIncrementing)];
        for _ in 0..settings.len() {
            settings.rotate_left(1);
            let rules = rules(&settings);
            let mode = |schema, name| rules.of(&table(schema, name)).mode();
            assert_eq!(mode("shop", "orders"), Some(TimestampIncrementing));
            assert_eq!(mode("attic", "orders"), Some(Timestamp));
            assert_eq!(mode("shop", "items"), Some(Incrementing));
            assert_eq!(mode("attic", "items"), Some(Bulk));
            let applied = rules.of(&table("shop", "items")).applied();
            assert_eq!(applied.len(), 1);
            assert_eq!(applied[0].to_string(), "table.shop.*.mode (over table.*.mode)");
        }
        assert_eq!(rules(&settings).of(&Relation::Query("select 1".to_owned())).mode(), None);
    }

    #[test]
    fn two_patterns_that_are_as_specific_are_a_tie_unless_they_agree_or_a_closer_one_decides() {
        use ModeName::{Bulk, Incrementing};
        let tie = |settings: &[(&str, ModeName)]| rules(settings).of(&table("shop", "orders")).tie();
        let both = ("table.shop.o*.mode".to_owned(), "table.*op.ord*.mode".to_owned());
        assert_eq!(tie(&[("shop.o*", Bulk), ("*op.ord*", Incrementing)]), Some(both));
        assert_eq!(tie(&[("shop.o*", Bulk), ("*op.orde", Incrementing)]), None, "one does not match");
        assert_eq!(tie(&[("shop.o*", Bulk), ("*op.ord*", Bulk)]), None, "they agree");
        assert_eq!(tie(&[("shop.o*", Bulk), ("*op.ord*", Incrementing), ("orders", Bulk)]), None);
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_named_with_the_table_that_may_be_meant() {
        let rules = rules(&[("shop.ordres", ModeName::Bulk), ("shop.*", ModeName::Bulk), ("zzz*", ModeName::Bulk)]);
        let unplaced = rules.unplaced(&[table("shop", "orders")]);
        assert_eq!(unplaced.len(), 2, "{unplaced:?}");
        assert!(unplaced[0].ends_with("it has no effect; did you mean `shop.orders`?"), "{unplaced:?}");
        assert!(unplaced[1].starts_with("table.zzz*.mode: `zzz*` matches no table"), "{unplaced:?}");
    }
}
