//! Times as text in the patterns of Java's `SimpleDateFormat`, in UTC and English
//! (<https://docs.oracle.com/javase/8/docs/api/java/text/SimpleDateFormat.html>). Reading is lenient, as Java's is: numbers
//! beyond their range carry over, and what follows the pattern is ignored.

use crate::error::{Error, Result};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The first day of the Gregorian calendar, 1582-10-15, since the epoch; before it Java counts in the Julian one.
const GREGORIAN: i64 = -141_427;

/// A pattern.
#[derive(Debug, Clone)]
pub(super) struct JavaDateFormat {
    items: Vec<Item>,
    /// The first of the hundred years that two digits mean.
    century: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Text(String),
    /// A letter of the pattern, and how often it stands there.
    Letter(char, usize),
}

/// The fields of a text that were read.
struct Fields {
    year: i64,
    month: i64,
    day: i64,
    millis: i64,
    /// Hours of `h` and `K`, to which 12 are added in the afternoon.
    half_hours: Option<i64>,
    is_afternoon: bool,
    /// The offset of the zone that the text names.
    offset: i64,
}

impl JavaDateFormat {
    /// Reads a pattern. Years of two digits lie within 80 years before and 20 years after `now`, in milliseconds since the
    /// epoch.
    ///
    /// # Errors
    /// `Config` for what Java refuses, and for letters that are not supported.
    pub(super) fn new(pattern: &str, now: i64) -> Result<Self> {
        let refuse = |what: String| Err(Error::config(format!("format: `{pattern}`: {what}")));
        let (mut items, mut letters, mut in_quotes) = (Vec::new(), pattern.chars().peekable(), false);
        while let Some(letter) = letters.next() {
            match letter {
                '\'' if letters.peek() == Some(&'\'') => {
                    letters.next();
                    push_text(&mut items, '\'');
                }
                '\'' => in_quotes = !in_quotes,
                _ if in_quotes || !letter.is_ascii_alphabetic() => push_text(&mut items, letter),
                _ if "GyMLdDEuaHkKhmsSzZX".contains(letter) => {
                    let mut count = 1;
                    while letters.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    if letter == 'X' && count > 3 {
                        return refuse("Java allows at most XXX".to_owned());
                    }
                    items.push(Item::Letter(letter, count));
                }
                'w' | 'W' | 'F' | 'Y' => return refuse(format!("`{letter}`, which counts weeks, is not supported")),
                _ => return refuse(format!("`{letter}` is no letter of SimpleDateFormat; quote it: '{letter}'")),
            }
        }
        if in_quotes {
            return refuse("a quote is not closed".to_owned());
        }
        Ok(Self { items, century: civil(now.div_euclid(DAY)).0 - 80 })
    }

    /// Refuses a pattern by which no text can be read.
    ///
    /// # Errors
    /// `Config`, naming the letter.
    pub(super) fn check_readable(&self) -> Result<()> {
        for item in &self.items {
            if let Item::Letter(letter @ ('G' | 'D' | 'u'), _) = item {
                return Err(Error::config(format!("format: texts cannot be read by a pattern with `{letter}`")));
            }
        }
        Ok(())
    }

    /// A time, in milliseconds since the epoch, as text.
    pub(super) fn format(&self, millis: i64) -> String {
        let at = Moment::of(millis);
        let mut out = String::new();
        for item in &self.items {
            match item {
                Item::Text(text) => out.push_str(text),
                Item::Letter(letter, count) => match at.word(*letter, *count) {
                    Some(word) => out.push_str(word),
                    None => out.push_str(&format!("{:0width$}", at.number(*letter, *count), width = *count)),
                },
            }
        }
        out
    }

    /// The time of a text, in milliseconds since the epoch; none if it does not match.
    pub(super) fn parse(&self, text: &str) -> Option<i64> {
        let mut fields =
            Fields { year: 1970, month: 1, day: 1, millis: 0, half_hours: None, is_afternoon: false, offset: 0 };
        let mut rest = text;
        for (index, item) in self.items.iter().enumerate() {
            match item {
                Item::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Item::Letter(letter, count) => {
                    rest = rest.trim_start_matches([' ', '\t']);
                    // Without anything between two letters the first one has as many digits as it has letters.
                    let is_followed = matches!(self.items.get(index + 1), Some(Item::Letter(..)));
                    rest = fields.read(rest, (*letter, *count), is_followed, self.century)?;
                }
            }
        }
        fields.total()
    }
}

/// A time and its fields.
struct Moment {
    year: i64,
    month: i64,
    day: i64,
    days: i64,
    of_day: i64,
}

