//! JSON as serde's derived code reads options from it: what is null counts as left out, a name may not
//! stand twice, and an error knows the path to the option and says what was expected, and what was given.

use std::borrow::Cow;
use std::fmt;
use std::vec;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

use crate::api::json::{self, Members};
use crate::error::Error;

/// Reads options; all are left out if there is no text. `prefix` stands before an option's name in messages.
pub fn read<T: DeserializeOwned + Default>(prefix: &str, text: Option<&str>) -> Result<T, Error> {
    let Some(text) = text else {
        return Ok(T::default());
    };
    let parameter = prefix.trim_end_matches([':', ' ', '.']);
    let value = json::parse(parameter, text)?;
    T::deserialize(Given(value)).map_err(|wrong| {
        Error::invalid(match wrong.path.as_str() {
            "" => format!("{parameter}: {}", wrong.what),
            path => format!("{prefix}{path}: {}", wrong.what),
        })
    })
}

/// What is wrong, and with which option: `queue.batch_size`.
#[derive(Debug)]
struct Wrong {
    path: String,
    what: String,
}

impl Wrong {
    fn of(error: serde_json::Error) -> Self {
        Self::custom(json::without_position(&error))
    }

    /// It is about a member of the object `name`, or about `name` itself.
    fn inside(mut self, name: &str) -> Self {
        self.path = match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{name}.{path}"),
        };
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self {
            path: String::new(),
            what: what.to_string(),
        }
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self {
            path: field.to_owned(),
            what: "is not an option; see the options table in trophy.h".to_owned(),
        }
    }
}

/// What is expected, and what was given instead.
pub fn must_be(what: &str, given: &RawValue) -> String {
    let shown = match json::kind(given) {
        kind @ ("an object" | "an array") => kind,
        kind if given.get().len() > 60 => kind,
        _ => given.get(),
    };
    format!("must be {what}, not {shown}")
}

/// An object's members, or what is wrong with it.
pub fn members(value: &RawValue) -> Result<Members<'_>, String> {
    if json::kind(value) != "an object" {
        return Err(must_be("a JSON object", value));
    }
    serde_json::from_str(value.get()).map_err(|error| json::without_position(&error))
}

/// The value of an option, or all the options.
struct Given<'de>(&'de RawValue);

impl<'de> Deserializer<'de> for Given<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.0.deserialize_any(visitor).map_err(Wrong::of)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let mut members = members(self.0).map_err(Wrong::custom)?;
        members.0.retain(|(_, value)| value.get() != "null");
        visitor.visit_map(Entries {
            rest: members.0.into_iter(),
            current: None,
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0.get() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(Wrong::custom(must_be("true or false", self.0))),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match json::string(self.0) {
            Some(text) if text.is_empty() => {
                Err(Wrong::custom("is empty; leave it out for the default"))
            }
            Some(text) => visitor.visit_string(text.into_owned()),
            None => Err(Wrong::custom(must_be("a string", self.0))),
        }
    }

    /// One of some names.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match json::string(self.0) {
            Some(text) if variants.contains(&&*text) => {
                let name: StrDeserializer<'_, Wrong> = text.as_ref().into_deserializer();
                visitor.visit_enum(name)
            }
            _ => {
                let quoted = variants.iter().map(|name| format!("\"{name}\""));
                let names: Vec<_> = quoted.collect();
                Err(Wrong::custom(must_be(&names.join(" or "), self.0)))
            }
        }
    }

    /// A [`RawValue`], which is the only one.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let value = self.0.deserialize_newtype_struct(name, visitor);
        value.map_err(Wrong::of)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// The members of an object, one by one.
struct Entries<'de> {
    rest: vec::IntoIter<(Cow<'de, str>, &'de RawValue)>,
    current: Option<(Cow<'de, str>, &'de RawValue)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Wrong> {
        self.current = self.rest.next();
        let Some((name, _)) = &self.current else {
            return Ok(None);
        };
        let name: StrDeserializer<'_, Wrong> = name.as_ref().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let Some((name, value)) = &self.current else {
            return Err(Wrong::custom("a value was asked for before its name"));
        };
        seed.deserialize(Given(value))
            .map_err(|wrong| wrong.inside(name))
    }
}
