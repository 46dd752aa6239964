//! Renews the man page and the completions from the command line: `make generate`. A test compares.

mod completions;
mod page;
mod pieces;

use std::fs;
use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, text) in pieces::all() {
        fs::write(root.join(path), text)?;
    }
    Ok(())
}
