//! A relative path that cannot leave the directory it is used in, nor deceive who reads it.
//! Only [`SafePath::parse`] makes one of text, and parts or children of one are others. Not responsible for symlinks on the disk: the directory handle that uses it is.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::query::fold;
use crate::model::text::shown::is_moving;

/// The longest path, in bytes.
pub const MAX_PATH: usize = 4096;
/// The longest component, in bytes.
pub const MAX_COMPONENT: usize = 255;
/// The greatest number of components.
pub const MAX_DEPTH: usize = 100;

/// How the names begin that qshare gives to what it is still fetching. Nothing that is shared has such a name.
pub const RESERVED: &str = ".qshare-";

/// Why a text is never a safe path, anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum PathError {
    /// Begins with a slash.
    #[error("the path is absolute")]
    Absolute,
    /// A control or bidirectional character.
    #[error("the path has a control or bidirectional character")]
    Character,
    /// A component of more than 255 bytes.
    #[error("a name in the path is longer than 255 bytes")]
    Component,
    /// More than 100 components.
    #[error("the path is deeper than 100 directories")]
    Depth,
    /// `.` or `..`.
    #[error("the path has a `.` or `..` component")]
    Dots,
    /// Nothing at all, or nothing between two slashes.
    #[error("the path has an empty component")]
    Empty,
    /// More than 4096 bytes.
    #[error("the path is longer than 4096 bytes")]
    Long,
}

/// Components joined by `/`, each of them a plain name. Cheap to clone: an index holds each name many times.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SafePath(Arc<str>);

impl SafePath {
    /// Checks a path as it travels.
    ///
    /// # Errors
    /// When it is never valid (design, section 7.1).
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.starts_with('/') {
            return Err(PathError::Absolute);
        }
        if text.len() > MAX_PATH {
            return Err(PathError::Long);
        }
        if text.split('/').count() > MAX_DEPTH {
            return Err(PathError::Depth);
        }
        text.split('/').try_for_each(check_component)?;
        Ok(Self(text.into()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its names from the top down; at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Its last component.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The path without its last component; `None` at the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// The directories above it as text, the nearest first, each a part of this one: of long paths there may be very many.
    pub fn above(&self) -> impl Iterator<Item = &str> {
        self.0.rmatch_indices('/').map(|(end, _)| &self.0[..end])
    }

    /// The path with another beneath it.
    ///
    /// # Errors
    /// When the whole is too long or too deep.
    pub fn join(&self, below: &Self) -> Result<Self, PathError> {
        Self::parse(&format!("{}/{}", self.0, below.0))
    }

    /// The path with one more component; only that is checked, so it is cheap for many names in a directory.
    ///
    /// # Errors
    /// When the component is never valid, or the whole is too long or too deep.
    pub fn child(&self, name: &str) -> Result<Self, PathError> {
        if self.0.len() + 1 + name.len() > MAX_PATH {
            return Err(PathError::Long);
        }
        if name.contains('/') || self.0.bytes().filter(|b| *b == b'/').count() + 2 > MAX_DEPTH {
            return Self::parse(&format!("{}/{name}", self.0));
        }
        check_component(name)?;
        Ok(Self([&self.0, "/", name].concat().into()))
    }

    /// The last component as a path of its own.
    #[must_use]
    pub fn last(&self) -> Self {
        Self(self.name().into())
    }

    /// Whether a component begins as the names of unfinished transfers do, also as a file system sees it that tells neither
    /// case nor what nobody sees apart.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.components().any(is_reserved)
    }

    /// Whether every component can exist on Windows and macOS too: no backslash, colon or other reserved
    /// character, no device name, no trailing dot or space.
    #[must_use]
    pub fn is_portable(&self) -> bool {
        self.components().all(is_portable)
    }
}

fn check_component(name: &str) -> Result<(), PathError> {
    match name {
        "" => Err(PathError::Empty),
        "." | ".." => Err(PathError::Dots),
        _ if name.len() > MAX_COMPONENT => Err(PathError::Component),
        _ if name.bytes().all(|b| (b' '..=b'~').contains(&b)) => Ok(()),
        _ if name.chars().any(is_moving) => Err(PathError::Character),
        _ => Ok(()),
    }
}

/// See [`SafePath::is_reserved`].
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    // Most names are told apart by their first byte.
    (name.starts_with('.') || !name.is_ascii()) && fold(name).starts_with(RESERVED)
}

