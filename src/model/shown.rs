//! Text from the network, made fit to be shown.
//! Invariant: what `Shown` prints has no control, bidirectional or zero-width character and a bounded width.

use std::fmt;

/// The greatest number of characters shown.
pub const MAX_WIDTH: usize = 512;

/// A wrapper that escapes text from the network for terminals and logs.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = String::new();
        for (count, c) in self.0.chars().enumerate() {
            if count == MAX_WIDTH {
                shown.push('…');
                break;
            }
            if c.is_control() || is_deceptive(c) {
                shown.extend(c.escape_unicode());
            } else {
                shown.push(c);
            }
        }
        f.pad(&shown)
    }
}

/// Bidirectional controls, zero-width characters, line separators and byte-order marks.
#[must_use]
pub const fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_terminal_is_printed() {
        assert_eq!(Shown("a\u{1b}[2Jb\u{202e}c\u{200b}\n").to_string(), "a\\u{1b}[2Jb\\u{202e}c\\u{200b}\\u{a}");
        assert_eq!(Shown(&"x".repeat(MAX_WIDTH + 9)).to_string().chars().count(), MAX_WIDTH + 1);
        assert_eq!(format!("{:>4}", Shown("é")), "   é");
    }
}
