//! A pattern as a plan writes it: a name, or a table of one form.

use super::MissingPattern;
use serde::de::{self, IgnoredAny, IntoDeserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

const FORMS: &str = "`rate`, `rates`, `fixed`, `combinations`, `by_class` and `by_value`";

impl Serialize for MissingPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for MissingPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneForm)
    }
}

/// Of two forms, serde would only say that it wanted one element.
struct OneForm;

impl<'de> Visitor<'de> for OneForm {
    type Value = MissingPattern;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "`\"uniform\"`, `\"natural\"`, `\"full\"`, or a table with one of {FORMS}, such as `{{ rate = 0.3 }}`")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<MissingPattern, E> {
        MissingPattern::deserialize(name.into_deserializer())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MissingPattern, A::Error> {
        let pattern = MissingPattern::deserialize(MapAccessDeserializer::new(&mut map))?;
        match map.next_key::<IgnoredAny>()? {
            None => Ok(pattern),
            Some(_) => Err(de::Error::custom(format!("several forms of one pattern: write one of {FORMS}"))),
        }
    }
}

/// A table of rates; a list, as positions would have it, is told what to write.
pub(super) fn rates_by_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
    struct ByName;
    impl<'de> de::Visitor<'de> for ByName {
        type Value = BTreeMap<String, f64>;
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a rate for each modality by name, such as `{ rgb = 0.1, depth = 0.3 }`")
        }
        fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            BTreeMap::deserialize(de::value::MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_map(ByName)
}
