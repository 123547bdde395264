//! Settings of a kind as people write them: a table with `kind`, or the name of a kind alone.

use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Settings whose `kind` says which fields they have.
pub(crate) trait Kinds {
    /// The kinds, for messages.
    const NAMES: &'static str;
    /// Some as a plan writes them.
    const EXAMPLES: &'static str;
}

/// Reads a table as the settings themselves do, and the name of a kind as the table of that alone.
pub(crate) fn written<'de, D: Deserializer<'de>, T: Kinds + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(Written(PhantomData))
}

struct Written<T>(PhantomData<T>);

impl<'de, T: Kinds + Deserialize<'de>> Visitor<'de> for Written<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "one of the kinds {}, such as {}", T::NAMES, T::EXAMPLES)
    }

    fn visit_str<E: Error>(self, kind: &str) -> Result<T, E> {
        T::deserialize(MapDeserializer::new(std::iter::once(("kind", kind)))).map_err(explained::<T, E>)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map_err(explained::<T, A::Error>)
    }
}

/// What is missing does not say by itself what there is.
fn explained<T: Kinds, E: Error>(error: E) -> E {
    let text = error.to_string();
    match text.trim_end() {
        text if text.starts_with("missing field") => E::custom(format!("{text}; the kinds are {}, such as {}", T::NAMES, T::EXAMPLES)),
        _ => error,
    }
}
