//! The progress of a first scan that takes longer than a cycle: how far it has come, and the time that is left.

use std::time::Duration;

/// Returns the progress of each repository, and of all together. `counts` has for each, in the order of the scan, the
/// number of inspected tags and of all tags; `pace` is the number of tags inspected per second, if known.
pub fn describe(counts: &[(usize, usize)], pace: Option<f64>) -> (Vec<String>, Option<String>) {
    let mut left = 0;
    let of_each = counts.iter().map(|&(inspected, total)| {
        left += total - inspected;
        let progress = progress(inspected, total, left, pace);
        format!("{progress}; the image moves only once all are inspected, because any of them may be the newest")
    });
    let of_each: Vec<String> = of_each.collect();
    let (inspected, total) = counts.iter().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    let of_all = format!(
        "the first scan of {} continues in the next cycle: {}",
        images(counts.len()),
        progress(inspected, total, left, pace)
    );
    (of_each, (!counts.is_empty()).then_some(of_all))
}

/// Returns a number of images as text.
pub fn images(count: usize) -> String {
    if count == 1 { "1 image".to_owned() } else { format!("{} images", with_commas(count)) }
}

fn progress(inspected: usize, total: usize, left: usize, pace: Option<f64>) -> String {
    let progress = format!("inspected {} of {} tags", with_commas(inspected), with_commas(total));
    match pace.filter(|pace| *pace > 0.0) {
        Some(pace) => format!("{progress}, {} left", about(Duration::from_secs_f64(left as f64 / pace))),
        None => progress,
    }
}

fn about(time: Duration) -> String {
    match time.as_secs() {
        0..60 => "less than a minute".to_owned(),
        seconds @ 60..7200 => format!("about {} min", seconds.div_ceil(60)),
        seconds => format!("about {} h", seconds.div_ceil(3600)),
    }
}

fn with_commas(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_has_the_count_and_the_time_left() {
        let (each, all) = describe(&[(0, 900), (12_000, 195_000)], Some(200.0));
        assert!(each[0].starts_with("inspected 0 of 900 tags, less than a minute left; "), "{each:?}");
        assert!(each[1].starts_with("inspected 12,000 of 195,000 tags, about 16 min left; "), "{each:?}");
        let all = all.expect("a text");
        assert!(
            all.starts_with("the first scan of 2 images continues") && all.contains(": inspected 12,000 of 195,900")
        );
        assert!(describe(&[(1, 2)], None).0[0].starts_with("inspected 1 of 2 tags; "));
        assert_eq!(describe(&[], Some(1.0)), (Vec::new(), None));
        assert_eq!(
            (about(Duration::from_secs(7201)), with_commas(1_234_567)),
            ("about 3 h".into(), "1,234,567".into())
        );
    }
}
