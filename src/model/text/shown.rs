//! Text from the network, made fit to be shown.
//! Invariant: what `Shown` prints has no control or bidirectional character, none that nobody sees but as a part of an
//! emoji or a word, and a bounded width unless it is asked for whole.

use std::fmt;

use crate::model::text::invisible::{belongs, is_invisible};

/// The greatest number of characters shown.
pub const MAX_WIDTH: usize = 512;

/// A wrapper that escapes text from the network for terminals and logs; `{:#}` shows it at any width.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = if f.alternate() { usize::MAX } else { MAX_WIDTH };
        let mut rest = self.0.chars();
        let text: Vec<char> = rest.by_ref().take(most).collect();
        let cut = rest.next().is_some();
        let mut shown = String::with_capacity(text.len());
        for (at, c) in text.iter().enumerate() {
            if is_moving(*c) || (is_invisible(*c) && !belongs(&text, at)) {
                shown.extend(c.escape_unicode());
            } else {
                shown.push(*c);
            }
        }
        if cut {
            shown.push('…');
        }
        f.pad(&shown)
    }
}

/// What moves a terminal or turns text around: control characters, line and paragraph separators, bidirectional controls.
/// No path has any.
#[must_use]
pub fn is_moving(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_terminal_is_printed() {
        assert_eq!(Shown("a\u{1b}[2Jb\u{202e}c\u{200b}\n").to_string(), "a\\u{1b}[2Jb\\u{202e}c\\u{200b}\\u{a}");
        assert_eq!(Shown("so\u{ad}ft \u{3164}\u{fe0f}").to_string(), "so\\u{ad}ft \\u{3164}\\u{fe0f}");
        let family = "\u{1f468}\u{200d}\u{1f467}.png";
        assert_eq!(Shown(family).to_string(), family);
        assert_eq!(Shown(&"x".repeat(MAX_WIDTH + 9)).to_string().chars().count(), MAX_WIDTH + 1);
        let long = format!("{}\u{1b}", "x".repeat(MAX_WIDTH + 9));
        assert_eq!(format!("{:#}", Shown(&long)), format!("{}\\u{{1b}}", "x".repeat(MAX_WIDTH + 9)));
        assert_eq!(format!("{:>4}", Shown("é")), "   é");
    }
}
