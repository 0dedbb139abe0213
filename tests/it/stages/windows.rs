//! `tagalong windows` shows what the tip of the branch says about the time.

use std::fs;

use serde_json::Value;

use crate::support::infra::Stage;
use crate::support::tagalong::{self, Run};

/// The days in 2026 and 2027 on which the New York Stock Exchange is closed, or closes at 13:00.
const NYSE: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//example//EN\r\n\
    BEGIN:VEVENT\r\nSUMMARY:Thanksgiving\r\nDTSTART;VALUE=DATE:20261126\r\nEND:VEVENT\r\n\
    BEGIN:VEVENT\r\nSUMMARY:Early close\r\nDTSTART;TZID=America/New_York:20261127T130000\r\n\
    DTEND;TZID=America/New_York:20261127T160000\r\nRDATE;TZID=America/New_York:20261224T130000\r\nEND:VEVENT\r\n\
    BEGIN:VEVENT\r\nSUMMARY:Good Friday\r\nDTSTART;VALUE=DATE:20270326\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

const MARKET: &str = "windows:\n- name: outside-market-hours\n  timeZone: America/New_York\n  \
    closed: [{ days: mon-fri, from: '09:30', to: '16:00' }]\n  calendar: calendars/nyse.ics\n";

/// A repository with a window and its calendar.
fn stage() -> Stage {
    Stage::new(&[("tagalong.yaml", MARKET), ("calendars/nyse.ics", NYSE)])
}

/// Runs the command with a configuration of its own that has these lines more.
fn windows(stage: &Stage, more: &str, arguments: &[&str]) -> Run {
    let file = stage.home().join("own.yaml");
    let text = fs::read_to_string(stage.config()).expect("there");
    fs::write(&file, format!("{text}{more}")).expect("written");
    let config = file.display().to_string();
    tagalong::run(stage.home(), &[&["windows", "--config", &config], arguments].concat())
}

fn json(stage: &Stage, more: &str, at: &str) -> Value {
    windows(stage, more, &["--at", at, "--next", "4", "--output", "json"]).ok().json()
}

#[test]
fn holidays_and_early_closes_of_the_exchange_open_the_window() {
    let stage = stage();
    for (at, is_open, rule, until) in [
        ("2026-11-25T12:00:00-05:00", false, "mon-fri 09:30-16:00", "2026-11-25T21:00:00Z"),
        ("2026-11-26T12:00:00-05:00", true, "Thanksgiving (calendars/nyse.ics)", "2026-11-27T14:30:00Z"),
        ("2026-11-27T12:59:00-05:00", false, "mon-fri 09:30-16:00", "2026-11-27T18:00:00Z"),
        ("2026-11-27T13:00:00-05:00", true, "Early close (calendars/nyse.ics)", "2026-11-30T14:30:00Z"),
        ("2026-12-24T12:59:00-05:00", false, "mon-fri 09:30-16:00", "2026-12-24T18:00:00Z"),
        ("2026-12-24T13:00:00-05:00", true, "Early close (calendars/nyse.ics)", "2026-12-25T14:30:00Z"),
        ("2027-03-26T12:00:00-04:00", true, "Good Friday (calendars/nyse.ics)", "2027-03-27T04:00:00Z"),
    ] {
        let found = &json(&stage, "", at)[0];
        let state = (found["open"].as_bool(), found["rule"].as_str(), found["until"].as_str());
        assert_eq!(state, (Some(is_open), Some(rule), Some(until)), "{at}: {found:#}");
    }
}

