//! Exact decimal numbers.
//!
//! A number is a mantissa and a count of decimal places, kept as written: `1.0` and `1` are equal but print differently.
//! What is parsed is kept exactly, up to [`MAX_DIGITS`] digits; the arithmetic rounds to [`PRECISION`] digits, half to even.
//! Numbers whose mantissa fits into 64 bits need no allocation. Every operation is bounded, because digits and exponent are.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;
use num_bigint::{BigInt, BigUint, Sign};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Significant digits of an arithmetic result.
pub const PRECISION: u64 = 34;

/// Most digits a number may have.
pub const MAX_DIGITS: u64 = 1_000;

/// The first digit of a number stands at most for this power of ten, and at least for its reciprocal.
pub const MAX_EXPONENT: i64 = 9_999;

/// An exact decimal number. Compares by value: `1.0 == 1`. 16 bytes, cheap to clone.
#[derive(Clone)]
pub struct Decimal(Repr);

#[derive(Clone)]
enum Repr {
    Small {
        mantissa: i64,
        scale: i32,
    },
    /// Only for a mantissa which does not fit into 64 bits.
    Big(Arc<Parts>),
}

/// The number `mantissa / 10^scale`.
#[derive(Clone)]
struct Parts {
    mantissa: BigInt,
    scale: i32,
}

/// Why a text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidDecimal {
    /// It is not written like a number.
    Syntax,
    /// It has more than [`MAX_DIGITS`] digits.
    TooManyDigits,
    /// It is larger or smaller than [`MAX_EXPONENT`] allows.
    OutOfRange,
}

