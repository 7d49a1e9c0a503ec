use super::*;
use proptest::prelude::*;

fn d(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[test]
fn prints_what_was_parsed() {
    for text in [
        "0",
        "1",
        "-1",
        "1.0",
        "0.001",
        "-0.10",
        "9223372036854775807",
        "-9223372036854775809",
        "1E+3",
        "1.2E+99",
        "0.000001",
        "1E-7",
        "1.23E-7",
        "0.0",
        "0E+3",
        "1.112223334445555666777888999999887776665555444333222111E+125",
    ] {
        assert_eq!(d(text).to_string(), text);
    }
    assert_eq!(
        d("111222333444555666777888999.9998887776665555444333222111e99").to_string(),
        "1.112223334445556667778889999998887776665555444333222111E+125"
    );
    assert_eq!(d("1e3").to_string(), "1E+3");
    assert_eq!(d("+007").to_string(), "7");
    assert_eq!(d(".5").to_string(), "0.5");
    assert_eq!(d("5.").to_string(), "5");
    assert_eq!(d("1.2e3").to_plain(), "1200");
    assert_eq!(d("-12e-3").to_plain(), "-0.012");
    assert_eq!(d("0e9").to_plain(), "0");
}

#[test]
fn refuses_what_is_no_number() {
    for text in ["", ".", "-", "e1", "1e", "1e+", "1x", "--1", "1.2.3", " 1", "0x1", "1e1.5", "-+1", "\u{661}"] {
        assert_eq!(text.parse::<Decimal>(), Err(InvalidDecimal::Syntax), "{text}");
    }
    for text in ["1e999999999", "1e-999999999", "1e99999999999999999999", "10e9999", "0e20000"] {
        assert_eq!(text.parse::<Decimal>(), Err(InvalidDecimal::OutOfRange), "{text}");
    }
    assert_eq!("9".repeat(1001).parse::<Decimal>(), Err(InvalidDecimal::TooManyDigits));
    assert_eq!("9".repeat(1000).parse::<Decimal>().unwrap().to_string(), "9".repeat(1000));
}

#[test]
fn is_small() {
    assert_eq!(size_of::<Decimal>(), 16);
}

#[test]
fn compares_by_value() {
    assert_eq!(d("1.0"), d("1"));
    assert_eq!(d("0e5"), d("0.00"));
    assert_eq!(d("1e9999"), d("1.000e9999"));
    assert!(d("1e9999") > d("9e9998"));
    assert!(d("-1e9999") < d("1e-9999"));
    assert!(d("-2") < d("-1.5"));
    assert!(d("123456789012345678901234567890.1") > d("123456789012345678901234567890.09"));
}

#[test]
fn calculates() {
    for (a, op, b, result) in [
        ("1", '/', "3", "0.3333333333333333333333333333333333"),
        ("2", '/', "3", "0.6666666666666666666666666666666667"),
        ("-2", '/', "3", "-0.6666666666666666666666666666666667"),
        ("6", '/', "-2", "-3"),
        ("1", '/', "8", "0.125"),
        ("1.00", '/', "2", "0.50"),
        ("100", '/', "1e1", "10.0"),
        ("0", '/', "7", "0"),
        ("3.1", '*', "-7.1", "-22.01"),
        ("9223372036854775807", '*', "9223372036854775807", "8.507059173023461584739690778423250E+37"),
        ("9223372036854775807", '+', "1", "9223372036854775808"),
        ("1e50", '+', "1", "1.000000000000000000000000000000000E+50"),
        ("1e9000", '-', "1e-9000", "1.000000000000000000000000000000000E+9000"),
        ("0.1", '+', "0.2", "0.3"),
        ("1.5", '-', "1.5", "0.0"),
        ("0.00", '+', "1", "1.00"),
        ("1234567890123456789012345678901234.5", '+', "0", "1234567890123456789012345678901234"),
        ("1234567890123456789012345678901235.5", '+', "0", "1234567890123456789012345678901236"),
        ("9999999999999999999999999999999999.5", '+', "0", "1.000000000000000000000000000000000E+34"),
        ("1234567890123456789012345678901234.5", '+', "1e-300", "1234567890123456789012345678901235"),
    ] {
        let (a, b) = (d(a), d(b));
        let actual = match op {
            '/' => a.checked_div(&b),
            '*' => a.checked_mul(&b),
            '+' => a.checked_add(&b),
            _ => a.checked_sub(&b),
        };
        assert_eq!(actual.unwrap().to_string(), result, "{a:?} {op} {b:?}");
    }
    assert_eq!(d("1").checked_div(&d("0.0")), Err(ArithmeticError::DivisionByZero));
    assert_eq!(d("0").checked_div(&d("0")), Err(ArithmeticError::DivisionUndefined));
    assert_eq!(d("1e9999").checked_mul(&d("10")), Err(ArithmeticError::Overflow));
    assert_eq!(d("1e-9999").checked_div(&d("10")), Err(ArithmeticError::Overflow));
}

#[test]
fn converts_to_integers() {
    assert_eq!(d("7.00").exact_i64(), Ok(7));
    assert_eq!(d("7e2").exact_i32(), Ok(700));
    assert_eq!(d("0e-5").exact_i32(), Ok(0));
    assert_eq!(d("1.5").exact_i32(), Err(ArithmeticError::RoundingNecessary));
    assert_eq!(d("2147483648").exact_i32(), Err(ArithmeticError::Overflow));
    assert_eq!(d("9223372036854775808").exact_i64(), Err(ArithmeticError::Overflow));
    assert_eq!(d("1e9999").to_i64(), None);
    assert_eq!(Decimal::from_parts(-15, 1), Some(d("-1.5")));
    assert_eq!(Decimal::from_parts(1, i32::MIN), None);
}

fn hash(number: &Decimal) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    number.hash(&mut hasher);
    hasher.finish()
}

fn decimals() -> impl Strategy<Value = Decimal> {
    (any::<i64>(), -40..40_i32, "[0-9]{0,40}")
        .prop_map(|(mantissa, exponent, more)| format!("{mantissa}{more}e{exponent}").parse().unwrap())
}

proptest! {
    #[test]
    fn text_and_binary_forms_keep_the_number(a in decimals()) {
        let text = a.to_string();
        prop_assert_eq!(text.parse::<Decimal>().unwrap().to_string(), text.clone());
        prop_assert_eq!(a.to_plain().parse::<Decimal>().unwrap(), a.clone());
        let bytes = bincode::serde::encode_to_vec(&a, bincode::config::standard()).unwrap();
        let (decoded, _): (Decimal, usize) = bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).unwrap();
        prop_assert_eq!(decoded.to_string(), text);
    }

    #[test]
    fn equal_numbers_have_equal_hashes(mantissa in -1_000_000..1_000_000_i64, zeros in 0..40_usize) {
        let a = d(&format!("{mantissa}{}e-{zeros}", "0".repeat(zeros)));
        prop_assert_eq!(&a, &Decimal::from(mantissa));
        prop_assert_eq!(hash(&a), hash(&Decimal::from(mantissa)));
    }

    #[test]
    fn order_is_that_of_the_difference(a in decimals(), b in decimals()) {
        let difference = a.checked_sub(&b).unwrap();
        prop_assert_eq!(a.cmp(&b), difference.cmp(&Decimal::ZERO));
        prop_assert_eq!(b.cmp(&a), Decimal::ZERO.cmp(&difference));
    }

    #[test]
    fn never_panics(text in "[-+0-9.eE]{0,30}") {
        let _ = text.parse::<Decimal>();
    }
}
