//! Random histories of stages. After each promotion, an independent account of the history has to find it proved, and the
//! audit has to find exactly the moves that lack something by that account. Nothing here touches a disk or a network.
//!
//! - [`world`]: a repository, its registry, the people, and the clock
//! - [`engine`]: what tagalong makes of them
//! - [`account`]: what should come of it, from the states of all commits

mod account;
mod engine;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use self::world::{Kind, Shape, World};
use crate::support;

/// A step: what happens, and three numbers that say where.
type Step = (u8, u8, u8, u8);

/// Runs the agent on the tip, and pushes what it plans unless that comes too late or it is killed first.
fn cycle(world: &mut World, fate: u8) -> Result<(), TestCaseError> {
    let mut planned = engine::plan(world);
    // Another agent may be faster, so that it has to plan again; or it is killed.
    let attempts = [0, 2, 1, 1][usize::from(fate % 4)];
    for _ in 0..attempts {
        for commit in &planned {
            account::check(world, commit).map_err(TestCaseError::fail)?;
        }
        for commit in &planned {
            world.push_planned(commit);
        }
        planned = engine::plan(world);
    }
    Ok(())
}

fn play(shape: Shape, steps: &[Step]) -> Result<World, TestCaseError> {
    let mut world = World::new(shape);
    let mut seen = None;
    for (index, (what, a, b, c)) in steps.iter().enumerate() {
        match what {
            0..=11 => cycle(&mut world, *a)?,
            what => world.happen(*what - 12, *a, *b, *c),
        }
        if index == steps.len() / 2 {
            seen = Some((world.commits.len(), engine::audit(&world)));
        }
    }
    let found = engine::audit(&world);
    prop_assert_eq!(&found, &account::unproved(&world), "the audit");
    if let Some((tip, before)) = seen.filter(|_| world.is_honest) {
        // Only acknowledgments, which come later, change a verdict.
        let is_old = |(commit, _): &&(usize, String)| *commit < tip && !world.commits[*commit].kind.is_glass();
        let before: Vec<_> = before.iter().filter(is_old).collect();
        prop_assert_eq!(found.iter().filter(is_old).collect::<Vec<_>>(), before, "a verdict changed");
        let ours = |(commit, _): &&(usize, String)| matches!(world.commits[*commit].kind, Kind::Promotion { .. });
        prop_assert_eq!(found.iter().find(ours), None, "a promotion is not proved");
    }
    Ok(world)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0u8..30, any::<u8>(), any::<u8>(), any::<u8>()), 4..22)
}

#[test]
fn nothing_enters_a_stage_without_proof() {
    let cases = if support::is_large() { 24_000 } else { 2_000 };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    // What is found by chance belongs in the large run: here a failure has to come from the change that is tested.
    let mut runner = if support::is_large() {
        TestRunner::new(config)
    } else {
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
    };
    let happened: RefCell<BTreeMap<&str, usize>> = RefCell::default();
    let result = runner.run(&(Shape::any(), steps()), |(shape, steps)| {
        let world = play(shape, &steps)?;
        for commit in &world.commits {
            *happened.borrow_mut().entry(commit.kind.name()).or_default() += 1;
        }
        Ok(())
    });
    let happened = happened.into_inner();
    if let Err(failure) = result {
        panic!("{failure}\n{happened:?}");
    }
    // Histories in which nothing happens would prove nothing.
    for kind in ["promotion", "hand", "rollback", "glass", "order"] {
        assert!(happened.get(kind).is_some_and(|count| *count > cases as usize / 20), "{kind}: {happened:?}");
    }
}
