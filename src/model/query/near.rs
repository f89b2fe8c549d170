//! Words that are nearly a word: one mistake in 4 to 7 characters, two in more; a character too few, too many, another one, or
//! two changed over. Bit-parallel (Hyyrö, *A bit-vector algorithm for computing Levenshtein and Damerau edit distances*,
//! 2003): some operations for a character of what is compared, whatever the word is.

/// The shortest and the longest word that is compared: what is shorter is nearly too many, and a mask has 64 bits.
const LENGTH: std::ops::RangeInclusive<usize> = 4..=64;
/// From so many characters on two mistakes are forgiven.
const LONG: usize = 8;

/// A word, and which of its places have which character.
#[derive(Debug, Clone)]
pub struct Spelling {
    masks: Vec<(char, u64)>,
    length: usize,
}

impl Spelling {
    /// Of a folded word; none where nothing else is nearly it: a short one, a number.
    pub fn of(word: &str) -> Option<Self> {
        let length = word.chars().count();
        if !LENGTH.contains(&length) || word.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mut masks: Vec<(char, u64)> = Vec::new();
        for (place, c) in word.chars().enumerate() {
            match masks.binary_search_by_key(&c, |(known, _)| *known) {
                Ok(at) => masks[at].1 |= 1 << place,
                Err(at) => masks.insert(at, (c, 1 << place)),
            }
        }
        Some(Self { masks, length })
    }

    /// In how many mistakes another word differs, where it is nearly this one.
    pub fn mistakes(&self, other: &str) -> Option<usize> {
        let most = if self.length >= LONG { 2 } else { 1 };
        // No character has more than four bytes.
        let bytes = self.length.saturating_sub(most)..=(self.length + most) * 4;
        if !bytes.contains(&other.len()) || other.chars().count().abs_diff(self.length) > most {
            return None;
        }
        Some(self.distance(other)).filter(|distance| *distance <= most)
    }

    /// The least number of mistakes, of which none touches the same place twice. The names are Hyyrö's.
    fn distance(&self, other: &str) -> usize {
        let (mut vp, mut vn, mut d0, mut before) = (u64::MAX, 0, 0_u64, 0);
        let (mut distance, last) = (self.length, 1 << (self.length - 1));
        for c in other.chars() {
            let pm = self.masks.binary_search_by_key(&c, |(known, _)| *known).map_or(0, |at| self.masks[at].1);
            let changed_over = (!d0 & pm) << 1 & before;
            d0 = ((pm & vp).wrapping_add(vp) ^ vp) | pm | vn | changed_over;
            let (hp, hn) = (vn | !(d0 | vp), d0 & vp);
            distance += usize::from(hp & last != 0);
            distance -= usize::from(hn & last != 0);
            let (hp, hn) = (hp << 1 | 1, hn << 1);
            (vp, vn, before) = (hn | !(d0 | hp), hp & d0, pm);
        }
        distance
    }
}

/// The words of a folded name.
pub fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mistakes(word: &str, other: &str) -> Option<usize> {
        Spelling::of(word)?.mistakes(other)
    }

    #[test]
    fn one_mistake_in_short_words_and_two_in_long_ones() {
        for other in ["turing", "turinh", "turign", "turin", "truing", "uring", "turrings"] {
            let most = if other == "turrings" { None } else { Some(1) };
            assert_eq!(mistakes("turing", other).filter(|n| *n > 0), most.filter(|_| other != "turing"), "{other}");
        }
        assert_eq!((mistakes("turinng", "turing"), mistakes("crossover", "corssovre")), (Some(1), Some(2)));
        assert_eq!((mistakes("übung", "ubung"), mistakes("абвгд", "абгвд")), (Some(1), Some(1)));
        for (word, other) in [("cat", "cut"), ("2023", "2024"), (&"a".repeat(65), &"a".repeat(65))] {
            assert_eq!(mistakes(word, other), None, "{word}");
        }
    }

    #[test]
    fn words_of_a_name_are_its_letters_and_digits() {
        assert_eq!(words("a b/c-d_e.pdf (2)").collect::<Vec<_>>(), ["a", "b", "c", "d", "e", "pdf", "2"]);
    }

    /// The definition, cell by cell.
    fn by_table(a: &[char], b: &[char]) -> usize {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                table[i][j] = match (i, j) {
                    (0, n) | (n, 0) => n,
                    _ => {
                        let other = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                        let mut least = other.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                        if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                            least = least.min(table[i - 2][j - 2] + 1);
                        }
                        least
                    }
                };
            }
        }
        table[a.len()][b.len()]
    }

    proptest! {
        #[test]
        fn bits_count_as_the_table_does(word in "[abé]{4,64}", other in "[abé]{0,66}") {
            let [a, b] = [&word, &other].map(|text| text.chars().collect::<Vec<_>>());
            let (distance, most) = (by_table(&a, &b), if a.len() < 8 { 1 } else { 2 });
            prop_assert_eq!(Spelling::of(&word).expect("long").distance(&other), distance);
            prop_assert_eq!(mistakes(&word, &other), Some(distance).filter(|distance| *distance <= most));
        }

        #[test]
        fn nearly_the_same_is_found(word in "[a-d]{8,12}", at in 0..8_usize, by in "[a-d]", over in any::<bool>()) {
            let mut other: Vec<char> = word.chars().collect();
            if over && at > 0 { other.swap(at, at - 1) } else { other.insert(at, by.chars().next().expect("one")) }
            prop_assert!(mistakes(&word, &other.iter().collect::<String>()).is_some_and(|mistakes| mistakes <= 1));
        }
    }
}
