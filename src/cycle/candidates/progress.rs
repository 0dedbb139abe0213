//! The first look at a registry that takes longer than a cycle: how far it is, and how long it still takes.

use std::time::Duration;

/// Returns what there is to say of each repository, and of all together. `counts` says of each, in the order in which they
/// are looked into, how many of its tags were looked into and how many there are; `pace` is how many are looked into in a
/// second, where that is known.
pub fn words(counts: &[(usize, usize)], pace: Option<f64>) -> (Vec<String>, Option<String>) {
    let mut left = 0;
    let of_each = counts.iter().map(|&(looked, total)| {
        left += total - looked;
        let far = far(looked, total, left, pace);
        format!("{far}; nothing moves until all are looked into, as any of them may be the newest")
    });
    let of_each: Vec<String> = of_each.collect();
    let (looked, total) = counts.iter().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    let of_all = format!(
        "the first look at {} goes on in the next cycle: {}",
        images(counts.len()),
        far(looked, total, left, pace)
    );
    (of_each, (!counts.is_empty()).then_some(of_all))
}

/// So many images.
pub fn images(count: usize) -> String {
    if count == 1 { "1 image".to_owned() } else { format!("{} images", with_commas(count)) }
}

fn far(looked: usize, total: usize, left: usize, pace: Option<f64>) -> String {
    let how_far = format!("looked into {} of {} tags", with_commas(looked), with_commas(total));
    match pace.filter(|pace| *pace > 0.0) {
        Some(pace) => format!("{how_far}, {} left", about(Duration::from_secs_f64(left as f64 / pace))),
        None => how_far,
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
    fn it_is_said_how_far_a_look_is_and_how_long_it_takes() {
        let (each, all) = words(&[(0, 900), (12_000, 195_000)], Some(200.0));
        assert!(each[0].starts_with("looked into 0 of 900 tags, less than a minute left; "), "{each:?}");
        assert!(each[1].starts_with("looked into 12,000 of 195,000 tags, about 16 min left; "), "{each:?}");
        let all = all.expect("words");
        assert!(
            all.starts_with("the first look at 2 images goes on") && all.contains(": looked into 12,000 of 195,900")
        );
        assert!(words(&[(1, 2)], None).0[0].starts_with("looked into 1 of 2 tags; "));
        assert_eq!(words(&[], Some(1.0)), (Vec::new(), None));
        assert_eq!(
            (about(Duration::from_secs(7201)), with_commas(1_234_567)),
            ("about 3 h".into(), "1,234,567".into())
        );
    }
}
