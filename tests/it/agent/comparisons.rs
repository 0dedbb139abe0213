//! Links to what changed in the source of an image between two versions.

use crate::support::agent::Agent;
use crate::support::infra::Stage;
use crate::support::process::wait_until;

#[test]
fn moves_link_to_comparisons_wherever_the_source_of_an_image_is_known() {
    let stage = Stage::new(&[
        ("labelled.yaml", "image: HOST/org/labelled:aaaaaa1\n"),
        ("plain.yaml", "image: HOST/org/plain:aaaaaa1\n"),
    ]);
    let source = "https://git.example.com/org/source.git";
    let labels = [("org.opencontainers.image.source", source)];
    for (tag, day) in [("aaaaaa1", 1), ("bbbbbb2", 2)] {
        let created = format!("2026-04-{day:02}T00:00:00Z");
        stage.registry.push_labelled("org/labelled", tag, &created, &labels);
        stage.registry.push("org/plain", tag, &created);
    }
    let expected = "href=\"https://git.example.com/org/source/compare/aaaaaa1...bbbbbb2\"";
    // The second agent inspects no image, because it knows all of them.
    for _ in 0..2 {
        let agent = Agent::start(stage.home(), &stage.config());
        let page = |name: &str| agent.get(&format!("/images/{}", stage.image(name))).body;
        wait_until("the history is shown", || {
            page("plain").contains("deployed") && page("labelled").contains("deployed")
        });
        assert!(page("labelled").contains(expected), "{}", page("labelled"));
        assert!(!page("plain").contains("/compare/"), "{}", page("plain"));
        agent.stop();
    }
}
