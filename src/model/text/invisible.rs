//! Characters that nobody sees, and where they belong all the same: within emoji, and within words of scripts that shape their
//! letters by them. Invariant: in a text of which every invisible character [`belongs`], none stands beside another one
//! but in the tags of a flag. Not responsible for control and bidirectional characters: `model/text/shown.rs`.

use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

type Ranges = &'static [(char, char)];

/// Default_Ignorable_Code_Point or General_Category Format, joined: DerivedCoreProperties.txt and
/// DerivedGeneralCategory.txt of Unicode 16.0. A test compares them with the tables of the regex crate.
#[rustfmt::skip]
const INVISIBLE: Ranges = &[
    ('\u{00ad}', '\u{00ad}'), ('\u{034f}', '\u{034f}'), ('\u{0600}', '\u{0605}'), ('\u{061c}', '\u{061c}'),
    ('\u{06dd}', '\u{06dd}'), ('\u{070f}', '\u{070f}'), ('\u{0890}', '\u{0891}'), ('\u{08e2}', '\u{08e2}'),
    ('\u{115f}', '\u{1160}'), ('\u{17b4}', '\u{17b5}'), ('\u{180b}', '\u{180f}'), ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'), ('\u{2060}', '\u{206f}'), ('\u{3164}', '\u{3164}'), ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'), ('\u{ffa0}', '\u{ffa0}'), ('\u{fff0}', '\u{fffb}'), ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'), ('\u{13430}', '\u{1343f}'), ('\u{1bca0}', '\u{1bca3}'), ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Extended_Pictographic, emoji-data.txt of Unicode 16.0; compared as above.
#[rustfmt::skip]
const PICTOGRAPHIC: Ranges = &[
    ('\u{00a9}', '\u{00a9}'), ('\u{00ae}', '\u{00ae}'), ('\u{203c}', '\u{203c}'), ('\u{2049}', '\u{2049}'),
    ('\u{2122}', '\u{2122}'), ('\u{2139}', '\u{2139}'), ('\u{2194}', '\u{2199}'), ('\u{21a9}', '\u{21aa}'),
    ('\u{231a}', '\u{231b}'), ('\u{2328}', '\u{2328}'), ('\u{2388}', '\u{2388}'), ('\u{23cf}', '\u{23cf}'),
    ('\u{23e9}', '\u{23f3}'), ('\u{23f8}', '\u{23fa}'), ('\u{24c2}', '\u{24c2}'), ('\u{25aa}', '\u{25ab}'),
    ('\u{25b6}', '\u{25b6}'), ('\u{25c0}', '\u{25c0}'), ('\u{25fb}', '\u{25fe}'), ('\u{2600}', '\u{2605}'),
    ('\u{2607}', '\u{2612}'), ('\u{2614}', '\u{2685}'), ('\u{2690}', '\u{2705}'), ('\u{2708}', '\u{2712}'),
    ('\u{2714}', '\u{2714}'), ('\u{2716}', '\u{2716}'), ('\u{271d}', '\u{271d}'), ('\u{2721}', '\u{2721}'),
    ('\u{2728}', '\u{2728}'), ('\u{2733}', '\u{2734}'), ('\u{2744}', '\u{2744}'), ('\u{2747}', '\u{2747}'),
    ('\u{274c}', '\u{274c}'), ('\u{274e}', '\u{274e}'), ('\u{2753}', '\u{2755}'), ('\u{2757}', '\u{2757}'),
    ('\u{2763}', '\u{2767}'), ('\u{2795}', '\u{2797}'), ('\u{27a1}', '\u{27a1}'), ('\u{27b0}', '\u{27b0}'),
    ('\u{27bf}', '\u{27bf}'), ('\u{2934}', '\u{2935}'), ('\u{2b05}', '\u{2b07}'), ('\u{2b1b}', '\u{2b1c}'),
    ('\u{2b50}', '\u{2b50}'), ('\u{2b55}', '\u{2b55}'), ('\u{3030}', '\u{3030}'), ('\u{303d}', '\u{303d}'),
    ('\u{3297}', '\u{3297}'), ('\u{3299}', '\u{3299}'), ('\u{1f000}', '\u{1f0ff}'), ('\u{1f10d}', '\u{1f10f}'),
    ('\u{1f12f}', '\u{1f12f}'), ('\u{1f16c}', '\u{1f171}'), ('\u{1f17e}', '\u{1f17f}'), ('\u{1f18e}', '\u{1f18e}'),
    ('\u{1f191}', '\u{1f19a}'), ('\u{1f1ad}', '\u{1f1e5}'), ('\u{1f201}', '\u{1f20f}'), ('\u{1f21a}', '\u{1f21a}'),
    ('\u{1f22f}', '\u{1f22f}'), ('\u{1f232}', '\u{1f23a}'), ('\u{1f23c}', '\u{1f23f}'), ('\u{1f249}', '\u{1f3fa}'),
    ('\u{1f400}', '\u{1f53d}'), ('\u{1f546}', '\u{1f64f}'), ('\u{1f680}', '\u{1f6ff}'), ('\u{1f774}', '\u{1f77f}'),
    ('\u{1f7d5}', '\u{1f7ff}'), ('\u{1f80c}', '\u{1f80f}'), ('\u{1f848}', '\u{1f84f}'), ('\u{1f85a}', '\u{1f85f}'),
    ('\u{1f888}', '\u{1f88f}'), ('\u{1f8ae}', '\u{1f8ff}'), ('\u{1f90c}', '\u{1f93a}'), ('\u{1f93c}', '\u{1f945}'),
    ('\u{1f947}', '\u{1faff}'), ('\u{1fc00}', '\u{1fffd}'),
];

