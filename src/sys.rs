//! The few calls that nix and rustix lack. The only room with unsafe code; each block says why it is sound.

#![allow(unsafe_code, reason = "this is the room for it")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;

/// Takes over a descriptor that this process was started with, by the number that its starter told.
pub(crate) fn inherited_descriptor(number: RawFd) -> io::Result<OwnedFd> {
    if number < 3 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: F_GETFD only looks whether the number is an open descriptor.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and nothing in this process owns it: the callers run before anything else opens files,
    // on numbers that the starter passed for this purpose.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Closes every descriptor above 2 except `keep`: what the caller of domstate had open is none of ours.
pub(crate) fn close_descriptors_except(keep: &[RawFd]) -> io::Result<()> {
    // SAFETY: only numbers are closed that nothing in this process owns; see the callers.
    each_range_between(keep, |first, last| unsafe {
        libc::close_range(first, last, 0)
    })
}

/// Marks every descriptor above 2 except `keep` close-on-exec.
pub(crate) fn close_on_exec_except(keep: &[RawFd]) -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC.cast_signed();
    // SAFETY: a flag is set; no descriptor changes its meaning in this process.
    each_range_between(keep, |first, last| unsafe {
        libc::close_range(first, last, flags)
    })
}

fn each_range_between(
    keep: &[RawFd],
    call: impl Fn(libc::c_uint, libc::c_uint) -> libc::c_int,
) -> io::Result<()> {
    let mut keep: Vec<libc::c_uint> = keep
        .iter()
        .filter_map(|n| libc::c_uint::try_from(*n).ok())
        .collect();
    keep.sort_unstable();
    let mut first = 3;
    for number in keep
        .into_iter()
        .filter(|n| *n >= 3)
        .chain([libc::c_uint::MAX])
    {
        if number > first && call(first, number - 1) < 0 {
            return Err(io::Error::last_os_error());
        }
        first = number.saturating_add(1);
    }
    Ok(())
}

/// Gives every signal its default action again, as a program expects it that starts with nothing ignored.
pub(crate) fn default_signal_actions() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL installs no handler; numbers that may not be changed are refused, which is fine.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Has a write beyond RLIMIT_FSIZE fail (EFBIG) instead of ending this process.
pub(crate) fn survive_file_size_limit() {
    // SAFETY: SIG_IGN installs no handler.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Makes the process that `command` will spawn begin with no signal blocked. What is blocked is inherited, and a QEMU
/// that has SIGTERM blocked ignores it for ever. (Rust's std no longer sees to it: measured with 1.95.)
pub(crate) fn spawn_with_no_signal_blocked(command: &mut Command) {
    let unblock = || {
        // SAFETY: both calls are async-signal-safe, and the set is initialised before it is used.
        unsafe {
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure allocates nothing and takes no lock.
    unsafe { command.pre_exec(unblock) };
}

/// Has the kernel send this process SIGIO whenever a file in `folder` is written, made or renamed (F_NOTIFY), as long as
/// the folder is open. SIGIO must be blocked before.
pub(crate) fn signal_changes(folder: BorrowedFd<'_>) -> io::Result<()> {
    // The kernel's include/uapi/linux/fcntl.h; the libc crate has none of them.
    const F_NOTIFY: libc::c_int = 1026;
    const DN_MODIFY: u32 = 0x2;
    const DN_CREATE: u32 = 0x4;
    const DN_RENAME: u32 = 0x10;
    const DN_MULTISHOT: u32 = 0x8000_0000;
    let changes = libc::c_ulong::from(DN_MODIFY | DN_CREATE | DN_RENAME | DN_MULTISHOT);
    // SAFETY: it asks for a signal about an open folder; no memory is handed over.
    match unsafe { libc::fcntl(folder.as_raw_fd(), F_NOTIFY, changes) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The wait status of the process behind a pidfd after somebody reaped it (PIDFD_GET_INFO, exit status since Linux
/// 6.15). `None` on kernels without it, or while it is not known.
pub(crate) fn pidfd_wait_status(pidfd: BorrowedFd<'_>) -> Option<i32> {
    // SAFETY: all zeros is a valid value of this struct of integers.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = libc::PIDFD_INFO_EXIT.into();
    // SAFETY: the kernel writes at most the size that the request number carries: that of `info`.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) };
    let known = result == 0 && info.mask & u64::from(libc::PIDFD_INFO_EXIT) != 0;
    known.then_some(info.exit_code)
}

/// Gives the pages of a mapping of our own program file back: they are read anew when they are needed. `start` and
/// `end` are as /proc/self/maps has them.
pub(crate) fn drop_file_pages(start: usize, end: usize) {
    // SAFETY: the caller took the range from a private mapping of the program file that nothing ever wrote to, not
    // even the loader: its pages come back as they were.
    unsafe {
        libc::madvise(
            start as *mut libc::c_void,
            end.saturating_sub(start),
            libc::MADV_DONTNEED,
        );
    }
}

/// Gives the memory that was freed, and the part of the stack below this call that was once used, back to the
/// kernel. `stack_start` is the stack's lowest address as /proc/self/maps has it. Not inlined: its own frame is small.
#[inline(never)]
pub(crate) fn drop_unused_memory(stack_start: usize) {
    // SAFETY: it only looks at the allocator's own free lists; it is in every glibc.
    unsafe { libc::malloc_trim(0) };
    let here = 0_u8;
    let page = 4096;
    // The distance is far more than this frame and the call below use; with a whole page one more would be kept.
    let end = (&raw const here as usize).saturating_sub(512) & !(page - 1);
    if end > stack_start {
        // SAFETY: nothing lives below the current frame: one thread, and no signal handler is installed.
        unsafe {
            libc::madvise(
                stack_start as *mut libc::c_void,
                end - stack_start,
                libc::MADV_DONTNEED,
            );
        }
    }
}
