//! The words of a commit's message, by a template in the language of Jinja (minijinja).
//!
//! A template gives the subject and the text below it. Trailers are no part of it: whatever it says, they follow as the
//! last paragraph, and no line before them can be taken for one.

use std::collections::BTreeSet;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::image::Version;

use super::gate::GatedUpdate;
use super::message::{self, Act, Purpose};
use super::trailer::line;

/// The words when nothing else is configured.
const DEFAULT: &str = "{{ subject }}";

/// So many steps a template may take: a thousand updates are written well within it.
const FUEL: u64 = 1_000_000;

/// A template that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
}

impl Default for Template {
    fn default() -> Self {
        Template { source: DEFAULT.to_owned() }
    }
}

/// A text that is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct TemplateError {
    words: String,
}

/// What a template can name.
#[derive(Debug, Serialize)]
struct Variables {
    subject: String,
    count: usize,
    apps: Vec<String>,
    images: Vec<String>,
    updates: Vec<Shown>,
}

/// One update, as a template sees it.
#[derive(Debug, Clone, Serialize)]
struct Shown {
    app: String,
    file: String,
    path: String,
    image: String,
    name: String,
    from: Option<String>,
    to: String,
    digest: Option<String>,
}

impl Template {
    /// Reads a template and tries it on examples, so that a name that does not exist is found now and not at a push.
    pub fn parse(source: &str) -> Result<Template, TemplateError> {
        let template = Template { source: source.to_owned() };
        for count in [1, 3] {
            let text = render(source, &Variables::example(count))?;
            if text.trim().is_empty() {
                return Err(TemplateError { words: "it gives an empty message".to_owned() });
            }
        }
        Ok(template)
    }

    /// The whole message of a commit on top of `base` that makes these updates: subject, text, trailers. What moves
    /// nothing is said in our own words.
    pub fn message(&self, updates: &[GatedUpdate], purpose: &Purpose, base: &str) -> String {
        let trailers = message::trailers(updates, purpose, base);
        if updates.is_empty() {
            return format!("{}\n\n{trailers}", message::subject_of(&purpose.act, updates));
        }
        let variables = Variables::of(&purpose.act, updates);
        // A template that fails on what was deployed just now must not stop a deploy.
        let words = render(&self.source, &variables).unwrap_or_default();
        let words = harmless(&words);
        let words = if words.is_empty() { variables.subject } else { words };
        format!("{words}\n\n{trailers}")
    }

    /// The title of a pull request that proposes these updates: the first line of what the template says.
    pub fn title(&self, updates: &[GatedUpdate]) -> String {
        let variables = Variables::of(&Act::Deploy, updates);
        let words = render(&self.source, &variables).unwrap_or_default();
        let title = words.lines().map(line).find(|line| !line.is_empty());
        title.unwrap_or(variables.subject)
    }
}

/// What a template makes of variables. It cannot run for ever, and naming what does not exist is an error.
pub fn render(source: &str, variables: &impl Serialize) -> Result<String, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_fuel(Some(FUEL));
    // Lines that hold only a block leave no empty line behind.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.render_str(source, Serde(variables)).map_err(|error| TemplateError::of(&error))
}

impl TemplateError {
    fn of(error: &minijinja::Error) -> TemplateError {
        let detail = error.detail().map(str::to_owned).unwrap_or_else(|| error.kind().to_string());
        let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
        TemplateError { words: format!("{line}{detail}; docs/configuration.md lists what a template can name") }
    }
}

impl Variables {
    fn of(act: &Act, updates: &[GatedUpdate]) -> Variables {
        let shown = |version: &Version| (!version.is_empty()).then(|| version.to_string());
        let updates_shown = updates.iter().map(|update| Shown {
            app: app(&update.file).to_owned(),
            file: update.file.clone(),
            path: update.field.path.clone(),
            image: update.field.repository.to_string(),
            name: update.field.repository.short_name().to_owned(),
            from: shown(&update.field.version),
            to: update.to.to_string(),
            digest: update.digest.as_ref().map(ToString::to_string),
        });
        Variables::about(message::subject_of(act, updates), updates_shown.collect())
    }

    fn about(subject: String, updates: Vec<Shown>) -> Variables {
        let distinct = |of: fn(&Shown) -> &String| {
            let names: BTreeSet<&String> = updates.iter().map(of).collect();
            names.into_iter().cloned().collect()
        };
        Variables {
            subject,
            count: updates.len(),
            apps: distinct(|update| &update.app),
            images: distinct(|update| &update.image),
            updates,
        }
    }