impl Moment {
    fn of(millis: i64) -> Self {
        let (days, of_day) = (millis.div_euclid(DAY), millis.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        Self { year, month, day, days, of_day }
    }

    fn hour(&self) -> i64 {
        self.of_day / HOUR
    }

    /// The text for a letter; none if a number stands for it.
    fn word(&self, letter: char, count: usize) -> Option<&'static str> {
        Some(match letter {
            'G' if self.year > 0 => "AD",
            'G' => "BC",
            'M' | 'L' if count >= 3 => name(MONTHS[self.month as usize - 1], count),
            'E' => name(WEEKDAYS[weekday(self.days)], count),
            'a' if self.hour() < 12 => "AM",
            'a' => "PM",
            'z' if count >= 4 => "Coordinated Universal Time",
            'z' => "UTC",
            'Z' => "+0000",
            'X' => "Z",
            _ => return None,
        })
    }

    /// The number for a letter, of at least `count` digits.
    fn number(&self, letter: char, count: usize) -> i64 {
        let year_of_era = if self.year > 0 { self.year } else { 1 - self.year };
        // From 1, where it stands for 0.
        let from_one = |hour: i64, most: i64| if hour == 0 { most } else { hour };
        match letter {
            'y' if count == 2 => year_of_era % 100,
            'y' => year_of_era,
            'M' | 'L' => self.month,
            'd' => self.day,
            'D' => self.days - days_of(self.year, 1, 1) + 1,
            'u' => weekday(self.days) as i64 + 1,
            'H' => self.hour(),
            'k' => from_one(self.hour(), 24),
            'K' => self.hour() % 12,
            'h' => from_one(self.hour() % 12, 12),
            'm' => self.of_day % HOUR / MINUTE,
            's' => self.of_day % MINUTE / SECOND,
            // 'S', the last letter that `new` takes.
            _ => self.of_day % SECOND,
        }
    }
}

impl Fields {
    fn read<'t>(
        &mut self,
        text: &'t str,
        (letter, count): (char, usize),
        is_followed: bool,
        century: i64,
    ) -> Option<&'t str> {
        match letter {
            'M' | 'L' if count >= 3 => {
                let (index, rest) = one_of(text, &MONTHS)?;
                self.month = index as i64 + 1;
                return Some(rest);
            }
            // The day of the month decides.
            'E' => return one_of(text, &WEEKDAYS).map(|(_, rest)| rest),
            'a' => {
                let (index, rest) = one_of(text, &["AM", "PM"])?;
                self.is_afternoon = index == 1;
                return Some(rest);
            }
            'z' | 'Z' | 'X' => {
                let (offset, rest) = zone(text, letter, count)?;
                self.offset = offset;
                return Some(rest);
            }
            _ => {}
        }
        let (number, digits, rest) = number(text, is_followed.then_some(count))?;
        match letter {
            'y' if count <= 2 && digits == 2 => self.year = of_century(number, century),
            'y' => self.year = number,
            'M' | 'L' => self.month = number,
            'd' => self.day = number,
            'H' => self.millis += number * HOUR,
            'k' => self.millis += if number == 24 { 0 } else { number * HOUR },
            'K' => self.half_hours = Some(number),
            'h' => self.half_hours = Some(if number == 12 { 0 } else { number }),
            'm' => self.millis += number * MINUTE,
            's' => self.millis += number * SECOND,
            'S' => self.millis += number,
            _ => return None,
        }
        Some(rest)
    }

    fn total(self) -> Option<i64> {
        let afternoon = if self.is_afternoon { 12 } else { 0 };
        let half = self.half_hours.map_or(0, |hours| (hours + afternoon) * HOUR);
        let months = self.month.checked_sub(1)?;
        let year = self.year.checked_add(months.div_euclid(12))?;
        if !(-290_000_000..=290_000_000).contains(&year) {
            return None;
        }
        let days = days_of(year, months.rem_euclid(12) + 1, 1).checked_add(self.day)?.checked_sub(1)?;
        days.checked_mul(DAY)?.checked_add(self.millis)?.checked_add(half)?.checked_sub(self.offset)
    }
}

fn push_text(items: &mut Vec<Item>, letter: char) {
    match items.last_mut() {
        Some(Item::Text(text)) => text.push(letter),
        _ => items.push(Item::Text(letter.to_string())),
    }
}

/// A name in full, or its first three letters.
fn name(name: &str, count: usize) -> &str {
    if count >= 4 { name } else { &name[..3] }
}

/// The name that a text begins with, in full or short, whatever its case.
fn one_of<'t>(text: &'t str, names: &[&str]) -> Option<(usize, &'t str)> {
    let begins = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let full = names.iter().position(|name| begins(name)).map(|index| (index, names[index].len()));
    let short = || names.iter().position(|name| begins(&name[..name.len().min(3)])).map(|index| (index, 3));
    let (index, len) = full.or_else(short)?;
    Some((index, &text[len..]))
}

