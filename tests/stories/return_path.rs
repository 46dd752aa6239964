//! What the destination of a migration says on the way back, in QEMU's frames (`migration/migration.c`).

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

/// `MIG_RP_MSG_SHUT` (`migration/migration.h`): the guest runs there.
const LAST: [u8; 2] = [0, 1];

/// Passes on to the source what its destination says, up to the last word, which it keeps for itself.
pub(crate) fn pass_on_all_but_the_last(
    destination: &mut UnixStream,
    source: &mut UnixStream,
) -> io::Result<()> {
    loop {
        let word = next_word(destination)?;
        if word.starts_with(&LAST) {
            return Ok(());
        }
        source.write_all(&word)?;
    }
}

/// A kind and a length, each of two bytes, and what is of that length.
fn next_word(destination: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut word = vec![0; 4];
    destination.read_exact(&mut word)?;
    let length = u16::from_be_bytes([word[2], word[3]]);
    word.resize(4 + usize::from(length), 0);
    destination.read_exact(&mut word[4..])?;
    Ok(word)
}
