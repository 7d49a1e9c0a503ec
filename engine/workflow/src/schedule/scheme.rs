//! Admission time schemes as data: which periods, in which months.

use super::period::AdmissionPeriod;
use crate::json::schema::{self, Schemas};
use crate::json::{Doc, Json};
use crate::problem::{Checked, Problem};
use crate::value::Value;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// When something is admitted: in any period of any of the restricted schemes. Without periods it never is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionTimeScheme {
    /// Their periods are numbered through, in order.
    pub restricted: Vec<RestrictedScheme>,
}

/// Periods, and the months in which they count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestrictedScheme {
    /// Any order, may overlap.
    pub periods: Vec<AdmissionPeriod>,
    /// `None`: they count all the year.
    pub restriction: Option<MonthRestriction>,
}

/// Some months of the year, but not all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthRestriction {
    /// January is 1.
    pub months: BTreeSet<u8>,
}

impl AdmissionTimeScheme {
    /// These periods, all the year.
    #[must_use]
    pub fn unrestricted(periods: Vec<AdmissionPeriod>) -> Self {
        Self { restricted: vec![RestrictedScheme { periods, restriction: None }] }
    }

    /// Each day from midnight, for 24 hours.
    #[must_use]
    pub fn all_day() -> Self {
        Self::unrestricted(vec![AdmissionPeriod::all_day()])
    }

    /// Says whether all periods and restrictions are valid.
    ///
    /// # Errors
    /// Names everything which is not.
    pub fn check(&self) -> Checked<()> {
        let problems = self.restricted.iter().flat_map(|scheme| {
            let periods = scheme.periods.iter().filter_map(|period| period.check().err());
            periods.chain(scheme.restriction.iter().filter_map(|restriction| restriction.check().err()))
        });
        Problem::combine(problems).map_or(Ok(()), Err)
    }

    /// All periods in the order of their numbers, with their restrictions.
    pub fn periods(&self) -> impl Iterator<Item = (&AdmissionPeriod, Option<&MonthRestriction>)> {
        self.restricted
            .iter()
            .flat_map(|scheme| scheme.periods.iter().map(|period| (period, scheme.restriction.as_ref())))
    }
}

impl MonthRestriction {
    /// These months; January is 1.
    ///
    /// # Errors
    /// When there are none, all twelve, a repeated one or numbers which are no months.
    pub fn new(months: &[i64]) -> Checked<Self> {
        let set: BTreeSet<u8> = months.iter().filter_map(|&month| u8::try_from(month).ok()).collect();
        if set.len() != months.len() {
            return Err(invalid(&format!("{months:?}")));
        }
        let restriction = Self { months: set };
        restriction.check()?;
        Ok(restriction)
    }

    /// Says whether these are 1 to 11 months.
    ///
    /// # Errors
    /// When not.
    pub fn check(&self) -> Checked<()> {
        if (1..12).contains(&self.months.len()) && self.months.iter().all(|month| (1..=12).contains(month)) {
            Ok(())
        } else {
            Err(invalid(&format!("{:?}", self.months)))
        }
    }
}

