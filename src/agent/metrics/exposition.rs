//! The text formats that metrics are served in, and which one a client prefers. Pure.

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0, for clients that ask for it, as Prometheus does.
    OpenMetrics,
    /// Prometheus's own text format 0.0.4, for all others.
    Text,
}

impl Format {
    /// Returns the format that a client prefers, by the values of its `Accept` headers (RFC 9110, section 12.5.1).
    pub fn preferred<'a>(accept: impl Iterator<Item = &'a str>) -> Format {
        let ranges: Vec<(String, f32)> = accept.flat_map(|value| value.split(',')).map(range).collect();
        let weight = |media_type: &str| {
            ranges.iter().filter(|(range, _)| range == media_type).map(|(_, weight)| *weight).fold(0.0, f32::max)
        };
        let open_metrics = weight("application/openmetrics-text");
        let is_preferred = open_metrics > 0.0 && open_metrics >= weight("text/plain");
        if is_preferred { Format::OpenMetrics } else { Format::Text }
    }

    /// Returns the value of the header `Content-Type`.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Converts metrics from OpenMetrics to this format.
    pub fn convert(self, open_metrics: String) -> String {
        match self {
            Format::OpenMetrics => open_metrics,
            Format::Text => to_text(&open_metrics),
        }
    }
}

/// Returns the media type and the weight of an element of an `Accept` header.
fn range(element: &str) -> (String, f32) {
    let mut parts = element.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
    (media_type, weight.unwrap_or(1.0))
}

/// Converts OpenMetrics to the text format 0.0.4. Both write samples in the same way, but here, a family has the name of
/// its samples, and there are neither units nor a mark at the end.
fn to_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            text.push_str(&format!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with("# UNIT ") && line != "# EOF" {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_the_format_that_they_prefer() {
        let preferred = |accept: &str| Format::preferred(std::iter::once(accept));
        for prometheus in [
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2",
            "Application/OpenMetrics-Text",
        ] {
            assert_eq!(preferred(prometheus), Format::OpenMetrics, "{prometheus}");
        }
        for other in [
            "*/*",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.5",
            "application/openmetrics-text;q=0",
            "",
        ] {
            assert_eq!(preferred(other), Format::Text, "{other}");
        }
        assert_eq!(Format::preferred(std::iter::empty()), Format::Text);
        let separately = ["text/plain;q=0.5", "application/openmetrics-text"];
        assert_eq!(Format::preferred(separately.into_iter()), Format::OpenMetrics);
    }

    #[test]
    fn families_have_the_names_of_their_samples_in_the_text_format() {
        let open_metrics = "# HELP a_build The program.\n# TYPE a_build info\na_build_info{version=\"1\"} 1\n\
            # HELP a_cycles Cycles: done.\n# TYPE a_cycles counter\na_cycles_total{result=\"done\"} 2\n\
            # HELP a_lag_seconds Lag.\n# TYPE a_lag_seconds histogram\n# UNIT a_lag_seconds seconds\n\
            a_lag_seconds_sum 0.5\na_lag_seconds_count 1\na_lag_seconds_bucket{le=\"+Inf\"} 1\n# EOF\n";
        let text = "# HELP a_build_info The program.\n# TYPE a_build_info gauge\na_build_info{version=\"1\"} 1\n\
            # HELP a_cycles_total Cycles: done.\n# TYPE a_cycles_total counter\na_cycles_total{result=\"done\"} 2\n\
            # HELP a_lag_seconds Lag.\n# TYPE a_lag_seconds histogram\n\
            a_lag_seconds_sum 0.5\na_lag_seconds_count 1\na_lag_seconds_bucket{le=\"+Inf\"} 1\n";
        assert_eq!(Format::Text.convert(open_metrics.to_owned()), text);
        assert_eq!(Format::OpenMetrics.convert(open_metrics.to_owned()), open_metrics);
    }
}
