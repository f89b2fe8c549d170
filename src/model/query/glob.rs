//! Patterns for names, in the syntax of `globset` (`*`, `?`, `[a-z]`, `[!a]`, `{a,b}`, `**`), over characters.
//! A pattern is one automaton whose states are bits, and a name costs a few operations a character whatever the pattern is
//! (Baeza-Yates and Gonnet, *A new approach to text searching*, 1992): whoever sends one cannot make it dear.
//! Not responsible for case: pattern and name come folded.

mod parse;

use self::parse::{Item, Sequence, Set, parse};

/// The most states of one pattern: a character each, and one more for each alternative.
pub const MAX_STATES: usize = 256;
/// States of one machine word.
const BITS: usize = 64;

type States = [u64; MAX_STATES / BITS];

/// What may make a word a pattern.
const SPECIAL: [char; 4] = ['*', '?', '[', '{'];

/// A pattern made ready for many names.
#[derive(Debug, Clone)]
pub struct Glob {
    starts: States,
    ends: States,
    /// States that any character leaves as they are: before a `*`.
    stays: States,
    /// States that a character of ASCII leads on from.
    ascii: Box<[States; 128]>,
    /// The same for others.
    others: Vec<(Set, States)>,
    used: usize,
    /// It has a slash, and is for whole paths.
    whole: bool,
    literal: Option<String>,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GlobError {
    /// A bracket that is not closed, a range that is none.
    Malformed,
    /// More than [`MAX_STATES`].
    TooLarge,
}

impl Glob {
    /// Reads a folded text; `None` where it has nothing of a pattern.
    ///
    /// # Errors
    /// When it is malformed or too large.
    pub fn parse(text: &str) -> Option<Result<Self, GlobError>> {
        text.contains(SPECIAL).then(|| {
            let sequences = parse(text)?;
            Ok(Self { whole: text.contains('/'), literal: longest_literal(text, &sequences), ..Self::of(&sequences) })
        })
    }

    fn of(sequences: &[Sequence]) -> Self {
        let (starts, used) = ([0; MAX_STATES / BITS], 0);
        let ascii = Box::new([starts; 128]);
        let (ends, stays, others) = (starts, starts, Vec::new());
        let mut glob = Self { starts, ends, stays, ascii, others, used, whole: false, literal: None };
        for sequence in sequences {
            set(&mut glob.starts, glob.used);
            for item in sequence {
                match item {
                    Item::Run => set(&mut glob.stays, glob.used),
                    Item::Set(of) => glob.lead_on(of),
                }
            }
            set(&mut glob.ends, glob.used);
            glob.used += 1;
        }
        glob
    }

    /// A character of this set leads on from the last state.
    fn lead_on(&mut self, of: &Set) {
        let state = self.used;
        for (code, states) in (0..).zip(self.ascii.iter_mut()) {
            if of.has(char::from(code)) {
                set(states, state);
            }
        }
        match self.others.iter_mut().find(|(set, _)| set == of) {
            Some((_, states)) => set(states, state),
            None => {
                let mut states = [0; MAX_STATES / BITS];
                set(&mut states, state);
                self.others.push((of.clone(), states));
            }
        }
        self.used += 1;
    }

    /// Whether a folded path is what the pattern says; its last component, where the pattern has no slash.
    pub fn matches(&self, path: &str) -> bool {
        let name = if self.whole { path } else { path.rsplit('/').next().unwrap_or(path) };
        let (mut states, width) = (self.starts, self.used.div_ceil(BITS));
        for c in name.chars() {
            let on = self.leads_on(c);
            let (mut carry, mut alive) = (0, 0);
            for (word, state) in states.iter_mut().enumerate().take(width) {
                let moved = *state & on[word];
                *state = *state & self.stays[word] | moved << 1 | carry;
                carry = moved >> (BITS - 1);
                alive |= *state;
            }
            if alive == 0 {
                return false;
            }
        }
        states.iter().zip(&self.ends).any(|(states, ends)| states & ends != 0)
    }

    fn leads_on(&self, c: char) -> States {
        if let Some(states) = self.ascii.get(c as usize) {
            return *states;
        }
        let mut all = [0; MAX_STATES / BITS];
        for (_, states) in self.others.iter().filter(|(set, _)| set.has(c)) {
            all.iter_mut().zip(states).for_each(|(all, states)| *all |= states);
        }
        all
    }

    /// How many states it has.
    pub const fn states(&self) -> usize {
        self.used
    }

