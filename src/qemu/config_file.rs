//! QEMU's configuration files (`-readconfig FILE`): its options by another way. A section `[device "x"]` with a line
//! `driver = "y"` is what `-device driver=y,id=x` is (`qemu_config_foreach`, util/qemu-config.c, 7.2 to 11.1).
//!
//! Pure. What is not understood here makes the whole file one that is not, whatever QEMU makes of it.

use std::path::Path;

/// Gives the content of the file that `-readconfig` names; `None` where it cannot be had.
pub type ReadConfig<'a> = &'a dyn Fn(&Path) -> Option<Vec<u8>>;

/// QEMU reads a line into this much, the NUL at its end included; of a longer one it makes two.
const LINE_BYTES_MAX: usize = 1024;

/// The longest name of a group, id or key. QEMU cuts off the rest.
const NAME_BYTES_MAX: usize = 63;

/// One section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// The option's name.
    pub(super) group: Vec<u8>,
    /// Its value as it would stand on a command line.
    pub(super) value: Vec<u8>,
}

/// The sections of a file; `None` if it is not understood.
pub(super) fn sections(text: &[u8]) -> Option<Vec<Section>> {
    let mut sections: Vec<Section> = Vec::new();
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        // What C takes for the end of the line.
        if line.contains(&0) || line.len() >= LINE_BYTES_MAX {
            return None;
        }
        match line.first() {
            Some(b'\n' | b'#') | None => {}
            Some(b'[') => sections.push(heading(line.get(1..)?)?),
            Some(_) => {
                let (key, value) = pair(line)?;
                let section = sections.last_mut()?;
                add(&mut section.value, key, value);
            }
        }
    }
    Some(sections)
}

/// `[%63s "%63[^"]"]`, else `[%63[^]]]`, without the first bracket. QEMU does not look at what comes behind.
fn heading(line: &[u8]) -> Option<Section> {
    let (group, rest) = word(trimmed(line));
    if let Some(rest) = trimmed(rest).strip_prefix(b"\"") {
        let (id, _) = until(rest, b'"')?;
        let mut value = Vec::new();
        add(&mut value, b"id", name(id)?);
        return Some(Section {
            group: name(group)?.to_vec(),
            value,
        });
    }
    let (group, _) = until(line, b']')?;
    Some(Section {
        group: name(group)?.to_vec(),
        value: Vec::new(),
    })
}

/// ` %63s = "%1023[^"]"`. Nor here at what comes behind.
fn pair(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, rest) = word(trimmed(line));
    let rest = trimmed(trimmed(rest).strip_prefix(b"=")?);
    let (value, _) = until(rest.strip_prefix(b"\"")?, b'"')?;
    Some((name(key)?, value))
}

fn name(name: &[u8]) -> Option<&[u8]> {
    (1..=NAME_BYTES_MAX).contains(&name.len()).then_some(name)
}

/// Adds `key=value`, commas doubled.
fn add(whole: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    if !whole.is_empty() {
        whole.push(b',');
    }
    for &byte in key.iter().chain(b"=").chain(value) {
        whole.push(byte);
        if byte == b',' {
            whole.push(byte);
        }
    }
}

/// What stands before the first `end`, and behind it.
fn until(text: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == end)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The bytes up to the next white space, and the rest.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&byte| is_space(byte));
    text.split_at(end.unwrap_or(text.len()))
}

fn trimmed(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !is_space(byte));
    text.split_at(start.unwrap_or(text.len())).1
}

/// isspace(3), of which Rust leaves out the vertical tab.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b'\x0b'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<(String, String)>> {
        let text_of = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let sections = sections(text.as_bytes())?.into_iter();
        Some(
            sections
                .map(|s| (text_of(s.group), text_of(s.value)))
                .collect(),
        )
    }

    #[test]
    fn a_section_is_what_an_option_of_its_name_is() {
        let table: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("# qemu config file\n\n", &[]),
            ("[device]\n", &[("device", "")]),
            ("[ device \"x\"]\n", &[("device", "id=x")]),
            (
                "[device \"x\"]\n  driver = \"y\"\n\tbus =\"z\"\n",
                &[("device", "id=x,driver=y,bus=z")],
            ),
            (
                "[device \"x\"]# c\ndriver = \"y\" # c\n[action]\nshutdown = \"pause\"",
                &[("device", "id=x,driver=y"), ("action", "shutdown=pause")],
            ),
            ("[name]\nguest = \"a,b\"\n", &[("name", "guest=a,,b")]),
            ("[name]\nguest = \"\"\n", &[("name", "guest=")]),
        ];
        for (text, wanted) in table {
            let wanted: Vec<(String, String)> = wanted
                .iter()
                .map(|(group, value)| ((*group).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(read(text), Some(wanted), "{text:?}");
        }
    }

    #[test]
    fn a_file_with_anything_strange_in_it_is_not_understood() {
        let long = "x".repeat(1100);
        for text in [
            "driver = \"x\"\n",
            "[device\n",
            "[]\n",
            "[device \"\"]\n",
            "[device]\ndriver\n",
            "[device]\ndriver = x\n",
            // The key is `driver=`.
            "[device]\ndriver= \"x\"\n",
            "[device]\ndriver = \"x\n",
            "[device]\n = \"x\"\n",
            "[device]\n \n",
            "[device]\r\n\r\n",
            " # comment\n",
            "[device]\ndriver = \"x\0\"\n",
            &format!("[device]\ndriver = \"{long}\"\n"),
            &format!("#{long}\n"),
            &format!("[{long}]\n"),
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