/// A whole number at the beginning of a text, how many digits it has, and what follows.
fn number(text: &str, most: Option<usize>) -> Option<(i64, usize, &str)> {
    if most.is_some_and(|most| text.len() < most) {
        return None;
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let sign = text.len() - unsigned.len();
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let digits = most.map_or(digits, |most| digits.min(most - sign));
    let value: i64 = unsigned[..digits].parse().ok().filter(|value| *value <= i64::from(i32::MAX))?;
    Some((if sign == 1 { -value } else { value }, digits + sign, &unsigned[digits..]))
}

/// The year of two digits among the hundred years from `start` on.
fn of_century(number: i64, start: i64) -> i64 {
    number + start.div_euclid(100) * 100 + if number < start.rem_euclid(100) { 100 } else { 0 }
}

/// The offset of a zone, in milliseconds: a sign and digits, `Z` where `X` allows it, `UTC` and `GMT`.
fn zone(text: &str, letter: char, count: usize) -> Option<(i64, &str)> {
    if letter == 'X' {
        return match text.strip_prefix('Z') {
            Some(rest) => Some((0, rest)),
            None => offset(text, count != 1, count == 3),
        };
    }
    for name in ["UTC", "GMT"] {
        if let Some(rest) = text.strip_prefix(name) {
            let signed = name == "GMT" && rest.starts_with(['+', '-']);
            return if signed { offset(rest, true, true) } else { Some((0, rest)) };
        }
    }
    offset(text, true, false)
}

/// `+hh`, `+hhmm` or `+hh:mm`.
fn offset(text: &str, has_minutes: bool, has_colon: bool) -> Option<(i64, &str)> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let two = |text: &str| -> Option<i64> {
        let digits = text.get(..2)?;
        digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let mut rest = &text[1..];
    let hours = two(rest).filter(|hours| *hours <= 23)?;
    rest = &rest[2..];
    let mut minutes = 0;
    if has_minutes {
        rest = if has_colon { rest.strip_prefix(':')? } else { rest };
        minutes = two(rest).filter(|minutes| *minutes <= 59)?;
        rest = &rest[2..];
    }
    Some((sign * (hours * HOUR + minutes * MINUTE), rest))
}

/// Monday is 0.
fn weekday(days: i64) -> usize {
    // The epoch was a Thursday.
    usize::try_from((days + 3).rem_euclid(7)).unwrap_or(0)
}

/// Year, month and day of a day since the epoch: Gregorian, before 1582-10-15 Julian. Year 0 is 1 BC.
fn civil(days: i64) -> (i64, i64, i64) {
    // https://howardhinnant.github.io/date_algorithms.html, with years that begin in March.
    let (year, day_of_year) = if days >= GREGORIAN {
        let days = days + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        (era * 400 + year, of_era - (365 * year + year / 4 - year / 100))
    } else {
        let days = days + 719_470;
        let (era, of_era) = (days.div_euclid(1_461), days.rem_euclid(1_461));
        let year = (of_era - of_era / 1_460) / 365;
        (era * 4 + year, of_era - 365 * year)
    };
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + i64::from(month <= 2), month, day)
}

/// The day since the epoch of the first of a month, and days into it: the reverse of [`civil`].
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let gregorian = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468;
    if gregorian >= GREGORIAN {
        return gregorian;
    }
    let (era, of_era) = (year.div_euclid(4), year.rem_euclid(4));
    era * 1_461 + of_era * 365 + day_of_year - 719_470
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_date_in_both_calendars() {
        for days in (-1_000_000..1_000_000).step_by(7) {
            let (year, month, day) = civil(days);
            assert_eq!(days_of(year, month, day), days, "{year}-{month}-{day}");
        }
        assert_eq!(civil(GREGORIAN), (1582, 10, 15));
        assert_eq!(civil(GREGORIAN - 1), (1582, 10, 4), "Java's calendar leaves out ten days");
        assert_eq!(civil(0), (1970, 1, 1));
    }

    #[test]
    fn patterns_that_java_refuses_or_that_count_weeks_are_refused_with_the_letter() {
        for (pattern, part) in [("yyyy-'x", "quote"), ("YYYY", "`Y`"), ("yyyyT", "quote it: 'T'"), ("XXXX", "XXX")] {
            let error = JavaDateFormat::new(pattern, 0).unwrap_err();
            assert!(error.report().contains(part), "{error:?}");
        }
        assert!(
            JavaDateFormat::new("DDD", 0).unwrap().check_readable().is_err_and(|error| error.report().contains("`D`"))
        );
    }
}
