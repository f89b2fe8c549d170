//! Words of commands that people paste.

use crate::model::Shown;

/// A word for a POSIX shell.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    if word.chars().all(|c| !c.is_control()) && Shown(word).to_string() == word {
        return format!("'{}'", word.replace('\'', "'\\''"));
    }
    // What is not fit to be shown, byte by byte: bash, zsh, ksh and POSIX 2024 understand it.
    let byte = |b: u8| match b {
        b'\'' | b'\\' => format!("\\{}", char::from(b)),
        b' '..=b'~' => char::from(b).to_string(),
        _ => format!("\\{b:03o}"),
    };
    format!("$'{}'", word.bytes().map(byte).collect::<String>())
}

/// A path for a shell and a command: one that begins with a hyphen is neither an option nor standard output.
#[must_use]
pub fn quoted_path(path: &str) -> String {
    if path.starts_with('-') { quoted(&format!("./{path}")) } else { quoted(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_shell() {
        assert_eq!(["a/b.c", "", "a b", "a'b", "*.x"].map(quoted), ["a/b.c", "''", "'a b'", "'a'\\''b'", "'*.x'"]);
        let (words, quoted) = (["-", "-o", "--force", "-/x", "a-b"], ["./-", "./-o", "./--force", "./-/x", "a-b"]);
        assert_eq!(words.map(quoted_path), quoted);
        #[cfg(unix)]
        for word in ["\u{1b}[31m'x\\y", "a\nb", "\u{202e}gpj.exe", "- \u{7}", "ü"] {
            let command = format!("printf %s {}", quoted_path(word));
            let Ok(output) = std::process::Command::new("bash").args(["-c", &command]).output() else { return };
            let said = String::from_utf8(output.stdout).expect("UTF-8");
            assert_eq!(said.trim_start_matches("./"), word, "{command:?}");
            assert!(command.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{command:?}");
        }
    }
}
