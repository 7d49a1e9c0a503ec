//! Serde forms of types whose form is their text, in binary records too: trees do not travel.

/// Implements `Serialize` by `Display` and `Deserialize` by a function that parses.
macro_rules! serialize_as_text {
    ($($type:ty: $parse:expr),* $(,)?) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = alloc::string::String::deserialize(deserializer)?;
                ($parse)(&text).map_err(serde::de::Error::custom)
            }
        }
    )*};
}

pub(crate) use serialize_as_text;
