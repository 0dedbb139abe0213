//! Findings: what is in plaintext, and what cannot be verified.

use super::reference::Wanted;

/// The certainty that a value of a Secret is in plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposed {
    /// It is in plaintext.
    Plaintext,
    /// It may be: tagalong cannot tell which value it is.
    Unverified,
}

/// A value of a Secret that is, or may be, in plaintext. It never contains the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The document that contains it, from 0.
    pub document: usize,
    /// Its certainty.
    pub exposed: Exposed,
    /// The place of the value, or the reason why it cannot be verified.
    pub reason: String,
}

/// Everything that was found in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// The findings, in the order of the text.
    pub list: Vec<Finding>,
    /// The files that it refers to.
    pub wanted: Vec<Wanted>,
    /// The document that is being read.
    pub(super) document: usize,
}

impl Findings {
    /// Adds the places of plaintext values as one finding; the first one is named.
    pub(super) fn plaintext(&mut self, what: &str, places: &[String]) {
        if let Some(first) = places.first() {
            let more = if places.len() > 1 { format!(" and {} more", places.len() - 1) } else { String::new() };
            self.add(Exposed::Plaintext, format!("plaintext in {what}: {first}{more}"));
        }
    }

    /// Adds the findings of a part of the file.
    pub(super) fn absorb(&mut self, part: Findings) {
        part.list.into_iter().for_each(|finding| self.add(finding.exposed, finding.reason));
        self.wanted.extend(part.wanted);
    }

    /// Adds a finding about something that cannot be verified.
    pub(super) fn unverified(&mut self, reason: String) {
        self.add(Exposed::Unverified, reason);
    }

    fn add(&mut self, exposed: Exposed, reason: String) {
        let finding = Finding { document: self.document, exposed, reason };
        if !self.list.contains(&finding) {
            self.list.push(finding);
        }
    }
}
