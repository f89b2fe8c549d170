//! Words of commands that people paste.

use super::Shown;

/// A word for a POSIX shell.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", Shown(word).to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_shell() {
        assert_eq!(["a/b.c", "", "a b", "a'b", "*.x"].map(quoted), ["a/b.c", "''", "'a b'", "'a'\\''b'", "'*.x'"]);
    }
}
