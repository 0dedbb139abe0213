//! What is held. A tag that the bot set and someone took away is not set again until a newer one comes, or until it is
//! resumed: `git revert`, a forge's button and a hand edit all work, because what counts is the history of the field and
//! not the wording of a message. Besides, people stop and resume images by name, in trailers.

use std::fmt;

use jiff::Timestamp;

use crate::image::{Repository, Tag, Version};

use super::trailer::{Target, Trailers};

/// A commit of the branch, as far as holds go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// How many commits ago, along first parents.
    pub ago: usize,
    /// Its id.
    pub commit: String,
    /// When it was committed.
    pub when: Timestamp,
    /// Its author.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
    /// What it says about itself.
    pub trailers: Trailers,
}

/// A commit that changed what a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The commit.
    pub deed: Deed,
    /// What the field held before it; `None` when it was not there.
    pub from: Option<Version>,
    /// What it held after; `None` when it was gone.
    pub to: Option<Version>,
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The image.
    pub image: Repository,
    /// The tag; without one nothing of the image moves.
    pub tag: Option<Tag>,
    /// Since when.
    pub since: Timestamp,
    /// By whom.
    pub by: String,
    /// Why: the reason that was given, else what the commit says of itself.
    pub why: String,
    /// The commit.
    pub commit: String,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short: String = self.commit.chars().take(7).collect();
        match &self.tag {
            Some(tag) => write!(f, "{tag} is held")?,
            None => write!(f, "held")?,
        }
        write!(f, " since {} by {} ({}, commit {short})", self.since, self.by, self.why)
    }
}

impl Hold {
    fn of(deed: &Deed, image: &Repository, tag: Option<&Tag>) -> Hold {
        Hold {
            image: image.clone(),
            tag: tag.cloned(),
            since: deed.when,
            by: deed.trailers.actor.clone().unwrap_or_else(|| deed.author.clone()),
            why: deed.trailers.reason.clone().unwrap_or_else(|| deed.subject.clone()),
            commit: deed.commit.clone(),
        }
    }
}

/// The hold that people have put on an image or on this tag of it. `deeds` are those with trailers about holds, the
/// newest first.
pub fn asked_for(deeds: &[Deed], image: &Repository, tag: Option<&Tag>) -> Option<Hold> {
    let newest = |concerns: &dyn Fn(&Target, bool) -> bool| {
        deeds.iter().find_map(|deed| {
            let held = deed.trailers.holds.iter().any(|target| target.image == *image && concerns(target, true));
            let resumed = deed.trailers.resumes.iter().any(|target| target.image == *image && concerns(target, false));
            (held || resumed).then_some((deed, held))
        })
    };
    let whole = newest(&|target, _| target.tag.is_none());
    if let Some((deed, true)) = whole {
        return Some(Hold::of(deed, image, None));
    }
    let tag = tag?;
    // To resume an image is to resume all of its tags.
    let of_tag = newest(&|target, hold| target.tag.as_ref() == Some(tag) || !hold && target.tag.is_none());
    of_tag.filter(|(_, held)| *held).map(|(deed, _)| Hold::of(deed, image, Some(tag)))
}