impl Json for AdmissionTimeScheme {
    /// `{"periods": […]}` is short for one unrestricted scheme.
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let object = doc.object()?;
        let periods: Option<Vec<AdmissionPeriod>> = object.optional("periods", &[], || None)?;
        if let Some(periods) = periods {
            object.know("restrictedSchemes");
            object.warn_of_unknown();
            return Some(Self::unrestricted(periods));
        }
        let restricted = object.required("restrictedSchemes", &[]);
        object.warn_of_unknown();
        Some(Self { restricted: restricted? })
    }

    fn write(&self) -> Value {
        match self.restricted.as_slice() {
            [RestrictedScheme { periods, restriction: None }] => Value::object([("periods", periods.write())]),
            restricted => {
                let schemes = restricted.iter().map(|scheme| {
                    Value::object([("periods", scheme.periods.write()), ("restriction", scheme.restriction.write())])
                });
                Value::object([("restrictedSchemes", Value::list(schemes))])
            }
        }
    }

    fn schema(schemas: &mut Schemas) -> Value {
        schemas.define("AdmissionTimeScheme", |schemas| {
            let periods = Vec::<AdmissionPeriod>::schema(schemas);
            let restricted = schema::object(
                "Periods, and the months in which they count.",
                &[],
                vec![
                    member("periods", "The periods.", periods.clone()),
                    member("restriction", "The months.", schema::of_type("object")),
                ],
            );
            let list = Value::object([("type", Value::from("array")), ("items", restricted)]);
            schema::object(
                "When something is admitted.",
                &[],
                vec![
                    member("periods", "The periods, in all months.", periods),
                    member("restrictedSchemes", "Instead of `periods`: periods for some months.", list),
                ],
            )
        })
    }
}

fn member(name: &'static str, doc: &str, schema: Value) -> schema::Member {
    schema::Member { name, aliases: &[], doc: doc.into(), schema, required: false }
}

impl Json for RestrictedScheme {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let object = doc.object()?;
        let periods = object.required("periods", &[]);
        let restriction: Option<Restriction> = object.optional("restriction", &[], || Restriction(None));
        object.warn_of_unknown();
        Some(Self { periods: periods?, restriction: restriction?.0 })
    }

    fn write(&self) -> Value {
        Value::object([("periods", self.periods.write()), ("restriction", self.restriction.write())])
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("object")
    }
}

impl Json for MonthRestriction {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        let months: Vec<i64> = doc.object()?.required("months", &[])?;
        match Self::new(&months) {
            Ok(restriction) => Some(restriction),
            Err(problem) => doc.fail(problem),
        }
    }

    fn write(&self) -> Value {
        let months = self.months.iter().map(|month| Value::from(i64::from(*month)));
        Value::object([("TYPE", Value::from("MonthRestriction")), ("months", Value::list(months))])
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("object")
    }
}

/// `{"TYPE": "Unrestricted"}` or a month restriction.
struct Restriction(Option<MonthRestriction>);

impl Json for Restriction {
    fn read(doc: &Doc<'_>) -> Option<Self> {
        match doc.type_name()? {
            "Unrestricted" => Some(Self(None)),
            "MonthRestriction" => MonthRestriction::read(doc).map(|restriction| Self(Some(restriction))),
            other => doc.unknown_type(other, &["MonthRestriction", "Unrestricted"]),
        }
    }

    fn write(&self) -> Value {
        self.0.write()
    }

    fn schema(_: &mut Schemas) -> Value {
        schema::of_type("object")
    }
}

fn invalid(months: &str) -> Problem {
    Problem::new(format!("Invalid MonthRestriction: 1 to 11 different months of 1 to 12 are expected, not {months}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;
    use alloc::string::ToString;

    #[test]
    fn months_are_distinct_and_not_all() {
        assert!(MonthRestriction::new(&[1, 12]).is_ok());
        assert!(MonthRestriction::new(&[11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_ok());
        for months in [&[][..], &[0], &[13], &[-1], &[257], &[4, 4], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]] {
            assert!(MonthRestriction::new(months).is_err(), "{months:?}");
        }
    }

    #[test]
    fn all_problems_are_reported() {
        let wrong = |second_of_day| AdmissionPeriod::Daily { second_of_day, duration: Duration::ZERO };
        let scheme = AdmissionTimeScheme::unrestricted(vec![wrong(0), AdmissionPeriod::all_day(), wrong(60)]);
        assert_eq!(
            scheme.check().unwrap_err().to_string(),
            "Duration must be positive: DailyPeriod(00:00, 0s);\nDuration must be positive: DailyPeriod(00:01, 0s)"
        );
        assert!(AdmissionTimeScheme::default().check().is_ok());
    }
}
