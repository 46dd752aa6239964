//! Renews the man pages and the completions from the command line, and RELIABILITY.md from what runs have left: `make
//! generate`. A test compares.

mod completions;
mod page;
mod pieces;
mod reliability;

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