/// Whether a component can exist on Windows and macOS too.
#[must_use]
pub fn is_portable(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    let is = |device: &&str| stem.eq_ignore_ascii_case(device);
    let numbered = |prefix: &&str| match stem.split_at_checked(3) {
        Some((first, rest)) if matches!(rest.as_bytes(), [b'1'..=b'9']) => first.eq_ignore_ascii_case(prefix),
        _ => false,
    };
    let device = ["CON", "PRN", "AUX", "NUL"].iter().any(is) || ["COM", "LPT"].iter().any(numbered);
    !device && !name.ends_with(['.', ' ']) && !name.contains(['\\', ':', '*', '?', '"', '<', '>', '|'])
}

impl Borrow<str> for SafePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SafePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl Serialize for SafePath {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SafePath {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_above_is_the_parent_and_all_of_its_parents() {
        let path = SafePath::parse("a/bc/d").expect("valid");
        assert_eq!(path.above().collect::<Vec<_>>(), ["a/bc", "a"]);
        assert_eq!(path.parent().expect("has one").above().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn never_valid_paths_are_refused() {
        let cases = [
            ("", PathError::Empty),
            ("a//b", PathError::Empty),
            ("a/", PathError::Empty),
            ("/etc/x", PathError::Absolute),
            ("//h/x", PathError::Absolute),
            ("../x", PathError::Dots),
            ("a/../../x", PathError::Dots),
            (".", PathError::Dots),
            ("a\0b", PathError::Character),
            ("a\nb", PathError::Character),
            ("a\u{9b}b", PathError::Character),
            ("a\u{202e}b", PathError::Character),
        ];
        for (text, error) in cases {
            assert_eq!(SafePath::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn what_scripts_and_emoji_need_is_valid() {
        for text in ["\u{645}\u{6cc}\u{200c}\u{62e}", "\u{1f468}\u{200d}\u{1f467}.png", "so\u{ad}ft", "\u{feff}a"] {
            assert!(SafePath::parse(text).is_ok(), "{text:?}");
        }
        for text in ["\u{200e}", "\u{61c}", "\u{2066}", "\u{2028}"] {
            assert_eq!(SafePath::parse(text), Err(PathError::Character), "{text:?}");
        }
    }

    #[test]
    fn names_of_unfinished_transfers_are_known_however_they_are_written() {
        for text in [".qshare-x", "a/.qshare-0000000000000000.part/b", ".QShare-x", ".qsh\u{200c}are-x"] {
            assert!(SafePath::parse(text).expect("valid").is_reserved(), "{text:?}");
        }
        for text in [".qshareignore", "a.qshare-x", "qshare-x", ".qshare"] {
            assert!(!SafePath::parse(text).expect("valid").is_reserved(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_child_is_what_the_whole_parses_to(dirs in prop::collection::vec("[a-c]{1,3}", 1..101), name in "\\PC{0,4}|[./\\x00a]{0,3}|n{250,258}") {
            let dir = SafePath::parse(&dirs.join("/")).expect("valid");
            prop_assert_eq!(dir.child(&name), SafePath::parse(&format!("{dir}/{name}")));
        }
    }

    #[test]
    fn lengths_and_depth_have_exact_limits() {
        assert!(SafePath::parse(&"a".repeat(255)).is_ok());
        assert_eq!(SafePath::parse(&"a".repeat(256)), Err(PathError::Component));
        assert!(SafePath::parse(&vec!["d"; 100].join("/")).is_ok());
        assert_eq!(SafePath::parse(&vec!["d"; 101].join("/")), Err(PathError::Depth));
        let long = vec!["n".repeat(240); 18].join("/");
        assert_eq!(SafePath::parse(&long), Err(PathError::Long));
    }

    #[test]
    fn what_windows_cannot_hold_is_valid_but_not_portable() {
        for text in ["a\\b", "c:x", "CON", "nul.txt", "com1", "a ", "a.", "..\\x", "C:\\x"] {
            let path = SafePath::parse(text).expect("valid here");
            assert!(!path.is_portable(), "{text:?}");
        }
        for text in ["console", "com0", "a b", ".bashrc", "-rf"] {
            assert!(SafePath::parse(text).expect("valid").is_portable(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_safe_path_never_leaves_its_directory(text in "[a./\\\\\u{0}\u{202e}]{0,12}") {
            if let Ok(path) = SafePath::parse(&text) {
                let mut depth = 0;
                for component in std::path::Path::new(path.as_str()).components() {
                    prop_assert!(matches!(component, std::path::Component::Normal(_)));
                    depth += 1;
                }
                prop_assert_eq!(depth, path.components().count());
            }
        }
    }
}