/// Why a calculation has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArithmeticError {
    /// A number other than zero has been divided by zero.
    DivisionByZero,
    /// Zero has been divided by zero.
    DivisionUndefined,
    /// The number is no integer.
    RoundingNecessary,
    /// The result is larger or smaller than [`MAX_EXPONENT`] allows, or the integer does not fit.
    Overflow,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self::integer(0);
    /// One.
    pub const ONE: Self = Self::integer(1);

    /// An integer.
    #[must_use]
    pub const fn integer(value: i64) -> Self {
        Self(Repr::Small { mantissa: value, scale: 0 })
    }

    /// The number `mantissa / 10^scale`; `None` when out of range.
    #[must_use]
    pub fn from_parts(mantissa: i64, scale: i32) -> Option<Self> {
        Self::bounded(mantissa.into(), scale.into()).ok()
    }

    /// The integer, if this is one and fits.
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        self.exact_i64().ok()
    }

    /// The integer, if this is one and fits.
    #[must_use]
    pub fn to_i32(&self) -> Option<i32> {
        self.exact_i32().ok()
    }

    /// The integer, or why it is none: a fraction, or too large.
    pub fn exact_i32(&self) -> Result<i32, ArithmeticError> {
        i32::try_from(self.exact_i64()?).map_err(|_| ArithmeticError::Overflow)
    }

    /// The integer, or why it is none: a fraction, or too large.
    pub fn exact_i64(&self) -> Result<i64, ArithmeticError> {
        if let Repr::Small { mantissa, scale: 0 } = self.0 {
            return Ok(mantissa);
        }
        let Parts { mantissa, scale } = self.parts().stripped(i32::MIN);
        if scale > 0 {
            return Err(ArithmeticError::RoundingNecessary);
        }
        if scale < -18 {
            return Err(ArithmeticError::Overflow);
        }
        i64::try_from(mantissa * power_of_ten(scale.unsigned_abs())).map_err(|_| ArithmeticError::Overflow)
    }

    /// Whether this is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        matches!(self.0, Repr::Small { mantissa: 0, .. })
    }

    /// Whether this is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Repr::Small { mantissa, .. } => *mantissa < 0,
            Repr::Big(parts) => parts.mantissa.sign() == Sign::Minus,
        }
    }

    /// All digits without an exponent. At most [`MAX_DIGITS`] + [`MAX_EXPONENT`] digits.
    #[must_use]
    pub fn to_plain(&self) -> String {
        let (sign, digits, scale) = self.digits();
        if scale > 0 {
            format!("{sign}{}", with_point(&digits, scale.unsigned_abs() as usize))
        } else if self.is_zero() {
            String::from("0")
        } else {
            format!("{sign}{digits}{}", "0".repeat(scale.unsigned_abs() as usize))
        }
    }

    /// The sum, rounded.
    pub fn checked_add(&self, other: &Self) -> Result<Self, ArithmeticError> {
        if let (Repr::Small { mantissa: a, scale: s }, Repr::Small { mantissa: b, scale: t }) = (&self.0, &other.0) {
            let scale = *s.max(t);
            let aligned = |mantissa: i64, by: u32| (by <= 18).then(|| i128::from(mantissa) * 10_i128.pow(by));
            if let (Some(a), Some(b)) = (aligned(*a, scale.abs_diff(*s)), aligned(*b, scale.abs_diff(*t))) {
                let sum = a + b;
                if sum.unsigned_abs() < 10_u128.pow(PRECISION as u32) {
                    return Self::bounded(sum.into(), scale.into());
                }
            }
        }
        let (a, b) = (self.parts(), other.parts());
        if other.is_zero() || self.is_zero() {
            let number = if other.is_zero() { &a } else { &b };
            return number.plus_zero(a.scale.max(b.scale));
        }
        let (large, small) = if a.exponent() >= b.exponent() { (a, b) } else { (b, a) };
        let width = large.digit_count().max(PRECISION + 3);
        if large.exponent() - small.exponent() > width as i64 + 1 {
            // The smaller number only decides in which direction a tie is rounded.
            let shift = width - large.digit_count() + 1;
            let hint = if small.mantissa.sign() == Sign::Minus { -1 } else { 1 };
            let mantissa = large.mantissa * power_of_ten(shift as u32) + hint;
            return Self::rounded(mantissa, i64::from(large.scale) + shift as i64);
        }
        let scale = large.scale.max(small.scale);
        Self::rounded(large.aligned(scale) + small.aligned(scale), scale.into())
    }

    /// The difference, rounded.
    pub fn checked_sub(&self, other: &Self) -> Result<Self, ArithmeticError> {
        self.checked_add(&other.negated())
    }

    /// The product, rounded.
    pub fn checked_mul(&self, other: &Self) -> Result<Self, ArithmeticError> {
        if let (Repr::Small { mantissa: a, scale: s }, Repr::Small { mantissa: b, scale: t }) = (&self.0, &other.0)
            && let Some(product) = a.checked_mul(*b)
        {
            return Self::bounded(product.into(), i64::from(*s) + i64::from(*t));
        }
        let (a, b) = (self.parts(), other.parts());
        Self::rounded(a.mantissa * b.mantissa, i64::from(a.scale) + i64::from(b.scale))
    }

    /// The quotient, rounded.
    pub fn checked_div(&self, other: &Self) -> Result<Self, ArithmeticError> {
        if other.is_zero() {
            return Err(if self.is_zero() {
                ArithmeticError::DivisionUndefined
            } else {
                ArithmeticError::DivisionByZero
            });
        }
        let (a, b) = (self.parts(), other.parts());
        let preferred = i64::from(a.scale) - i64::from(b.scale);
        if self.is_zero() {
            return Self::bounded(BigInt::ZERO, preferred);
        }
        let shift = (PRECISION + 2 + b.digit_count()).saturating_sub(a.digit_count());
        let dividend = a.mantissa * power_of_ten(shift as u32);
        let mut quotient = &dividend / &b.mantissa;
        let mut scale = preferred + shift as i64;
        let exact = &quotient * &b.mantissa == dividend;
        if !exact {
            // One more digit, so that the quotient is not taken for a tie.
            let negative = (dividend.sign() == Sign::Minus) != (b.mantissa.sign() == Sign::Minus);
            quotient = quotient * 10 + if negative { -1 } else { 1 };
            scale += 1;
        }
        let rounded = Self::rounded(quotient, scale)?;
        if !exact {
            return Ok(rounded);
        }
        let parts = rounded.parts().stripped(i32::try_from(preferred).unwrap_or(i32::MIN));
        Self::bounded(parts.mantissa, parts.scale.into())
    }

    /// This number with the other sign.
    #[must_use]
    pub fn negated(&self) -> Self {
        match &self.0 {
            Repr::Small { mantissa, scale } if *mantissa != i64::MIN => {
                Self(Repr::Small { mantissa: -mantissa, scale: *scale })
            }
            Repr::Small { .. } | Repr::Big(_) => {
                let Parts { mantissa, scale } = self.parts();
                Self::new(-mantissa, scale)
            }
        }
    }

    fn new(mantissa: BigInt, scale: i32) -> Self {
        Self(match i64::try_from(&mantissa) {
            Ok(mantissa) => Repr::Small { mantissa, scale },
            Err(_) => Repr::Big(Arc::new(Parts { mantissa, scale })),
        })
    }

    /// A number within the bounds.
    fn bounded(mantissa: BigInt, scale: i64) -> Result<Self, ArithmeticError> {
        let digits = digit_count(mantissa.magnitude());
        let exponent = (digits as i64 - 1).checked_sub(scale).ok_or(ArithmeticError::Overflow)?;
        if digits > MAX_DIGITS || exponent.abs() > MAX_EXPONENT {
            return Err(ArithmeticError::Overflow);
        }
        Ok(Self::new(mantissa, i32::try_from(scale).map_err(|_| ArithmeticError::Overflow)?))
    }

    /// A number of at most `PRECISION` digits.
    fn rounded(mut mantissa: BigInt, mut scale: i64) -> Result<Self, ArithmeticError> {
        // Twice, when rounding up gives one digit more.
        while let Some(excess) = digit_count(mantissa.magnitude()).checked_sub(PRECISION).filter(|excess| *excess > 0) {
            let unit = power_of_ten(excess as u32);
            let mut quotient = &mantissa / &unit;
            let rest = (&mantissa - &quotient * &unit).magnitude() * 2_u32;
            let up = match rest.cmp(unit.magnitude()) {
                Ordering::Less => false,
                Ordering::Equal => quotient.bit(0),
                Ordering::Greater => true,
            };
            if up {
                quotient += if mantissa.sign() == Sign::Minus { -1 } else { 1 };
            }
            mantissa = quotient;
            scale -= excess as i64;
        }
        Self::bounded(mantissa, scale)
    }

    fn parts(&self) -> Parts {
        match &self.0 {
            Repr::Small { mantissa, scale } => Parts { mantissa: (*mantissa).into(), scale: *scale },
            Repr::Big(parts) => (**parts).clone(),
        }
    }

    /// Sign, digits and scale.
    fn digits(&self) -> (&'static str, String, i32) {
        let sign = if self.is_negative() { "-" } else { "" };
        match &self.0 {
            Repr::Small { mantissa, scale } => (sign, mantissa.unsigned_abs().to_string(), *scale),
            Repr::Big(parts) => (sign, parts.mantissa.magnitude().to_str_radix(10), parts.scale),
        }
    }
}

