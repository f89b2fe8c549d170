//! The names under which the variants of an enum or the fields of a struct travel: asked of what serde has derived, so
//! that no list by hand can differ from it.

use serde::Deserialize;
use serde::de::value::Error;
use serde::de::{Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// The names of a type's variants or fields; none for a type that has neither.
pub fn names_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &[&str] = &[];
    // It never gets a value.
    let _ = T::deserialize(Asked(&mut names));
    names
}

/// What a type reads itself from: it notes what the type expects, and has nothing.
struct Asked<'n>(&'n mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom(""))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = variants;
        self.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{FollowEvent, Request};

    #[test]
    fn variants_and_fields_are_those_of_the_type() {
        assert!(names_of::<Request>().contains(&"Withdraw") && names_of::<Request>().len() == 18);
        assert_eq!(names_of::<FollowEvent>(), ["joined", "left"]);
        assert!(names_of::<u32>().is_empty());
    }
}
