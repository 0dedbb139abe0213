//! What the section `agent` means.

use crate::agent::config::Config;

use super::reader::Section;

/// Reads the section.
pub fn read(mut section: Section<'_>) -> Config {
    let defaults = Config::default();
    let listen = section.unless_off("listen", |text| {
        text.parse().map_err(|_| format!("`{text}` is no address; write one such as 0.0.0.0:8080, or off"))
    });
    let config = Config {
        interval: section.duration("interval").unwrap_or(defaults.interval),
        listen: listen.unwrap_or(defaults.listen),
        suspend: section.boolean("suspend").unwrap_or(defaults.suspend),
        deadline: section.duration("deadline").unwrap_or(defaults.deadline),
        grace: section.duration("grace").unwrap_or(defaults.grace),
        commit_link: section.parsed("commitUrl"),
    };
    section.finish();
    config
}
