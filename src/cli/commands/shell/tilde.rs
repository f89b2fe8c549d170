//! `~` at the beginning of a word of a shell, and of one that is completed, as a POSIX shell has it: the home of the user. Not of others.

use std::borrow::Cow;

use directories::BaseDirs;

/// The home of the user; empty where there is none.
pub(super) fn home() -> Vec<u8> {
    let home = BaseDirs::new().map(|dirs| dirs.home_dir().to_owned());
    home.map(|home| home.into_os_string().into_encoded_bytes()).unwrap_or_default()
}

/// The line with every unquoted `~` that is a word, or begins one before a `/`, as the home, quoted.
pub(super) fn expand<'a>(line: &'a [u8], home: &[u8]) -> Cow<'a, [u8]> {
    let Some(home) = shlex::bytes::try_quote(home).ok().filter(|_| !home.is_empty() && line.contains(&b'~')) else {
        return line.into();
    };
    let (mut all, mut quote, mut is_escaped, mut begins) = (Vec::new(), None, false, true);
    for (at, byte) in line.iter().enumerate() {
        let ends = line.get(at + 1).is_none_or(|next| *next == b'/' || next.is_ascii_whitespace());
        if *byte == b'~' && begins && ends {
            all.extend_from_slice(&home);
        } else {
            all.push(*byte);
        }
        begins = quote.is_none() && !is_escaped && byte.is_ascii_whitespace();
        match (quote, byte) {
            _ if is_escaped => is_escaped = false,
            (None | Some(b'"'), b'\\') => is_escaped = true,
            (None, b'\'' | b'"') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            // The rest is a comment.
            (None, b'#') if all.len() == 1 || all[all.len() - 2].is_ascii_whitespace() => {
                all.extend_from_slice(&line[at + 1..]);
                break;
            }
            _ => {}
        }
    }
    all.into()
}

/// A word as it is typed; a `~` that begins it is not quoted.
pub(super) fn quoted(word: &str) -> Option<String> {
    let (tilde, rest) = if word.starts_with("~/") { word.split_at(2) } else { ("", word) };
    let rest = if rest.is_empty() && !tilde.is_empty() { "".into() } else { shlex::try_quote(rest).ok()? };
    Some(format!("{tilde}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_home_where_a_word_begins_and_nowhere_else() {
        let words = |line: &str| {
            let all = shlex::bytes::split(&expand(line.as_bytes(), b"/home/an na")).expect("whole");
            all.into_iter().map(|word| String::from_utf8(word).expect("text")).collect::<Vec<_>>()
        };
        assert_eq!(
            words("put ~/mid.bin -o ~ ~/'a b'"),
            ["put", "/home/an na/mid.bin", "-o", "/home/an na", "/home/an na/a b"]
        );
        assert_eq!(words("'~/x' \"~/x\" \\~/x"), ["~/x"; 3]);
        assert_eq!(words("a~/x ~bob/x x\\ ~/y # it's ~/z"), ["a~/x", "~bob/x", "x ~/y"]);
        assert_eq!(expand(b"put ~/x", b"").as_ref(), b"put ~/x");
    }

    #[test]
    fn what_is_completed_keeps_it() {
        let of = |word| quoted(word).expect("it can be");
        assert_eq!([of("~/"), of("~/mid.bin"), of("~/a b"), of("a b")], ["~/", "~/mid.bin", "~/'a b'", "'a b'"]);
        assert_eq!(of("~x"), "'~x'");
    }
}
