//! Deployment windows: when a stage may change, by rules in local time and by calendars.
//!
//! - [`span`]: spans of time, and sets of them
//! - [`local`]: the times at which the clocks of a time zone show something
//! - [`weekly`]: periods that recur every week
//! - [`calendar`]: calendars in iCalendar format (RFC 5545)
//! - `recurrence`: events that recur
//! - [`schedule`]: windows, and when they are open
//!
//! ```
//! use jiff::tz::TimeZone;
//! use tagalong::window::schedule::{Schedule, Window};
//! use tagalong::window::weekly::Weekly;
//!
//! let market_hours = Weekly::parse("mon-fri", Some("09:30"), Some("16:00"))?;
//! let zone = TimeZone::get("America/New_York")?;
//! let window = Window { closed: vec![market_hours], ..Window::new("outside-market-hours", zone) };
//! let schedule = Schedule::new(window, None);
//!
//! let state = schedule.state_at("2026-11-30T19:00:00Z".parse()?);
//! assert!(!state.is_open());
//! assert_eq!(state.until, Some("2026-11-30T21:00:00Z".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod calendar;
pub mod local;
mod recurrence;
pub mod schedule;
pub mod span;
pub mod weekly;
