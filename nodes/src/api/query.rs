//! The path and the query of a request, decoded.

use super::answer::Refusal;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

/// So many parameters a query may have.
const MOST: usize = 32;

/// Decodes `%41`; nothing else is special.
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>, Refusal> {
    if !text.contains('%') {
        return Ok(text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(byte) = byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
            return Err(Refusal::bad_request("the URL has a '%' that is not followed by two hexadecimal digits"));
        };
        bytes.push(byte);
        rest = &tail[2..];
    }
    let text = String::from_utf8(bytes);
    text.map(Cow::Owned).map_err(|_| Refusal::bad_request("the URL, decoded, is no text in UTF-8"))
}

/// Encodes what may not stand in a path or query.
#[must_use]
pub fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to memory does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The parameters of a query.
#[derive(Debug)]
pub(super) struct Query<'r>(BTreeMap<Cow<'r, str>, Cow<'r, str>>);

impl<'r> Query<'r> {
    /// Reads a query, which may have these parameters.
    pub(super) fn read(query: Option<&'r str>, known: &[&str]) -> Result<Self, Refusal> {
        let mut parameters = BTreeMap::new();
        for (count, part) in query.unwrap_or_default().split('&').filter(|part| !part.is_empty()).enumerate() {
            if count >= MOST {
                return Err(Refusal::bad_request(format!("the query has more than {MOST} parameters")));
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if !known.contains(&&*name) {
                let known =
                    if known.is_empty() { "none is".to_owned() } else { format!("known are {}", known.join(", ")) };
                return Err(Refusal::bad_request(format!(
                    "the query has an unknown parameter '{}'; {known}",
                    shown(&name)
                )));
            }
            if let Some(twice) = parameters.insert(name, value) {
                return Err(Refusal::bad_request(format!("a parameter is given twice, as '{}' too", shown(&twice))));
            }
        }
        Ok(Self(parameters))
    }

    /// The text of a parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| &**value)
    }

    /// A parameter that is a number or the like. `what` says what it should be.
    pub(super) fn value<T: FromStr>(&self, name: &str, what: &str) -> Result<Option<T>, Refusal> {
        let value = self.text(name).map(|text| {
            text.parse().map_err(|_| {
                Refusal::bad_request(format!("the parameter '{name}' is '{}'; expected is {what}", shown(text)))
            })
        });
        value.transpose()
    }

    /// How many a page has at most.
    pub(super) fn limit(&self, default: usize, most: usize) -> Result<usize, Refusal> {
        let limit = self.value("limit", &format!("a number from 1 to {most}"))?.unwrap_or(default);
        if (1..=most).contains(&limit) {
            Ok(limit)
        } else {
            Err(Refusal::bad_request(format!(
                "the parameter 'limit' is {limit}; expected is a number from 1 to {most}"
            )))
        }
    }
}

/// The beginning of a text.
fn shown(text: &str) -> String {
    text.chars().take(50).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for text in ["", "a b/c~d", "ä|%&=?#+", "Workflow:/FOLDER/W"] {
            assert_eq!(decode(&encode(text)).unwrap(), text);
        }
        assert_eq!(decode("a+b").unwrap(), "a+b");
        for bad in ["%", "%1", "%zz", "%+1", "%ff", "%€"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn queries_have_known_parameters_once() {
        let known = ["limit", "after"];
        let query = Query::read(Some("limit=7&after=%20x"), &known).unwrap();
        assert_eq!((query.limit(1, 10).unwrap(), query.text("after")), (7, Some(" x")));
        assert_eq!(Query::read(None, &known).unwrap().limit(3, 10).unwrap(), 3);
        for bad in ["other=1", "limit=1&limit=2", "limit=0", "limit=11", "limit=-1", "limit=x"] {
            let limit = Query::read(Some(bad), &known).and_then(|query| query.limit(1, 10));
            assert!(limit.is_err(), "{bad}");
        }
        let many = "limit=1&".repeat(MOST + 1);
        assert!(Query::read(Some(&many), &known).is_err());
    }
}
