//! Items within images: as their JSON text, because they contain expressions and nested blocks, and images must not nest.
//!
//! For fields: `#[serde(with = "super::item_text")]`. Fails on reading when the text is not the item's JSON.

use crate::json::{Json, from_text, to_text};
use alloc::string::String;
use alloc::sync::Arc;
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serializer};

pub(super) fn serialize<T: Json, S: Serializer>(item: &Arc<T>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_text(item))
}

pub(super) fn deserialize<'de, T: Json, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    from_text(&text).map_err(D::Error::custom)
}
