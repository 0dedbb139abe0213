//! A wall clock that jumps, for the program under test.

use std::path::Path;
use std::process::Command;

/// Builds the library that changes the clock; false if that is not possible.
pub fn build(library: &Path) -> bool {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/clock.c");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(library).arg(source).arg("-ldl");
    let is_built = compile.status().is_ok_and(|status| status.success());
    if !is_built {
        super::skipped("the clock never jumps: there is no C compiler");
    }
    is_built
}

/// Makes a program's clock run ahead by as many seconds as `file` says at any moment.
pub fn preload(command: &mut Command, library: &Path, file: &Path) {
    command.env("LD_PRELOAD", library).env("WALL_CLOCK", file);
}