/// Blocks of scripts whose words may hold a joiner or non-joiner; blocks of one script have one name. Indic and other
/// Brahmic scripts stand in blocks of 128 (see [`script`]).
const JOINING: &[(char, char, u32)] = &[
    ('\u{0600}', '\u{06ff}', 1), // Arabic
    ('\u{0700}', '\u{074f}', 2), // Syriac
    ('\u{0750}', '\u{077f}', 1),
    ('\u{07c0}', '\u{07ff}', 3), // NKo
    ('\u{0840}', '\u{085f}', 4), // Mandaic
    ('\u{0860}', '\u{086f}', 2),
    ('\u{0870}', '\u{08ff}', 1),
    ('\u{0f00}', '\u{0fff}', 5),  // Tibetan
    ('\u{1000}', '\u{109f}', 6),  // Myanmar
    ('\u{1780}', '\u{17ff}', 7),  // Khmer
    ('\u{1800}', '\u{18af}', 8),  // Mongolian
    ('\u{a840}', '\u{a87f}', 9),  // Phags-pa
    ('\u{a980}', '\u{a9df}', 10), // Javanese
    ('\u{fb50}', '\u{fdff}', 1),
    ('\u{fe70}', '\u{fefc}', 1),
];

/// Whether nobody sees it where it stands alone.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    !c.is_ascii() && within(INVISIBLE, c)
}

/// Whether the invisible character at a place is a part of an emoji or of a word of its script.
#[must_use]
pub fn belongs(text: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| text.get(at)).copied();
    let after = text.get(at + 1).copied();
    let follows = |is: fn(char) -> bool| before.is_some_and(is);
    match text[at] {
        '\u{200c}' => joins_letters(before, after),
        '\u{200d}' => joins_letters(before, after) || joins_emoji(&text[..at], after),
        '\u{fe0e}' | '\u{fe0f}' => {
            let keycap = |c: char| c.is_ascii_digit() || matches!(c, '#' | '*');
            follows(is_pictographic) || (follows(keycap) && after == Some('\u{20e3}'))
        }
        '\u{180b}'..='\u{180d}' | '\u{180f}' => follows(|c| script(c) == Some(8) && is_letter(c)),
        '\u{fe00}'..='\u{fe02}' | '\u{e0100}'..='\u{e01ef}' => follows(is_ideograph),
        '\u{e0020}'..='\u{e007f}' => is_flag(text, at),
        // Signs that are seen: they stand around or before what follows.
        '\u{0600}'..='\u{0605}'
        | '\u{06dd}'
        | '\u{0890}'..='\u{0891}'
        | '\u{08e2}'
        | '\u{070f}'
        | '\u{110bd}'
        | '\u{110cd}' => after.is_some_and(|c| !c.is_ascii() && is_letter(c)),
        '\u{13430}'..='\u{1343f}' => follows(|c| ('\u{13000}'..='\u{143fa}').contains(&c)),
        _ => false,
    }
}

/// Between two letters of one script, or after a virama, whose shape it chooses (RFC 5892, appendix A.1 and A.2).
fn joins_letters(before: Option<char>, after: Option<char>) -> bool {
    let Some((own, letter)) = before.and_then(|c| Some((script(c)?, c))) else { return false };
    let within_word = is_letter(letter) && after.is_some_and(|c| script(c) == Some(own) && is_letter(c));
    within_word || canonical_combining_class(letter) == VIRAMA
}

/// Canonical_Combining_Class of viramas.
const VIRAMA: u8 = 9;

fn joins_emoji(before: &[char], after: Option<char>) -> bool {
    let modifies = |c: &&char| matches!(c, '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}');
    // A skin tone alone is an emoji, too, but none is joined to it.
    let base = before.iter().rev().find(|c| !modifies(c));
    // At most one of each: what stands between has been judged for itself.
    base.is_some_and(|c| is_pictographic(*c)) && after.is_some_and(is_pictographic)
}