    /// The longest text that is in every path that it matches, and in itself.
    pub fn literal(&self) -> Option<&str> {
        self.literal.as_deref()
    }
}

fn set(states: &mut States, state: usize) {
    states[state / BITS] |= 1 << (state % BITS);
}

/// The longest run of characters that every sequence has, and the text itself.
fn longest_literal(text: &str, sequences: &[Sequence]) -> Option<String> {
    let runs = |sequence: &Sequence| -> Vec<String> {
        let literal = |item: &Item| if let Item::Set(Set::One(c)) = item { Some(*c) } else { None };
        let parts = sequence.split(|item| literal(item).is_none());
        parts.map(|part| part.iter().filter_map(literal).collect()).collect()
    };
    let all: Vec<Vec<String>> = sequences.iter().map(runs).collect();
    let everywhere = |run: &&String| {
        !run.is_empty()
            && text.contains(run.as_str())
            && all.iter().all(|runs| runs.iter().any(|other| other.contains(run.as_str())))
    };
    all.first()?.iter().filter(everywhere).max_by_key(|run| run.len()).cloned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::parse(text).expect("a pattern").expect(text)
    }

    #[track_caller]
    fn check(text: &str, yes: &[&str], no: &[&str]) {
        let glob = glob(text);
        yes.iter().for_each(|path| assert!(glob.matches(path), "{text} {path}"));
        no.iter().for_each(|path| assert!(!glob.matches(path), "{text} {path}"));
    }

    #[test]
    fn a_pattern_without_a_slash_is_for_the_last_component() {
        check("*.pdf", &["a.pdf", "x/a.pdf", ".pdf"], &["a.pdf/b", "a.pdfx", "pdf"]);
        check("a?c", &["abc", "x/a\u{e9}c", "aбc"], &["ac", "abbc", "abc/d"]);
        check("[a-cé]x", &["bx", "éx"], &["dx", "x"]);
        check("[!a-c]x", &["dx", "яx"], &["ax", "x"]);
        check("[]-]x", &["]x", "-x"], &["ax"]);
        check("{a,b*}.{c,d}", &["a.c", "bbb.d"], &["ab.c", "a.e"]);
        check("a\\*b*", &["a*b", "a*bc"], &["axb"]);
    }

    #[test]
    fn a_pattern_with_a_slash_is_for_the_whole_path() {
        check("papers/*.pdf", &["papers/a.pdf", "papers/deep/a.pdf"], &["a.pdf", "x/papers/a.pdf"]);
        check("**/a", &["a", "x/a", "x/y/a"], &["ba", "x/ba"]);
        check("x/**/a", &["x/a", "x/y/a"], &["xa", "x/ba"]);
        check("x/**", &["x/a", "x/y/a"], &["x", "xx/a"]);
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        assert!(Glob::parse("a-b.pdf]").is_none());
        for malformed in ["[a", "[b-a]", "{a", "a*\\", "[!]"] {
            assert_eq!(Glob::parse(malformed).expect("special").err(), Some(GlobError::Malformed), "{malformed}");
        }
        for large in ["?".repeat(256), "{,a}".repeat(9), "{a,b}".repeat(40), "**/".repeat(9) + "a"] {
            assert_eq!(Glob::parse(&large).expect("special").err(), Some(GlobError::TooLarge), "{large}");
        }
    }

    #[test]
    fn a_name_costs_the_same_whatever_the_pattern_is() {
        let name = "a".repeat(4096);
        for text in ["*".repeat(1024), "*a".repeat(127) + "b", "[ab]*a".to_owned() + &"?".repeat(200), "*".to_owned()] {
            let ends_otherwise = text.ends_with('b');
            assert_eq!(glob(&text).matches(&name), !ends_otherwise, "{text}");
        }
    }

    #[test]
    fn a_literal_is_in_all_that_matches() {
        let literal = |text: &str| glob(text).literal().map(str::to_owned);
        assert_eq!(literal("*.pdf").as_deref(), Some(".pdf"));
        assert_eq!(literal("papers/**/*.pdf").as_deref(), Some("papers/"));
        assert_eq!(literal("{a,b}*.pdf").as_deref(), Some(".pdf"));
        assert_eq!(literal("a[]]bc").as_deref(), Some("bc"));
        assert_eq!([literal("*"), literal("{a,b}"), literal("a\\*b")], [None, None, None]);
    }

    proptest! {
        #[test]
        fn it_is_what_globset_says(
            text in "([ab/]|\\*|\\*\\*/|\\?|\\[ab\\]|\\[!a\\]|\\{a,b/\\}|\\\\b){1,7}",
            path in "[ab]{1,3}(/[ab]{1,3}){0,3}",
        ) {
            // Nothing but directories is everything there.
            if text.replace("**/", "").is_empty() {
                return Ok(());
            }
            let (Some(Ok(own)), Ok(other)) = (Glob::parse(&text), globset::Glob::new(&text)) else { return Ok(()) };
            let other = other.compile_matcher();
            let last = path.rsplit('/').next().expect("one");
            prop_assert_eq!(own.matches(&path), other.is_match(if text.contains('/') { &path } else { last }));
            if let Some(literal) = own.literal() {
                prop_assert!(text.contains(literal) && (!own.matches(&path) || path.contains(literal)));
            }
        }

        #[test]
        fn any_text_is_read_and_matched(text in "\\PC{0,255}", path in "\\PC{0,64}") {
            if let Some(Ok(glob)) = Glob::parse(&text) {
                let _ = glob.matches(&path);
            }
        }
    }
}
