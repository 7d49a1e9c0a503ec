//! Sets of integers, written like `0,4..8,-1`.

use super::cursor::Cursor;
use super::serde_text::serialize_as_text;
use crate::problem::{Checked, Problem};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// Most ranges in one set.
pub const MAX_RANGES: usize = 10_000;

/// A set of integers. Small whatever it contains: it is kept as disjoint, ascending ranges with gaps between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet(Arc<[(i32, i32)]>);

serialize_as_text!(RangeSet: str::parse);

impl RangeSet {
    /// The set of these ranges, each from its first to its last integer. An empty range (first above last) adds nothing.
    pub fn of(ranges: impl IntoIterator<Item = (i32, i32)>) -> Self {
        let mut sorted: Vec<(i32, i32)> = ranges.into_iter().filter(|(first, last)| first <= last).collect();
        sorted.sort_unstable();
        let mut merged: Vec<(i32, i32)> = Vec::new();
        for (first, last) in sorted {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                Some(_) | None => merged.push((first, last)),
            }
        }
        Self(merged.into())
    }

    /// Whether the integer belongs to the set.
    #[must_use]
    pub fn contains(&self, value: i32) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= value);
        after > 0 && value <= self.0[after - 1].1
    }

    /// Whether there are no integers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, ascending, each from its first to its last integer.
    #[must_use]
    pub fn ranges(&self) -> &[(i32, i32)] {
        &self.0
    }
}

impl FromStr for RangeSet {
    type Err = Problem;

    /// Reads comma-separated integers and ranges `first..last`; blanks are allowed, an empty text is the empty set.
    fn from_str(text: &str) -> Checked<Self> {
        let mut cursor = Cursor::new(text);
        let mut ranges = Vec::new();
        skip_blanks(&mut cursor);
        while !cursor.is_at_end() {
            if !ranges.is_empty() {
                cursor.expect(",")?;
            }
            if ranges.len() == MAX_RANGES {
                return Err(cursor.failure("Too many ranges"));
            }
            ranges.push(range(&mut cursor)?);
        }
        Ok(Self::of(ranges))
    }
}

fn range(cursor: &mut Cursor<'_>) -> Checked<(i32, i32)> {
    let first = integer(cursor)?;
    if !cursor.skip("..") {
        return Ok((first, first));
    }
    let last = integer(cursor)?;
    if first <= last { Ok((first, last)) } else { Err(cursor.failure("The first number of a range is above the last")) }
}

fn integer(cursor: &mut Cursor<'_>) -> Checked<i32> {
    skip_blanks(cursor);
    let start = cursor.position();
    let sign = if cursor.skip("-") { "-" } else { "" };
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    let Ok(value) = alloc::format!("{sign}{digits}").parse() else {
        cursor.reset(start);
        return Err(cursor.expected("an integer of 32 bits"));
    };
    skip_blanks(cursor);
    Ok(value)
}

fn skip_blanks(cursor: &mut Cursor<'_>) {
    cursor.take_while(|c| c == ' ' || c == '\t');
}

impl fmt::Display for RangeSet {
    /// The canonical text: two adjoining integers are listed, more of them are a range.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, last)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            match last.abs_diff(*first) {
                0 => write!(f, "{first}")?,
                1 => write!(f, "{first},{last}")?,
                _ => write!(f, "{first}..{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn set(text: &str) -> RangeSet {
        text.parse().unwrap()
    }

    #[test]
    fn reads_and_writes() {
        for (text, canonical) in [
            ("", ""),
            ("  ", ""),
            ("  1  ", "1"),
            (" 1..3,5  ,  7  ..  9 ", "1..3,5,7..9"),
            ("-5..-3,-1,7,9,10", "-5..-3,-1,7,9,10"),
            ("3,2,1", "1..3"),
            ("1..5,2,4..9", "1..9"),
            ("-2147483648..2147483647,7", "-2147483648..2147483647"),
        ] {
            assert_eq!(set(text).to_string(), canonical);
        }
    }

    #[test]
    fn refuses_other_texts() {
        for text in ["2147483648", "1-3", "1,", ",1", "1..", "..1", "1...3", "1 2", "x", "3..1", "--1", "1,,2"] {
            assert!(text.parse::<RangeSet>().is_err(), "{text}");
        }
        let message = "1,x".parse::<RangeSet>().unwrap_err().message;
        assert!(message.contains("position 3") && message.contains("an integer"), "{message}");
    }

    #[test]
    fn contains_its_integers() {
        let set = set("-5..-3,-1,7,9,10");
        let members: Vec<i32> = (-10..20).filter(|i| set.contains(*i)).collect();
        assert_eq!(members, [-5, -4, -3, -1, 7, 9, 10]);
    }

    proptest! {
        #[test]
        fn canonical_text_means_the_same(ranges in prop::collection::vec((-20..20_i32, 0..5_i32), 0..8)) {
            let original = RangeSet::of(ranges.iter().map(|(first, more)| (*first, first + more)));
            prop_assert_eq!(set(&original.to_string()), original.clone());
            for i in -30..30 {
                prop_assert_eq!(original.contains(i), ranges.iter().any(|(first, more)| (*first..=first + more).contains(&i)));
            }
        }

        #[test]
        fn never_panics(text in "[-0-9., x]{0,20}") {
            let _ = text.parse::<RangeSet>();
        }
    }
}