/// The hold that the history of a field puts on a tag. `changes` are those of the field, `deeds` those with trailers
/// about holds, both the newest first.
pub fn by_history(changes: &[Change], deeds: &[Deed], image: &Repository, tag: &Tag) -> Option<Hold> {
    let holds = |version: &Option<Version>| version.as_ref().is_some_and(|version| version.tag.as_ref() == Some(tag));
    let departure = changes.iter().position(|change| holds(&change.from) != holds(&change.to))?;
    if holds(&changes[departure].to) {
        // It came back.
        return None;
    }
    let deed = &changes[departure].deed;
    let recorded = |deed: &Deed, is: &dyn Fn(&super::trailer::RecordedMove) -> bool| {
        deed.trailers.moves.iter().any(|recorded| recorded.image == *image && is(recorded))
    };
    let onward = changes[departure].to.as_ref();
    let moved_on_by_us =
        recorded(deed, &|recorded| recorded.from.tag.as_ref() == Some(tag) && Some(&recorded.to) == onward)
            && !deed.trailers.rollbacks.contains(image);
    let set_by_us = changes[departure..]
        .iter()
        .any(|change| holds(&change.to) && recorded(&change.deed, &|recorded| recorded.to.tag.as_ref() == Some(tag)));
    if moved_on_by_us || !set_by_us {
        return None;
    }
    let resumed = deeds.iter().take_while(|resume| resume.ago < deed.ago).any(|resume| {
        let concerns = |target: &Target| target.image == *image && target.tag.as_ref().is_none_or(|other| other == tag);
        resume.trailers.resumes.iter().any(concerns)
    });
    (!resumed).then(|| Hold::of(deed, image, Some(tag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Repository {
        "acme/app".parse().expect("a name")
    }

    fn tag(text: &str) -> Tag {
        text.parse().expect("a tag")
    }

    fn deed(ago: usize, message: &str) -> Deed {
        Deed {
            ago,
            commit: format!("{ago:040x}"),
            when: Timestamp::from_second(1_000_000 - ago as i64).expect("a time"),
            author: "Ada".to_owned(),
            subject: message.lines().next().unwrap_or_default().to_owned(),
            trailers: Trailers::read(message),
        }
    }

    /// A history from the oldest to the newest: `from to` by the bot, or with `!` by a person.
    fn history(steps: &[&str]) -> Vec<Change> {
        let version = |text: &str| (text != "-").then(|| Version::parse_tag(text).expect("a version"));
        let change = |(ago, step): (usize, &&str)| {
            let (from, to) = step.trim_end_matches(['!', '<']).split_once(' ').expect("two tags");
            let message = match step.chars().last() {
                Some('!') => "Revert \"deploy: app\"".to_owned(),
                end => {
                    let rollback = if end == Some('<') {
                        format!("Tagalong-Rollback: acme/app {from} -> {to}\n")
                    } else {
                        String::new()
                    };
                    format!("deploy: app\n\nTagalong-Update: a.yaml image acme/app {from} -> {to}\n{rollback}")
                        .replace(" - ->", " (none) ->")
                }
            };
            Change { deed: deed(ago, &message), from: version(from), to: version(to) }
        };
        let mut changes: Vec<Change> = steps.iter().rev().enumerate().map(change).collect();
        changes.sort_by_key(|change| change.deed.ago);
        changes
    }

    fn is_held(steps: &[&str], candidate: &str) -> bool {
        by_history(&history(steps), &[], &image(), &tag(candidate)).is_some()
    }

    #[test]
    fn what_the_bot_set_and_someone_took_away_is_held() {
        assert!(is_held(&["v1 v2", "v2 v1!"], "v2"), "a revert");
        assert!(is_held(&["v1 v2", "v2 v0!"], "v2"), "a hand edit");
        assert!(is_held(&["v1 v2", "v2 v1<"], "v2"), "a rollback by name");
        assert!(is_held(&["v1 v2", "v2 v1!", "v1 v2!", "v2 v1!"], "v2"), "reverted, restored, reverted");
        assert!(is_held(&["v1 v2", "v2 v3", "v3 v2!", "v2 v1!"], "v2"), "two steps back");
        assert!(is_held(&["v1 v2", "v2 -!"], "v2"), "taken out as a whole");
    }

    #[test]
    fn the_rest_is_not() {
        assert!(!is_held(&["v1 v2", "v2 v1!"], "v3"), "a newer one");
        assert!(!is_held(&["v1 v2"], "v3"), "never seen");
        assert!(!is_held(&["v1 v2", "v2 v3"], "v2"), "the bot moved on by itself");
        assert!(!is_held(&["v1 v2!", "v2 v1!"], "v2"), "set by a person");
        assert!(!is_held(&["v1 v2", "v2 v1!", "v1 v2!"], "v2"), "restored: it is there");
    }

    #[test]
    fn resuming_counts_from_then_on() {
        let mut changes = history(&["v1 v2", "v2 v1!"]);
        changes.iter_mut().for_each(|change| change.deed.ago += 10);
        let resume = |ago: usize, what: &str| deed(ago, &format!("resume\n\nTagalong-Resume: {what}\n"));
        let held = |deeds: &[Deed]| by_history(&changes, deeds, &image(), &tag("v2")).is_some();
        assert!(!held(&[resume(1, "acme/app")]));
        assert!(!held(&[resume(1, "acme/app:v2")]));
        assert!(held(&[resume(1, "acme/app:v3")]));
        assert!(held(&[resume(1, "acme/other")]));
        assert!(held(&[resume(20, "acme/app")]), "resumed before it was taken away");
    }

    #[test]
    fn people_hold_images_and_tags_by_name() {
        let deeds = |lines: &[&str]| -> Vec<Deed> {
            let deed = |(ago, line): (usize, &&str)| {
                deed(ago, &format!("x\n\n{line}\nTagalong-Actor: Bob\nTagalong-Reason: freeze\n"))
            };
            lines.iter().rev().enumerate().map(deed).collect()
        };
        let held = |lines: &[&str], candidate: &str| asked_for(&deeds(lines), &image(), Some(&tag(candidate)));
        let all = held(&["Tagalong-Hold: acme/app"], "v2").expect("held");
        assert_eq!((all.tag, all.by.as_str(), all.why.as_str()), (None, "Bob", "freeze"));
        assert!(held(&["Tagalong-Hold: acme/app:v2"], "v2").is_some());
        assert!(held(&["Tagalong-Hold: acme/app:v2"], "v3").is_none());
        assert!(held(&["Tagalong-Hold: acme/app:v2", "Tagalong-Resume: acme/app"], "v2").is_none());
        assert!(held(&["Tagalong-Hold: acme/app", "Tagalong-Resume: acme/app:v2"], "v2").is_some());
        assert!(held(&["Tagalong-Resume: acme/app", "Tagalong-Hold: acme/app"], "v2").is_some());
        assert!(held(&["Tagalong-Hold: acme/other"], "v2").is_none());
    }
}
