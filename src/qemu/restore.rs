//! The user's command line for a run that goes on from a saved state instead of booting.
//!
//! Pure. The words of a wrapper are left alone, as everywhere.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStringExt;

use super::options::{self, Word};

/// The user's command line without what says how the guest begins: QEMU's own `-incoming`, `-loadvm` and `-S`. All
/// else stays as it is, byte for byte. For a command line that [`super::examine`] let pass.
pub fn for_restore(argv: &[OsString]) -> Vec<OsString> {
    let mut kept = options::up_to_program(argv).to_vec();
    for word in options::words(argv) {
        match word {
            Word::Plain(word) if options::name(word) == Some(b"S") => {}
            Word::Valued { option, .. }
                if matches!(options::name(option), Some(b"incoming" | b"loadvm")) => {}
            Word::Plain(word) | Word::Unfinished(word) => kept.push(owned(word)),
            Word::Valued { option, value } => kept.extend([owned(option), owned(value)]),
        }
    }
    kept
}

/// What is added to it: QEMU loads the guest from this descriptor, which it inherits at its place in the stream.
pub fn incoming_words(descriptor: RawFd) -> [OsString; 2] {
    ["-incoming".into(), format!("fd:{descriptor}").into()]
}

fn owned(word: &[u8]) -> OsString {
    OsString::from_vec(word.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str) -> Vec<OsString> {
        line.split(' ').map(Into::into).collect()
    }

    #[test]
    fn what_says_how_the_guest_begins_is_left_out_and_nothing_else() {
        for (line, wanted) in [
            ("qemu-kvm", "qemu-kvm"),
            ("qemu-kvm -m 1 -S -loadvm t -smp 2", "qemu-kvm -m 1 -smp 2"),
            (
                "qemu-kvm --S -S --incoming defer -incoming tcp:[::]:1",
                "qemu-kvm",
            ),
            ("qemu-kvm --loadvm -S -s", "qemu-kvm -s"),
            // Values, however they look.
            (
                "qemu-kvm -name -S -append -incoming --k -loadvm x",
                "qemu-kvm -name -S -append -incoming --k -loadvm x",
            ),
            (
                "sudo -n -S qemu-system-x86_64 -S -m 1",
                "sudo -n -S qemu-system-x86_64 -m 1",
            ),
            (
                "env -S x -incoming y -loadvm z /usr/bin/qemu-system-arm --S -loadvm t",
                "env -S x -incoming y -loadvm z /usr/bin/qemu-system-arm",
            ),
            // No program of QEMU's is named: what follows the first word is taken for QEMU's.
            ("./vm.sh -S big -loadvm t", "./vm.sh big"),
            ("qemu-kvm disk.img -incoming", "qemu-kvm disk.img -incoming"),
        ] {
            assert_eq!(for_restore(&argv(line)), argv(wanted), "{line}");
        }
    }

    #[test]
    fn the_words_that_stay_are_not_touched() {
        let odd = OsString::from_vec(b"file=\xff,,x".to_vec());
        let words = ["qemu-kvm".into(), "-drive".into(), odd, "".into()];
        assert_eq!(for_restore(&words), words);
        assert!(for_restore(&[]).is_empty());
    }

    #[test]
    fn the_state_comes_from_a_descriptor() {
        assert_eq!(incoming_words(7), ["-incoming", "fd:7"]);
    }
}