impl Parts {
    fn digit_count(&self) -> u64 {
        digit_count(self.mantissa.magnitude())
    }

    /// The power of ten of the first digit.
    fn exponent(&self) -> i64 {
        self.digit_count() as i64 - 1 - i64::from(self.scale)
    }

    /// The mantissa for a scale which is not smaller.
    fn aligned(&self, scale: i32) -> BigInt {
        &self.mantissa * power_of_ten(scale.abs_diff(self.scale))
    }

    /// Without trailing zeros, but not below this scale.
    fn stripped(mut self, minimum: i32) -> Self {
        if self.mantissa.sign() == Sign::NoSign {
            self.scale = minimum.max(0);
            return self;
        }
        let ten = BigInt::from(10);
        while self.scale > minimum {
            let shorter = &self.mantissa / &ten;
            if &shorter * &ten != self.mantissa {
                break;
            }
            self.mantissa = shorter;
            self.scale -= 1;
        }
        self
    }

    /// The sum with a zero: rounded, and with this number of decimal places if they fit.
    fn plus_zero(&self, preferred: i32) -> Result<Decimal, ArithmeticError> {
        let rounded = Decimal::rounded(self.mantissa.clone(), self.scale.into())?;
        let parts = rounded.parts();
        let room = PRECISION.saturating_sub(parts.digit_count()) as i32;
        let scale = preferred.min(parts.scale.saturating_add(room));
        if scale <= parts.scale { Ok(rounded) } else { Decimal::bounded(parts.aligned(scale), scale.into()) }
    }
}

/// Number of decimal digits; that of zero is one.
fn digit_count(number: &BigUint) -> u64 {
    let lower = number.bits().saturating_sub(1) * 30_103 / 100_000 + 1;
    if *number >= BigUint::from(10_u32).pow(lower as u32) { lower + 1 } else { lower }
}

fn power_of_ten(exponent: u32) -> BigInt {
    BigInt::from(10).pow(exponent)
}

/// Sets the point before the last `places` digits.
fn with_point(digits: &str, places: usize) -> String {
    match digits.split_at_checked(digits.len().wrapping_sub(places)) {
        Some((integer, fraction)) if !integer.is_empty() => format!("{integer}.{fraction}"),
        Some(_) | None => format!("0.{}{digits}", "0".repeat(places.saturating_sub(digits.len()))),
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Repr::Small { mantissa: a, scale: s }, Repr::Small { mantissa: b, scale: t }) = (&self.0, &other.0)
            && s == t
        {
            return a.cmp(b);
        }
        let (a, b) = (self.parts(), other.parts());
        let signs = a.mantissa.sign().cmp(&b.mantissa.sign());
        if signs != Ordering::Equal || self.is_zero() {
            return signs;
        }
        // Equal exponents make the alignment cheap.
        let exponents = a.exponent().cmp(&b.exponent());
        if exponents != Ordering::Equal {
            return if self.is_negative() { exponents.reverse() } else { exponents };
        }
        let scale = a.scale.max(b.scale);
        a.aligned(scale).cmp(&b.aligned(scale))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Parts { mantissa, scale } = self.parts().stripped(i32::MIN);
        let scale = if self.is_zero() { 0 } else { scale };
        (mantissa, scale).hash(state);
    }
}

