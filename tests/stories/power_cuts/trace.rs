//! What strace saw: system calls with their whole arguments, each from the line on which it began to the one on which it
//! was over. A line's number is a moment of the story.

use std::collections::HashMap;
use std::path::PathBuf;

/// A moment: a line of the trace.
pub(super) type Moment = usize;

/// The calls that change files, that put changes on the disk, and those that tell where a write goes.
const CALLS: &str = "trace=open,openat,creat,write,writev,pwrite64,pwritev,pwritev2,lseek,truncate,ftruncate,fallocate,\
                     rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,symlink,symlinkat,link,linkat,fsync,\
                     fdatasync,sync,syncfs,sync_file_range,sendfile,splice,copy_file_range";

/// Above the largest write of anybody.
const BYTES_MAX: &str = "8388608";

/// strace's options: every process, descriptors with their paths, all bytes.
pub(super) fn options() -> [&'static str; 8] {
    [
        "-f",
        "-y",
        "-qq",
        "--seccomp-bpf",
        "-s",
        BYTES_MAX,
        "-e",
        CALLS,
    ]
}

/// A system call that was successful.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) name: String,
    arguments: Vec<String>,
    result: String,
    pub(super) begin: Moment,
    pub(super) end: Moment,
}

/// Reads strace's output. Calls that failed, or were never over, are left out; in the order in which they began.
pub(super) fn calls(text: &[u8]) -> Vec<Call> {
    let mut begun: HashMap<String, (Moment, String)> = HashMap::new();
    let mut calls = Vec::new();
    // strace writes everything beyond ASCII as an escape.
    let text = std::str::from_utf8(text).unwrap();
    for (moment, line) in text.lines().enumerate() {
        let (pid, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        if let Some(begin) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(pid.to_owned(), (moment, begin.to_owned()));
        } else if let Some((_, rest)) = call
            .strip_prefix("<... ")
            .and_then(|call| call.split_once(" resumed>"))
        {
            if let Some((begin, front)) = begun.remove(pid) {
                calls.extend(parse(&format!("{front}{rest}"), begin, moment));
            }
        } else if !call.starts_with(['-', '+']) {
            calls.extend(parse(call, moment, moment));
        }
    }
    calls.sort_by_key(|call| call.begin);
    calls
}

fn parse(text: &str, begin: Moment, end: Moment) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, rest) = split(rest);
    let result = rest.trim_start().strip_prefix("= ")?.to_owned();
    if result.starts_with(['-', '?']) {
        return None;
    }
    Some(Call {
        name: name.to_owned(),
        arguments,
        result,
        begin,
        end,
    })
}

/// Splits at the commas up to the closing bracket; what is behind that comes along.
fn split(text: &str) -> (Vec<String>, &str) {
    let mut parts = vec![String::new()];
    let (mut depth, mut quoted, mut in_path, mut escaped) = (0, false, false, false);
    for (at, letter) in text.char_indices() {
        let is_outside = !quoted && !in_path;
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if !in_path => quoted = !quoted,
            '<' if is_outside => in_path = true,
            '>' if in_path => in_path = false,
            ')' if is_outside && depth == 0 => return (parts, &text[at + 1..]),
            ',' if is_outside && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            '(' | '[' | '{' if is_outside => depth += 1,
            ')' | ']' | '}' if is_outside => depth -= 1,
            _ => {}
        }
        parts.last_mut().unwrap().push(letter);
    }
    panic!("no end of a call in {text:.200}");
}

impl Call {
    pub(super) fn argument(&self, number: usize) -> &str {
        self.arguments.get(number).map_or("", |text| text.trim())
    }

    pub(super) fn number(&self, argument: usize) -> usize {
        let text = self.argument(argument);
        let parsed = match text.strip_prefix("0x") {
            Some(digits) => usize::from_str_radix(digits, 16),
            None => text.parse(),
        };
        parsed.unwrap_or_else(|_| panic!("no number: {text} of {self:?}"))
    }

    pub(super) fn returned(&self) -> usize {
        let digits: String = self
            .result
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().unwrap()
    }

