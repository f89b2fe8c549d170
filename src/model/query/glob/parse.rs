//! From the text of a pattern to the ways in which it can be read.

use std::iter::Peekable;
use std::str::Chars;

use super::{GlobError, MAX_STATES};

/// Which characters a place takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Set {
    Any,
    One(char),
    Ranges { negated: bool, ranges: Vec<(char, char)> },
}

impl Set {
    pub(super) fn has(&self, c: char) -> bool {
        match self {
            Self::Any => true,
            Self::One(one) => *one == c,
            Self::Ranges { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) != *negated
            }
        }
    }
}

/// A place of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// Any characters, or none.
    Run,
    Set(Set),
}

/// One of the ways in which a pattern can be read.
pub(super) type Sequence = Vec<Item>;

/// Reads a text.
///
/// # Errors
/// When it is malformed or too large.
pub(super) fn parse(text: &str) -> Result<Vec<Sequence>, GlobError> {
    Parser { rest: text.chars().peekable(), before: None, depth: 0 }.alternatives()
}

/// Where a text is read.
struct Parser<'t> {
    rest: Peekable<Chars<'t>>,
    before: Option<char>,
    depth: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.before = next.or(self.before);
        next
    }

    fn take(&mut self, wanted: char) -> bool {
        let taken = self.rest.next_if_eq(&wanted).is_some();
        self.before = if taken { Some(wanted) } else { self.before };
        taken
    }

    /// Whether a component begins here.
    fn begins(&self) -> bool {
        self.before.is_none_or(|before| before == '/' || (self.depth > 0 && ['{', ','].contains(&before)))
    }

    /// Everything up to the end, or up to the end of a brace.
    fn alternatives(&mut self) -> Result<Vec<Sequence>, GlobError> {
        let (mut done, mut now) = (Vec::new(), vec![Sequence::new()]);
        loop {
            let begins = self.begins();
            let Some(c) = self.next() else { break };
            match c {
                '*' => self.run(begins, &mut now)?,
                '?' => push(&mut now, &Item::Set(Set::Any))?,
                '[' => {
                    let class = self.class()?;
                    push(&mut now, &Item::Set(class))?;
                }
                '\\' => {
                    let literal = self.next().ok_or(GlobError::Malformed)?;
                    push(&mut now, &Item::Set(Set::One(literal)))?;
                }
                '{' => {
                    self.depth += 1;
                    let group = self.alternatives()?;
                    now = product(&now, &group)?;
                }
                '}' if self.depth > 0 => {
                    self.depth -= 1;
                    done.append(&mut now);
                    return Ok(done);
                }
                ',' if self.depth > 0 => {
                    done.append(&mut now);
                    now.push(Sequence::new());
                }
                c => push(&mut now, &Item::Set(Set::One(c)))?,
            }
        }
        if self.depth > 0 {
            return Err(GlobError::Malformed);
        }
        done.append(&mut now);
        Ok(done)
    }

    /// After a star. Two of them that are a component of their own, and the slash after them, are any directories, or none.
    fn run(&mut self, begins: bool, now: &mut Vec<Sequence>) -> Result<(), GlobError> {
        let mut stars = 1;
        while self.take('*') {
            stars += 1;
        }
        if begins && stars == 2 && self.take('/') {
            let directories = vec![Item::Run, Item::Set(Set::One('/'))];
            *now = product(now, &[Sequence::new(), directories])?;
            return Ok(());
        }
        push(now, &Item::Run)
    }

    /// After its opening bracket.
    fn class(&mut self) -> Result<Set, GlobError> {
        let negated = self.take('!') || self.take('^');
        let mut ranges = Vec::new();
        loop {
            let first = self.next().ok_or(GlobError::Malformed)?;
            if first == ']' && !ranges.is_empty() {
                return Ok(Set::Ranges { negated, ranges });
            }
            // A dash at the end is one.
            let last = match self.take('-') {
                false => first,
                true if self.rest.peek() == Some(&']') => {
                    ranges.push(('-', '-'));
                    first
                }
                true => self.next().ok_or(GlobError::Malformed)?,
            };
            if last < first {
                return Err(GlobError::Malformed);
            }
            ranges.push((first, last));
        }
    }
}

fn push(all: &mut [Sequence], item: &Item) -> Result<(), GlobError> {
    for sequence in all.iter_mut() {
        if *item != Item::Run || sequence.last() != Some(&Item::Run) {
            sequence.push(item.clone());
        }
    }
    check(all)
}

/// Each of the first followed by each of the others.
fn product(first: &[Sequence], then: &[Sequence]) -> Result<Vec<Sequence>, GlobError> {
    let mut all = Vec::new();
    for (head, tail) in first.iter().flat_map(|head| then.iter().map(move |tail| (head, tail))) {
        all.push([head.as_slice(), tail].concat());
        check(&all)?;
    }
    Ok(all)
}

fn check(all: &[Sequence]) -> Result<(), GlobError> {
    let states = |sequence: &Sequence| 1 + sequence.iter().filter(|item| **item != Item::Run).count();
    if all.iter().map(states).sum::<usize>() > MAX_STATES { Err(GlobError::TooLarge) } else { Ok(()) }
}
