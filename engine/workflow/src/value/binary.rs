//! The form of values in binary records: a flat sequence, parents before their children.
//!
//! Nothing here recurses into the (de)serializer, so no input can exhaust the stack: a nesting deeper than
//! [`MAX_DEPTH`] is an error in both directions. JSON is written and read elsewhere, not through serde.

use super::{Fields, MAX_DEPTH, Name, Value};
use crate::decimal::Decimal;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// A value without its children.
#[derive(Serialize, Deserialize)]
enum Token {
    Missing,
    False,
    True,
    Number(Decimal),
    String(Arc<str>),
    /// So many values follow.
    List(u32),
    /// So many times a name (a `String`) and a value follow.
    Object(u32),
}

/// A value and, flat, what it contains.
#[derive(Serialize, Deserialize)]
struct Tree(Token, Vec<Token>);

const TOO_DEEP: &str = "A value must not be nested deeper than 100 levels";
const MALFORMED: &str = "Not a value: the number of elements does not match";

fn flatten(value: &Value, depth: usize, tokens: &mut Vec<Token>) -> Result<Token, &'static str> {
    if depth > MAX_DEPTH {
        return Err(TOO_DEEP);
    }
    let children = |count: usize| u32::try_from(count).map_err(|_| MALFORMED);
    Ok(match value {
        Value::Missing => Token::Missing,
        Value::Boolean(false) => Token::False,
        Value::Boolean(true) => Token::True,
        Value::Number(number) => Token::Number(number.clone()),
        Value::String(text) => Token::String(text.clone()),
        Value::List(values) => {
            for value in values.iter() {
                flatten_into(value, depth + 1, tokens)?;
            }
            Token::List(children(values.len())?)
        }
        Value::Object(fields) => {
            for (name, value) in fields.iter() {
                tokens.push(Token::String(name.clone()));
                flatten_into(value, depth + 1, tokens)?;
            }
            Token::Object(children(fields.len())?)
        }
    })
}

fn flatten_into(value: &Value, depth: usize, tokens: &mut Vec<Token>) -> Result<(), &'static str> {
    let place = tokens.len();
    tokens.push(Token::Missing);
    tokens[place] = flatten(value, depth, tokens)?;
    Ok(())
}

fn unflatten(token: Token, depth: usize, rest: &mut impl Iterator<Item = Token>) -> Result<Value, &'static str> {
    if depth > MAX_DEPTH {
        return Err(TOO_DEEP);
    }
    Ok(match token {
        Token::Missing => Value::Missing,
        Token::False => Value::Boolean(false),
        Token::True => Value::Boolean(true),
        Token::Number(number) => Value::Number(number),
        Token::String(text) => Value::String(text),
        Token::List(count) => {
            let mut values = Vec::new();
            for _ in 0..count {
                values.push(unflatten(rest.next().ok_or(MALFORMED)?, depth + 1, rest)?);
            }
            Value::List(values.into())
        }
        Token::Object(count) => {
            let mut fields: Vec<(Name, Value)> = Vec::new();
            for _ in 0..count {
                let Some(Token::String(name)) = rest.next() else { return Err(MALFORMED) };
                fields.push((name, unflatten(rest.next().ok_or(MALFORMED)?, depth + 1, rest)?));
            }
            Value::Object(fields.into_iter().collect())
        }
    })
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tokens = Vec::new();
        let token = flatten(self, 0, &mut tokens).map_err(ser::Error::custom)?;
        Tree(token, tokens).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tree(token, tokens) = Tree::deserialize(deserializer)?;
        let mut rest = tokens.into_iter();
        let value = unflatten(token, 0, &mut rest).map_err(de::Error::custom)?;
        if rest.next().is_some() { Err(de::Error::custom(MALFORMED)) } else { Ok(value) }
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Value::Object(self.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Object(fields) => Ok(fields),
            _ => Err(de::Error::custom("Not an object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bincode::config::standard;
    use bincode::serde::{decode_from_slice, encode_to_vec};
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Missing),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,9}".prop_map(|text| Value::string(&text)),
        ];
        leaf.prop_recursive(6, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::list),
                prop::collection::vec(("[a-z]{0,3}", inner), 0..6)
                    .prop_map(|fields| Value::object(fields.iter().map(|(n, v)| (n.as_str(), v.clone())))),
            ]
        })
    }

    fn nested(depth: usize) -> Value {
        (0..depth).fold(Value::Missing, |value, _| Value::list([value]))
    }

    proptest! {
        #[test]
        fn binary_form_keeps_the_value(value in values()) {
            let bytes = encode_to_vec(&value, standard()).unwrap();
            let (decoded, length): (Value, usize) = decode_from_slice(&bytes, standard()).unwrap();
            prop_assert_eq!(length, bytes.len());
            prop_assert_eq!(decoded, value);
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_read(bytes in prop::collection::vec(0_u8..8, 0..200)) {
            let _ = decode_from_slice::<Value, _>(&bytes, standard().with_limit::<10_000>());
        }
    }

    #[test]
    fn small_values_are_small() {
        assert_eq!(encode_to_vec(Value::from(true), standard()).unwrap().len(), 2);
        assert_eq!(encode_to_vec(Value::from(7), standard()).unwrap().len(), 4);
        assert_eq!(encode_to_vec(Value::from("abc"), standard()).unwrap().len(), 6);
    }

    #[test]
    fn depth_is_bounded() {
        let deepest = nested(MAX_DEPTH);
        let bytes = encode_to_vec(&deepest, standard()).unwrap();
        assert_eq!(decode_from_slice::<Value, _>(&bytes, standard()).unwrap().0, deepest);
        assert!(encode_to_vec(nested(MAX_DEPTH + 1), standard()).is_err());

        let tokens = (0..200_000).map(|_| Token::List(1)).collect();
        let bytes = encode_to_vec(Tree(Token::List(1), tokens), standard()).unwrap();
        assert!(decode_from_slice::<Value, _>(&bytes, standard()).is_err());
    }

    #[test]
    fn wrong_counts_are_refused() {
        for tree in [
            Tree(Token::List(u32::MAX), Vec::new()),
            Tree(Token::Missing, [Token::True].into()),
            Tree(Token::Object(1), [Token::True, Token::True].into()),
        ] {
            let bytes = encode_to_vec(tree, standard()).unwrap();
            assert!(decode_from_slice::<Value, _>(&bytes, standard()).is_err());
        }
    }
}