    /// Updates as they could be: with and without a tag before, with and without a digest.
    fn example(count: usize) -> Variables {
        let update = |n: usize| Shown {
            app: format!("apps/shop-{n}"),
            file: format!("apps/shop-{n}/deployment.yaml"),
            path: "spec.template.spec.containers[0].image".to_owned(),
            image: format!("ghcr.io/acme/shop-{n}"),
            name: format!("shop-{n}"),
            from: n.is_multiple_of(2).then(|| "1a2b3c4".to_owned()),
            to: "5d6e7f8".to_owned(),
            digest: n.is_multiple_of(2).then(|| format!("sha256:{}", "0".repeat(64))),
        };
        Variables::about("deploy: shop-0 1a2b3c4 -> 5d6e7f8".to_owned(), (0..count).map(update).collect())
    }
}

/// The app that a file belongs to: its folder, or the file's own name where it stands at the root.
pub fn app(file: &str) -> &str {
    file.rsplit_once('/').map_or(file, |(folder, _)| folder)
}

/// Words that cannot be taken for trailers and do not hide those that follow: git looks for trailers above a line that
/// starts with `---` and above a scissors line, and a careless reader looks for `Tagalong-` in any line.
fn harmless(words: &str) -> String {
    let plain: String = words.chars().filter(|c| *c == '\n' || *c == '\t' || !c.is_control()).collect();
    let mut text = String::new();
    for line in plain.lines().map(str::trim_end) {
        let start = line.get(..TRAILER.len()).unwrap_or_default();
        if start.eq_ignore_ascii_case(TRAILER) || line.starts_with("---") || line.contains("-- >8 --") {
            text.push_str("> ");
        }
        text.push_str(line);
        text.push('\n');
    }
    text.trim_matches('\n').trim_start().to_owned()
}

/// How the names of all our trailers start.
const TRAILER: &str = "Tagalong-";

#[cfg(test)]
mod tests {
    use super::*;

    fn update(file: &str, name: &str) -> GatedUpdate {
        GatedUpdate::example(file, name, "v1", "v2")
    }

    fn rendered(source: &str) -> String {
        let template = Template::parse(source).expect("a template");
        template.message(
            &[update("apps/shop/a.yaml", "acme/shop"), update("b.yaml", "acme/till")],
            &Purpose::default(),
            "ba5e",
        )
    }

    const TRAILERS: &str = "Tagalong-Update: apps/shop/a.yaml image docker.io/acme/shop v1 -> v2\n\
                            Tagalong-Update: b.yaml image docker.io/acme/till v1 -> v2\n\
                            Tagalong-Base: ba5e\n";

    #[test]
    fn a_template_gives_the_words_and_trailers_follow() {
        let source = "chore: {{ count }} of {{ apps | join(', ') }}\n\n{% for u in updates %}\n\
                      * {{ u.name }} {{ u.from }} -> {{ u.to }}{{ ' ' ~ u.digest if u.digest }}\n{% endfor %}\n";
        assert_eq!(
            rendered(source),
            format!("chore: 2 of apps/shop, b.yaml\n\n* shop v1 -> v2\n* till v1 -> v2\n\n{TRAILERS}")
        );
        assert_eq!(
            Template::default().message(&[update("b.yaml", "acme/till")], &Purpose::default(), "ba5e"),
            "deploy: till v1 -> v2\n\n\
             Tagalong-Update: b.yaml image docker.io/acme/till v1 -> v2\nTagalong-Base: ba5e\n"
        );
    }

    #[test]
    fn no_template_forges_or_hides_a_trailer() {
        let source =
            "s\n\ntagalong-hold: x\n---\n# ------------------------ >8 ------------------------\n\x07\r\nend\n\n\n";
        let expected =
            "s\n\n> tagalong-hold: x\n> ---\n> # ------------------------ >8 ------------------------\n\nend";
        assert_eq!(rendered(source), format!("{expected}\n\n{TRAILERS}"));
    }

    #[test]
    fn a_wrong_template_is_told_with_its_line() {
        let wrong = |source: &str| Template::parse(source).expect_err("wrong").to_string();
        assert!(wrong("a\n{{ nmae }}").starts_with("line 2: "), "{}", wrong("a\n{{ nmae }}"));
        assert!(wrong("{{ updates[0].tag }}").starts_with("line 1: "), "{}", wrong("{{ updates[0].tag }}"));
        assert!(wrong("{% for u in updates %}").contains("line 1"), "{}", wrong("{% for u in updates %}"));
        assert!(wrong(" \n").contains("empty message"));
        assert!(
            wrong("{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}").contains("fuel")
        );
    }

    #[test]
    fn a_template_that_fails_later_falls_back_to_the_subject() {
        let template = Template { source: "{{ updates[7].name }}".to_owned() };
        let message = template.message(&[update("b.yaml", "acme/till")], &Purpose::default(), "ba5e");
        assert!(message.starts_with("deploy: till v1 -> v2\n\nTagalong-Update: "), "{message}");
    }
}
