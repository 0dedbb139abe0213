//! The four figures, and plots of the last weeks.

use jiff::civil::Date;
use maud::{Markup, html};

use crate::plan::figures::{Durations, Figures, Week};
use crate::text::duration;

use super::parts::{counted, number};

/// The height of the coordinates of a plot, and the width of a week in them.
const HEIGHT: i64 = 100;
const WIDTH: usize = 10;

/// Renders the figures. `applied` is the median time from a push until the cluster had applied it, in seconds, for what this
/// agent has seen.
pub fn figures(figures: &Figures, applied: Option<i64>) -> Markup {
    let rate = figures.change_failure_rate.map(|rate| format!("{:.1} %", rate * 100.0));
    let lead = &figures.lead_time;
    html! {
        dl .figures {
            div {
                dt { "Deployments" }
                dd { strong { (format!("{:.1}", figures.deployments_per_week)) } " a week" }
                dd .faint { (number(figures.deployments)) " in " (counted(figures.weeks.len(), "week")) }
            }
            div {
                dt { "Lead time, from build to commit" }
                dd { strong { (median(lead)) } }
                dd .faint {
                    (nine_of_ten(lead))
                    @if lead.unknown > 0 { ", not recorded for " (number(lead.unknown)) }
                    @if let Some(applied) = applied { "; then " (duration(applied)) " until the cluster applied it" }
                }
            }
            div {
                dt { "Taken back" }
                dd { strong { (rate.as_deref().unwrap_or("–")) } }
                dd .faint { (number(figures.taken_back)) " of " (counted(figures.deployments, "deployment")) }
            }
            div {
                dt { "Time to restore" }
                dd { strong { (median(&figures.time_to_restore)) } }
                dd .faint { (nine_of_ten(&figures.time_to_restore)) }
            }
        }
    }
}

fn median(all: &Durations) -> String {
    all.median_seconds.map_or_else(|| "–".to_owned(), duration)
}

fn nine_of_ten(all: &Durations) -> String {
    all.p90_seconds
        .map_or_else(|| "nothing to measure".to_owned(), |most| format!("nine of ten within {}", duration(most)))
}

/// Renders the plots of weeks, oldest first.
pub fn weeks(weeks: &[Week]) -> Markup {
    let most = weeks.iter().map(|week| week.deployments).max().unwrap_or_default();
    let longest = weeks.iter().filter_map(|week| week.lead_time_seconds).max().unwrap_or_default();
    let count = |value: usize| value as i64;
    let bars = |week: &Week| {
        let back = height(count(week.taken_back), count(most));
        let whole = height(count(week.deployments), count(most));
        html! { (bar("good", back, whole - back)) (bar("bad", 0, back)) }
    };
    let lead = |week: &Week| bar("busy", 0, height(week.lead_time_seconds.unwrap_or_default(), longest));
    let number_of = |week: &Week| if week.deployments > 0 { number(week.deployments) } else { String::new() };
    let time_of = |week: &Week| week.lead_time_seconds.map(short).unwrap_or_default();
    html! {
        div .plots {
            (plot(weeks, "Deployments a week", "The lower, red part was taken back.", &bars, &number_of))
            (plot(weeks, "Lead time a week", "The median, from build to commit.", &lead, &time_of))
        }
        details #weeks-table {
            summary { "The weeks as a table" }
            div .scroll role="region" tabindex="0" aria-label="Weeks" { table {
                caption .unseen { "Deployments by week" }
                thead { tr { @for head in ["Week", "Deployments", "Taken back", "Lead time"] { th scope="col" { (head) } } } }
                tbody {
                    @for week in weeks {
                        tr {
                            th scope="row" { (date(week.week)) }
                            td { (number(week.deployments)) }
                            td { (number(week.taken_back)) }
                            td { (week.lead_time_seconds.map_or_else(|| "–".to_owned(), duration)) }
                        }
                    }
                }
            } }
        }
    }
}

/// Renders a plot. Its texts are beside the drawing, because the drawing is stretched to the width of the page.
fn plot(
    weeks: &[Week],
    title: &str,
    note: &str,
    bars: &dyn Fn(&Week) -> Markup,
    value: &dyn Fn(&Week) -> String,
) -> Markup {
    let shown = |week: &Week| format!("{}: {}", date(week.week), value(week));
    let said: Vec<String> = weeks.iter().filter(|week| !value(week).is_empty()).map(shown).collect();
    html! {
        figure .plot {
            figcaption { strong { (title) } " " span .faint { (note) } }
            div .values aria-hidden="true" { @for week in weeks { span { (value(week)) } } }
            svg role="img" viewBox={ "0 0 " (weeks.len().max(1) * WIDTH) " " (HEIGHT) } preserveAspectRatio="none" {
                title { (title) }
                desc { (said.join(", ")) }
                @for (at, week) in weeks.iter().enumerate() {
                    g transform={ "translate(" (at * WIDTH) " 0)" } { (bars(week)) }
                }
            }
            div .values aria-hidden="true" { @for week in weeks { span { (week.week.strftime("%-d %b")) } } }
        }
    }
}

/// Returns the height of a bar, which is visible if its value is not zero.
fn height(value: i64, most: i64) -> i64 {
    if value <= 0 || most <= 0 { 0 } else { (value.saturating_mul(HEIGHT) / most).max(2) }
}

fn bar(tone: &str, bottom: i64, height: i64) -> Markup {
    html! {
        @if height > 0 { rect class=(tone) x="1" width="8" y=(HEIGHT - bottom - height) height=(height) {} }
    }
}

fn date(week: Date) -> String {
    week.strftime("%-d %b %Y").to_string()
}

/// Returns a duration in its largest unit.
fn short(seconds: i64) -> String {
    duration(seconds).split(' ').next().unwrap_or_default().to_owned()
}