impl Default for Decimal {
    fn default() -> Self {
        Self::ZERO
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self::integer(value)
    }
}

impl From<i32> for Decimal {
    fn from(value: i32) -> Self {
        Self::integer(value.into())
    }
}

impl FromStr for Decimal {
    type Err = InvalidDecimal;

    /// Reads `-12.5e3`; like JSON, but also `+1`, `007`, `.5` and `5.`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Longer texts only repeat zeros or are no numbers.
        if text.len() as u64 > 2 * MAX_DIGITS {
            return Err(InvalidDecimal::TooManyDigits);
        }
        let (number, exponent) = match text.split_once(['e', 'E']) {
            None => (text, 0),
            Some((number, exponent)) => (number, parse_exponent(exponent)?),
        };
        let unsigned = number.strip_prefix(['+', '-']).unwrap_or(number);
        let (integer, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = format!("{integer}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidDecimal::Syntax);
        }
        if digits.trim_start_matches('0').len() as u64 > MAX_DIGITS {
            return Err(InvalidDecimal::TooManyDigits);
        }
        let magnitude: BigInt = digits.parse().map_err(|_| InvalidDecimal::Syntax)?;
        let mantissa = if number.starts_with('-') { -magnitude } else { magnitude };
        Self::bounded(mantissa, fraction.len() as i64 - exponent).map_err(|_| InvalidDecimal::OutOfRange)
    }
}

fn parse_exponent(text: &str) -> Result<i64, InvalidDecimal> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(InvalidDecimal::Syntax);
    }
    let value: i64 = match digits.trim_start_matches('0') {
        "" => 0,
        significant if significant.len() > 9 => return Err(InvalidDecimal::OutOfRange),
        significant => significant.parse().map_err(|_| InvalidDecimal::Syntax)?,
    };
    Ok(if text.starts_with('-') { -value } else { value })
}

impl fmt::Display for Decimal {
    /// With an exponent only when the number has more zeros than digits before it or many after the point: `1E+3`, `1E-7`.
    /// It is always a JSON number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, digits, scale) = self.digits();
        let exponent = digits.len() as i64 - 1 - i64::from(scale);
        if scale == 0 {
            write!(f, "{sign}{digits}")
        } else if scale > 0 && exponent >= -6 {
            write!(f, "{sign}{}", with_point(&digits, scale.unsigned_abs() as usize))
        } else if digits.len() == 1 {
            write!(f, "{sign}{digits}E{exponent:+}")
        } else {
            write!(f, "{sign}{}E{exponent:+}", with_point(&digits, digits.len() - 1))
        }
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Decimal> for String {
    fn from(d: Decimal) -> Self {
        d.to_string()
    }
}

impl fmt::Display for InvalidDecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str("Not a valid number"),
            Self::TooManyDigits => write!(f, "A number must not have more than {MAX_DIGITS} digits"),
            Self::OutOfRange => {
                write!(f, "The exponent of a number must be between -{MAX_EXPONENT} and {MAX_EXPONENT}")
            }
        }
    }
}

impl core::error::Error for InvalidDecimal {}

impl fmt::Display for ArithmeticError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DivisionByZero => "Division by zero",
            Self::DivisionUndefined => "Division undefined",
            Self::RoundingNecessary => "Rounding necessary",
            Self::Overflow => "Overflow",
        })
    }
}

impl core::error::Error for ArithmeticError {}

/// The form in binary records: most numbers are small integers.
#[derive(Serialize, Deserialize)]
enum Encoded {
    Integer(i64),
    Small(i64, i32),
    Big(String, i32),
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        match &self.0 {
            Repr::Small { mantissa, scale: 0 } => Encoded::Integer(*mantissa),
            Repr::Small { mantissa, scale } => Encoded::Small(*mantissa, *scale),
            Repr::Big(parts) => Encoded::Big(parts.mantissa.to_string(), parts.scale),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return String::deserialize(deserializer)?.parse().map_err(de::Error::custom);
        }
        let (mantissa, scale) = match Encoded::deserialize(deserializer)? {
            Encoded::Integer(value) => return Ok(value.into()),
            Encoded::Small(mantissa, scale) => (mantissa.into(), scale),
            Encoded::Big(digits, _) if digits.len() as u64 > MAX_DIGITS + 1 => {
                return Err(de::Error::custom(InvalidDecimal::TooManyDigits));
            }
            Encoded::Big(digits, scale) => {
                (digits.parse().map_err(|_| de::Error::custom(InvalidDecimal::Syntax))?, scale)
            }
        };
        Self::bounded(mantissa, scale.into()).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
