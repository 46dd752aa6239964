//! A run's checkpoint: state.json.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use domstate::domain::Life;
use domstate::store::{RunFolder, StoredCheckpoint, Sync};

use super::answers::answers;
use super::memory::Memory;

/// The run that the checkpoints of the corpus are of.
const RUN: u32 = 1;

/// A run's folder whose checkpoint is in memory until one is saved.
struct Run {
    folder: RunFolder,
    given: Memory,
    journal: Memory,
}

impl Run {
    fn new() -> Self {
        let id = format!("{:?}", std::thread::current().id());
        let name = format!("domstate-fuzz-{}-{id}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self {
            folder: RunFolder::at(path, RUN),
            given: Memory::new(),
            journal: Memory::new(),
        }
    }

    /// Puts a link to the bytes in memory where the checkpoint lies: nothing is written for what cannot be believed.
    fn give(&self, bytes: &[u8]) {
        self.given.hold(bytes);
        let place = self.folder.checkpoint();
        if !place.is_symlink() {
            let _ = std::fs::remove_file(&place);
            symlink(self.given.path(), &place).unwrap();
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let path: PathBuf = self.folder.path().to_owned();
        let _ = std::fs::remove_dir_all(path);
    }
}

thread_local! {
    static FOLDER: Run = Run::new();
}

/// Reads `bytes` as a checkpoint.
pub fn checkpoint(bytes: &[u8]) {
    FOLDER.with(|run| {
        run.give(bytes);
        let checkpoint = match StoredCheckpoint::load(&run.folder) {
            Ok(Some(checkpoint)) => checkpoint,
            Ok(None) => return,
            // Of a newer format.
            Err(error) => {
                assert!(format!("{error:#}").contains("newer"));
                return;
            }
        };
        // The journal that it sums up is another one, or ends earlier.
        checkpoint.compare(run.journal.hold(bytes)).unwrap();
        answers(&checkpoint.fold);
        let answer = checkpoint.fold.answer(&Life::Lives);
        checkpoint.save(&run.folder, &answer, Sync::Light).unwrap();
        let back = StoredCheckpoint::load(&run.folder).unwrap();
        assert_eq!(back.as_ref(), Some(&checkpoint));
    });
}