    /// The path of a descriptor among the arguments; none of one that is no file, or gone.
    pub(super) fn descriptor(&self, argument: usize) -> Option<PathBuf> {
        path_of(self.argument(argument))
    }

    /// The path of the descriptor that was returned.
    pub(super) fn opened(&self) -> Option<PathBuf> {
        path_of(&self.result)
    }

    /// A path that is an argument, whole if it is relative to a descriptor before it.
    pub(super) fn path(&self, argument: usize) -> PathBuf {
        let path = String::from_utf8(unquoted(self.argument(argument))).unwrap();
        let folder = argument
            .checked_sub(1)
            .and_then(|before| self.descriptor(before));
        folder.map_or_else(|| PathBuf::from(&path), |folder| folder.join(&path))
    }

    /// The bytes that were written, in one piece.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let vector = self.argument(1);
        let mut bytes = match vector.starts_with('[') {
            false => unquoted(vector),
            true => vector
                .split("iov_base=")
                .skip(1)
                .flat_map(unquoted)
                .collect(),
        };
        bytes.truncate(self.returned());
        assert_eq!(bytes.len(), self.returned(), "{:.300}", self.argument(1));
        bytes
    }
}

fn path_of(text: &str) -> Option<PathBuf> {
    let (_, path) = text.split_once("</")?;
    let path = path.strip_suffix('>')?;
    // No file: strace 6.1 puts the word behind the bracket, others before it.
    (!path.contains("(deleted)")).then(|| PathBuf::from(format!("/{path}")))
}

/// The bytes of a string as strace writes it.
fn unquoted(text: &str) -> Vec<u8> {
    let text = text.as_bytes();
    assert_eq!(text.first(), Some(&b'"'), "no string");
    let mut bytes = Vec::new();
    let mut at = 1;
    while text[at] != b'"' {
        if text[at] != b'\\' {
            bytes.push(text[at]);
            at += 1;
            continue;
        }
        let octal = text[at + 1..].iter().take(3);
        let octal = octal
            .take_while(|byte| (b'0'..=b'7').contains(byte))
            .count();
        let (byte, length) = match text[at + 1] {
            _ if octal > 0 => {
                let digits = std::str::from_utf8(&text[at + 1..=at + octal]).unwrap();
                (
                    u8::try_from(u32::from_str_radix(digits, 8).unwrap()).unwrap(),
                    octal,
                )
            }
            b'n' => (b'\n', 1),
            b'r' => (b'\r', 1),
            b't' => (b'\t', 1),
            b'v' => (0x0b, 1),
            b'f' => (0x0c, 1),
            other => (other, 1),
        };
        bytes.push(byte);
        at += 1 + length;
    }
    let rest = &text[at + 1..];
    assert!(!rest.starts_with(b"..."), "strace has cut a string short");
    bytes
}

#[test]
fn what_strace_writes_is_read_byte_for_byte() {
    let text = b"7 write(3</t/a>, \"x\\0012\\33\\r\\n\\\"\\\\,) = \", 11 <unfinished ...>\n\
                 8 fsync(4</t>) = 0\n\
                 9 fsync(4</t>) = -1 EIO (Input/output error)\n\
                 7 <... write resumed>) = 11\n\
                 8 pwritev(5</t/b>, [{iov_base=\"ab\", iov_len=2}, {iov_base=\"c\", iov_len=1}], 2, 512) = 3\n\
                 8 unlinkat(4</t>, \"a\", 0) = 0\n\
                 8 --- SIGCHLD {si_signo=SIGCHLD} ---\n";
    let calls = calls(text);
    let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["write", "fsync", "pwritev", "unlinkat"]);
    assert_eq!(calls[0].bytes(), b"x\x012\x1b\r\n\"\\,) = "[..11].to_vec());
    assert_eq!((calls[0].begin, calls[0].end), (0, 3));
    assert_eq!(calls[0].descriptor(0), Some("/t/a".into()));
    assert_eq!(calls[2].bytes(), b"abc");
    assert_eq!(calls[2].number(3), 512);
    assert_eq!(calls[3].path(1), PathBuf::from("/t/a"));
}
