//! What people can do about the state of an image: a command, because no action on a page changes anything.

use maud::{Markup, html};

use crate::cycle::status::State;
use crate::plan::skip::Reason;

use super::parts::command;

/// Returns what to do about the state of an image.
pub fn remedy(state: State, image: &str) -> Markup {
    let explain = format!("tagalong explain {image}");
    let (text, line) = match state {
        State::Kept(Reason::BlockedImage) => ("Push the image again, or see what it lacks:", explain),
        State::Kept(Reason::BlockedSignature) => ("Sign the image, or see what is missing:", explain),
        State::Kept(Reason::BlockedSecret) => {
            ("Repair the file, and check all of them:", "tagalong secrets verify".to_owned())
        }
        State::Kept(Reason::RegistryError) => ("Check the registry and its credentials:", "tagalong check".to_owned()),
        State::Kept(Reason::NoCandidate) => ("See which tags there are, and what excludes them:", explain),
        State::Kept(Reason::Incomplete) => ("Push the images that are missing:", explain),
        State::Kept(Reason::Held) => ("Let it move again:", format!("tagalong resume {image} --reason \"WHY\"")),
        State::Kept(Reason::Suspended) => ("Remove `agent.suspend` from the configuration.", String::new()),
        _ => ("See every step:", explain),
    };
    html! { (text) @if !line.is_empty() { " " (command(&line)) } }
}
