//! Paths in what is sent and kept for people: as text, in which what is not UTF-8 is replaced. Nobody opens what comes out.
//! For serde's attribute `with`.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path, or some.
pub trait Paths: Sized {
    /// The same as text.
    type Text: Serialize + for<'de> Deserialize<'de>;

    /// As text.
    fn to_text(&self) -> Self::Text;

    /// From text.
    fn from_text(text: Self::Text) -> Self;
}

impl Paths for PathBuf {
    type Text = String;

    fn to_text(&self) -> String {
        self.to_string_lossy().into_owned()
    }

    fn from_text(text: String) -> Self {
        text.into()
    }
}

impl Paths for Option<PathBuf> {
    type Text = Option<String>;

    fn to_text(&self) -> Option<String> {
        self.as_ref().map(PathBuf::to_text)
    }

    fn from_text(text: Option<String>) -> Self {
        text.map(PathBuf::from)
    }
}

impl Paths for Vec<PathBuf> {
    type Text = Vec<String>;

    fn to_text(&self) -> Vec<String> {
        self.iter().map(PathBuf::to_text).collect()
    }

    fn from_text(text: Vec<String>) -> Self {
        text.into_iter().map(PathBuf::from).collect()
    }
}

/// Writes it.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<P: Paths, S: Serializer>(paths: &P, to: S) -> Result<S::Ok, S::Error> {
    paths.to_text().serialize(to)
}

/// Reads it.
///
/// # Errors
/// Those of the deserializer.
pub fn deserialize<'de, P: Paths, D: Deserializer<'de>>(from: D) -> Result<P, D::Error> {
    P::Text::deserialize(from).map(P::from_text)
}