#[test]
fn what_comes_next_is_in_local_time_and_in_utc() {
    let stage = stage();
    let found = json(&stage, "", "2026-11-25T17:00:00Z");
    let local = |next: &Value| format!("{} {}", next["local"].as_str().expect("a time"), next["open"]);
    let next: Vec<String> = found[0]["next"].as_array().expect("a list").iter().map(local).collect();
    let expected = [
        "2026-11-25T16:00:00-05:00 true",
        "2026-11-27T09:30:00-05:00 false",
        "2026-11-27T13:00:00-05:00 true",
        "2026-11-30T09:30:00-05:00 false",
    ];
    assert_eq!(next, expected);
    assert_eq!(
        (&found[0]["timeZone"], &found[0]["local"]),
        (&"America/New_York".into(), &"2026-11-25T12:00:00-05:00".into())
    );
    let text = windows(&stage, "", &["--at", "2026-11-25T17:00:00Z", "--next", "2"]).ok().stdout;
    let lines: Vec<Vec<&str>> =
        text.lines().map(|line| line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect()).collect();
    assert_eq!(lines[0], ["WINDOW", "FROM", "UTC", "STATE", "RULE"]);
    let row = |from, utc, state, rule| vec!["outside-market-hours", from, utc, state, rule];
    assert_eq!(lines[1], row("Wed 2026-11-25 12:00 EST", "2026-11-25T17:00:00Z", "closed", "mon-fri 09:30-16:00"));
    assert_eq!(lines[2], row("Wed 2026-11-25 16:00 EST", "2026-11-25T21:00:00Z", "open", "no rule applies"));
    assert_eq!(lines[3], row("Fri 2026-11-27 09:30 EST", "2026-11-27T14:30:00Z", "closed", "mon-fri 09:30-16:00"));
    assert_eq!(lines.len(), 4, "{text}");
}

#[test]
fn the_own_file_and_the_repository_both_define_windows() {
    let stage = stage();
    let own = "windows:\n- { name: nights, timeZone: Europe/Berlin, closed: [{ days: mon-sun, from: '07:00', to: '22:00' }] }\n";
    let found = json(&stage, own, "2026-07-01T19:59:00Z");
    assert_eq!((&found[0]["window"], &found[0]["until"]), (&"nights".into(), &"2026-07-01T20:00:00Z".into()));
    assert_eq!(found[1]["window"], "outside-market-hours");
    assert_eq!(found.as_array().map(Vec::len), Some(2));
    // The same name twice would leave open which one is meant.
    let twice = windows(&stage, MARKET, &[]).fails_with(2);
    assert!(twice.stderr.contains("two windows named `outside-market-hours`"), "{twice:#?}");
    stage.origin.commit("no windows", &[("tagalong.yaml", "policies: []\n")]);
    assert_eq!(windows(&stage, "", &[]).ok().stdout, "no windows are defined\n");
    assert_eq!(json(&stage, "", "2026-07-01T19:59:00Z"), Value::Array(Vec::new()));
}

#[test]
fn a_calendar_comes_from_the_tip_and_closes_the_window_if_it_cannot_be_read() {
    let stage = stage();
    let noon = "2026-11-28T17:00:00Z";
    assert_eq!(json(&stage, "", noon)[0]["open"], true);
    for (text, why) in
        [("hello\n", "it is not in iCalendar format"), (&NYSE.replace("New_York", "Neverland"), "America/Neverland")]
    {
        stage.origin.commit("calendar", &[("calendars/nyse.ics", text)]);
        let found = &json(&stage, "", noon)[0];
        let rule = found["rule"].as_str().expect("a rule");
        assert!(found["open"] == false && rule.contains(why) && rule.contains("calendars/nyse.ics"), "{found:#}");
        assert_eq!(found["until"], Value::Null);
    }
    stage.origin.commit("another path", &[("tagalong.yaml", &MARKET.replace("nyse.ics", "xetra.ics"))]);
    let rule = json(&stage, "", noon)[0]["rule"].as_str().expect("a rule").to_owned();
    assert_eq!(rule, "the calendar calendars/xetra.ics cannot be used: the file does not exist");
    // Months before a calendar ends there is a warning.
    stage.origin.commit("back", &[("tagalong.yaml", MARKET), ("calendars/nyse.ics", NYSE)]);
    let warned = windows(&stage, "", &["--at", "2027-03-13T17:00:00Z"]).ok();
    assert!(warned.stderr.contains("has no events after 2027-03-26"), "{warned:#?}");
}

#[test]
fn extreme_and_invalid_times_are_answered() {
    let stage = stage();
    for at in ["9999-12-30T22:00:00Z", "-009999-01-02T01:59:59Z", "1970-01-01T00:00:00Z"] {
        let at = format!("--at={at}");
        windows(&stage, "", &[&at, "--next", "2"]).ok();
    }
    for (arguments, words) in
        [(["--at", "noon"], "invalid value 'noon'"), (["--next", "1001"], "1001 is not in 0..=1000")]
    {
        let refused = windows(&stage, "", &arguments);
        assert!(refused.code == 2 && refused.stderr.contains(words), "{refused:#?}");
    }
}
