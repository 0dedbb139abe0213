//! Templates for commit messages, in the language of Jinja (minijinja).
//!
//! A template produces the subject and the text below it. Trailers are not part of it: they always follow as the last
//! paragraph, and no line before them can be mistaken for one.

use std::collections::BTreeSet;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::fault::documentation;
use crate::image::Version;
use crate::text;

use super::gate::GatedUpdate;
use super::message::{self, Act, Purpose};
use super::trailer::single_line;

/// The default template.
const DEFAULT: &str = "{{ subject }}";

/// The maximum number of steps of a template; a thousand updates need far fewer.
const FUEL: u64 = 1_000_000;

/// A valid template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
}

impl Default for Template {
    fn default() -> Self {
        Template { source: DEFAULT.to_owned() }
    }
}

/// The error of an invalid template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    message: String,
}

/// The variables of a template.
#[derive(Debug, Serialize)]
struct Variables {
    subject: String,
    count: usize,
    apps: Vec<String>,
    images: Vec<String>,
    updates: Vec<UpdateVariables>,
}

/// The variables of one update.
#[derive(Debug, Clone, Serialize)]
struct UpdateVariables {
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
    /// Parses a template and renders it with examples, so that an unknown variable is an error now and not during a
    /// push.
    pub fn parse(source: &str) -> Result<Template, TemplateError> {
        let template = Template { source: source.to_owned() };
        for count in [1, 3] {
            let text = render(source, &Variables::example(count))?;
            if text.trim().is_empty() {
                return Err(TemplateError { message: "it produces an empty message".to_owned() });
            }
        }
        Ok(template)
    }

    /// Returns the complete message of a commit on top of `base`: subject, text and trailers. Commits without updates
    /// do not use the template.
    pub fn message(&self, updates: &[GatedUpdate], purpose: &Purpose, base: &str) -> String {
        let trailers = message::trailers(updates, purpose, base);
        if updates.is_empty() {
            return format!("{}\n\n{trailers}", message::subject_of(&purpose.act, updates));
        }
        let variables = Variables::of(&purpose.act, updates);
        // A template that fails for the current updates must not prevent a deployment.
        let text = render(&self.source, &variables).unwrap_or_default();
        let text = without_trailers(&text);
        let text = if text.is_empty() { variables.subject } else { text };
        format!("{text}\n\n{trailers}")
    }

    /// Returns the title of a pull request that proposes these updates: the first line of the rendered template.
    pub fn title(&self, updates: &[GatedUpdate]) -> String {
        let variables = Variables::of(&Act::Deploy, updates);
        let text = render(&self.source, &variables).unwrap_or_default();
        let title = text.lines().map(single_line).find(|line| !line.is_empty());
        title.unwrap_or(variables.subject)
    }
}

/// Renders a template. Its running time is limited, and an unknown variable is an error.
pub fn render(source: &str, variables: &impl Serialize) -> Result<String, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_fuel(Some(FUEL));
    // Lines with only a block leave no empty line behind.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.render_str(source, Serde(variables)).map_err(|error| TemplateError::of(&error))
}

impl TemplateError {
    fn of(error: &minijinja::Error) -> TemplateError {
        let detail = error.detail().map(str::to_owned).unwrap_or_else(|| error.kind().to_string());
        let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
        let page = documentation("configuration.md#git");
        TemplateError { message: format!("{line}{detail}; {page} lists the variables") }
    }
}

impl Variables {
    fn of(act: &Act, updates: &[GatedUpdate]) -> Variables {
        let shown = |version: &Version| (!version.is_empty()).then(|| version.to_string());
        let updates_shown = updates.iter().map(|update| UpdateVariables {
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

    fn about(subject: String, updates: Vec<UpdateVariables>) -> Variables {
        let distinct = |of: fn(&UpdateVariables) -> &String| {
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

    /// Makes example updates: with and without a tag before, with and without a digest.
    fn example(count: usize) -> Variables {
        let update = |n: usize| UpdateVariables {
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

/// Returns the app of a file: its folder, or the file's own name at the root.
pub fn app(file: &str) -> &str {
    file.rsplit_once('/').map_or(file, |(folder, _)| folder)
}

/// Escapes lines that could be mistaken for trailers or hide the trailers that follow: git looks for trailers above a
/// line that starts with `---` and above a scissors line, and a simple reader looks for `Tagalong-` in any line.
fn without_trailers(text: &str) -> String {
    let plain: String = text.chars().filter(|c| *c == '\n' || *c == '\t' || !text::is_active(*c)).collect();
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

/// The start of the names of all our trailers.
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
                            Tagalong-Order: docker.io/acme/shop:v2 built\n\
                            Tagalong-Order: docker.io/acme/till:v2 built\n\
                            Tagalong-Base: ba5e\n";

    #[test]
    fn trailers_follow_the_text_of_a_template() {
        let source = "chore: {{ count }} of {{ apps | join(', ') }}\n\n{% for u in updates %}\n\
                      * {{ u.name }} {{ u.from }} -> {{ u.to }}{{ ' ' ~ u.digest if u.digest }}\n{% endfor %}\n";
        assert_eq!(
            rendered(source),
            format!("chore: 2 of apps/shop, b.yaml\n\n* shop v1 -> v2\n* till v1 -> v2\n\n{TRAILERS}")
        );
        assert_eq!(
            Template::default().message(&[update("b.yaml", "acme/till")], &Purpose::default(), "ba5e"),
            "deploy: till v1 -> v2\n\n\
             Tagalong-Update: b.yaml image docker.io/acme/till v1 -> v2\n\
             Tagalong-Order: docker.io/acme/till:v2 built\nTagalong-Base: ba5e\n"
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
    fn an_invalid_template_is_reported_with_its_line() {
        let error = |source: &str| Template::parse(source).expect_err("invalid").to_string();
        assert!(error("a\n{{ nmae }}").starts_with("line 2: "), "{}", error("a\n{{ nmae }}"));
        assert!(error("{{ updates[0].tag }}").starts_with("line 1: "), "{}", error("{{ updates[0].tag }}"));
        assert!(error("{% for u in updates %}").contains("line 1"), "{}", error("{% for u in updates %}"));
        assert!(error(" \n").contains("empty message"));
        assert!(
            error("{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}").contains("fuel")
        );
    }

    #[test]
    fn a_template_that_fails_later_falls_back_to_the_subject() {
        let template = Template { source: "{{ updates[7].name }}".to_owned() };
        let message = template.message(&[update("b.yaml", "acme/till")], &Purpose::default(), "ba5e");
        assert!(message.starts_with("deploy: till v1 -> v2\n\nTagalong-Update: "), "{message}");
    }
}