/// A black flag, three to six letters and digits of a region, and the end (UTS #51, ED-14a).
fn is_flag(text: &[char], at: usize) -> bool {
    let tag = |c: &char| matches!(c, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}');
    let first = at - text[..at].iter().rev().take_while(|c| tag(c)).count();
    let count = text[first..].iter().take_while(|c| tag(c)).count();
    let flag = first.checked_sub(1).and_then(|at| text.get(at)) == Some(&'\u{1f3f4}');
    flag && (3..=6).contains(&count) && text.get(first + count) == Some(&'\u{e007f}') && at <= first + count
}

fn script(c: char) -> Option<u32> {
    match c {
        // Devanagari to Sinhala; and Brahmi to the newest of its kind. Two scripts of one block are rare and harmless.
        '\u{0900}'..='\u{0dff}' | '\u{11000}'..='\u{11fff}' => Some(0x1000 + (u32::from(c) >> 7)),
        _ => JOINING.iter().find(|(first, last, _)| (*first..=*last).contains(&c)).map(|(_, _, script)| *script),
    }
}

fn is_letter(c: char) -> bool {
    !is_invisible(c) && (c.is_alphanumeric() || is_combining_mark(c))
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn is_pictographic(c: char) -> bool {
    !c.is_ascii() && within(PICTOGRAPHIC, c)
}

fn within(ranges: Ranges, c: char) -> bool {
    let place = ranges.partition_point(|(_, last)| *last < c);
    ranges.get(place).is_some_and(|(first, _)| *first <= c)
}

#[cfg(test)]
mod tests {
    use regex_syntax::hir::{Class, HirKind};

    use super::*;

    fn ranges(class: &str) -> Vec<(char, char)> {
        let hir = regex_syntax::parse(class).expect(class);
        let HirKind::Class(Class::Unicode(class)) = hir.kind() else { panic!("{class} is no class") };
        class.ranges().iter().map(|range| (range.start(), range.end())).collect()
    }

    #[test]
    fn the_tables_are_those_of_the_standard() {
        assert_eq!(INVISIBLE, ranges(r"[\p{Default_Ignorable_Code_Point}\p{Cf}]"));
        assert_eq!(PICTOGRAPHIC, ranges(r"\p{Extended_Pictographic}"));
    }

    fn alone(text: &str) -> Vec<char> {
        let chars: Vec<char> = text.chars().collect();
        (0..chars.len()).filter(|at| is_invisible(chars[*at]) && !belongs(&chars, *at)).map(|at| chars[at]).collect()
    }

    #[test]
    fn what_emoji_and_scripts_need_belongs_to_them() {
        let names = [
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}.png", // a family
            "\u{1f9d1}\u{1f3fd}\u{200d}\u{2764}\u{fe0f}\u{200d}\u{1f9d1}\u{1f3fb}", // skin tones and a heart
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}", // Scotland
            "1\u{fe0f}\u{20e3}.txt",                           // a keycap
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}", // Persian
            "\u{915}\u{94d}\u{200d}\u{937} \u{915}\u{94d}\u{200c}", // Hindi, half forms
            "\u{0d28}\u{0d4d}\u{200d}",                        // Malayalam, an old chillu
            "\u{845b}\u{e0100}",                               // a variant of an ideograph
            "\u{1820}\u{180b}",                                // Mongolian
            "\u{600}\u{661}",                                  // an Arabic number sign
        ];
        for name in names {
            assert_eq!(alone(name), [], "{name:?}");
        }
    }

    #[test]
    fn elsewhere_they_stand_alone() {
        for c in INVISIBLE.iter().flat_map(|(first, last)| [*first, *last]) {
            assert_eq!(alone(&format!("a{c}b")), [c], "{c:?}");
            assert_eq!(alone(&c.to_string()), [c], "{c:?}");
        }
        let cases = [
            ("a\u{200d}\u{1f469}", 1),
            ("\u{1f469}\u{200d}\u{200d}\u{1f469}", 2),
            ("\u{1f469}\u{fe0f}\u{fe0f}", 1),
            ("1\u{fe0f}", 1),
            ("\u{645}\u{200c}a", 1),
            ("\u{645}\u{200c}\u{200c}\u{645}", 2),
            ("\u{645}\u{200d}\u{915}", 1),
            ("\u{1f3f4}\u{e0067}\u{e0062}", 2),
            ("\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}\u{e007f}", 1),
            ("a\u{e0067}\u{e0062}\u{e0073}\u{e007f}", 4),
        ];
        for (text, count) in cases {
            assert_eq!(alone(text).len(), count, "{text:?}");
        }
    }
}
