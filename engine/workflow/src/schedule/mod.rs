//! When orders may run: admission times, the schedules of cycles, and the calendars which say what day an order belongs to.
//!
//! Everything here is calculated in the local time of a [`TimeZone`], from values alone. Queries cannot fail: times
//! beyond the calendar (the years ±9999) are never admitted, and what is invalid (see the `check` functions) matches
//! nothing. No query walks through days one by one: calendar units are found by arithmetic, wherever `now` is.
//!
//! # The rule for daylight saving time
//!
//! A period starts at a local time and lasts an elapsed duration.
//!
//! - A local time which occurs **once** is what it says.
//! - A local time which occurs **twice**, because clocks were set back, is its **first** occurrence.
//! - A local time which **does not occur**, because clocks were set forward, is **shifted forward by the gap**: with
//!   clocks set from 03:00 to 04:00, 03:20 becomes 04:20.
//!
//! So a period of one hour always lasts one hour, and a period "00:00, 24 hours" ends one hour early by the clock on
//! the day with 25 hours, and reaches into the next day on the one with 23 hours. The grid of a [`Repeat::Periodic`] uses
//! the same rule for each of its local times.
//!
//! # Candidates
//!
//! The calendar unit of a period (day, week or month) has one local start each. The *candidates* from a time on are the
//! intervals of the unit before that time's unit and of all later units, as far as they have not ended. (So of a
//! period which is longer than two units, not all started intervals are candidates, but always one if there is any.) A [`MonthRestriction`]
//! cuts them: what starts in an allowed month ends with the last of the adjoining allowed months, what starts in another
//! month but reaches into an allowed one starts there.

mod admission;
mod calendar;
mod cycle;
mod date_pattern;
mod grid;
mod interval;
mod local;
mod period;
mod repeat;
mod scheme;
mod zone;

#[cfg(test)]
mod oracle;

pub use admission::{Admission, FIND_LIMIT, Intervals};
pub use calendar::{Calendar, OrderDays, date_of_order_id};
pub use cycle::{CycleCalculator, CycleState, DueCycle};
pub use interval::{Interval, PeriodInterval};
pub use jiff::civil::Date;
pub use period::AdmissionPeriod;
pub use repeat::{Repeat, Schedule, ScheduleScheme};
pub use scheme::{AdmissionTimeScheme, MonthRestriction, RestrictedScheme};
pub use zone::{TimeZone, UnknownTimeZone};
