//! Tells the program by which rules it folds a journal: a digest of the source of all that makes an answer out of one. What
//! was folded by others, of an older domstate or of one that is being worked on, is folded again.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "src/store/digest.rs"]
mod digest;

/// The rooms that read a journal and make an answer of it.
const ROOMS: [&str; 2] = ["src/domain", "src/journal"];

fn main() -> std::io::Result<()> {
    let mut files = Vec::new();
    for room in ROOMS {
        println!("cargo::rerun-if-changed={room}");
        collect(Path::new(room), &mut files)?;
    }
    files.sort();
    let mut text = Vec::new();
    for file in files {
        text.extend(file.as_os_str().as_encoded_bytes());
        text.extend(fs::read(file)?);
    }
    println!(
        "cargo::rustc-env=DOMSTATE_RULES={:016x}",
        digest::digest(&text)
    );
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => collect(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}
