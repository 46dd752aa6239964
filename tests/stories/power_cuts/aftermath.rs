//! The disks that a power cut at one moment may leave. What becomes of one file does not depend on the others: each of its
//! contents is made once.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::change::Change;
use super::content::Content;
use super::crash::{Fate, Fates};
use super::disk::{Disk, Inode};
use super::operations::Operations;
use super::trace::Moment;

pub(super) struct Aftermath<'a> {
    operations: &'a Operations,
    at: Moment,
    /// By what became of the operations on the file.
    contents: HashMap<Vec<(usize, Fate)>, Rc<Content>>,
}

impl<'a> Aftermath<'a> {
    pub(super) fn new(operations: &'a Operations, at: Moment) -> Self {
        Self {
            operations,
            at,
            contents: HashMap::new(),
        }
    }

    /// The disk, once it was decided what became of what was pending.
    pub(super) fn disk(&mut self, fates: &Fates) -> Disk {
        let mut disk = self.operations.disk_before(usize::MAX, self.at);
        let mut files: BTreeMap<Inode, Vec<(usize, Fate)>> = BTreeMap::new();
        let mut names = Vec::new();
        for (number, fate) in fates {
            match self.operations.all[*number].change.content() {
                Some(inode) => files.entry(inode).or_default().push((*number, *fate)),
                None => names.push((*number, *fate)),
            }
        }
        if let Some((first, _)) = names.iter().find(|(_, fate)| *fate != Fate::Kept) {
            disk.take_folders(&self.operations.disk_before(*first, self.at));
            self.redo(&mut disk, *first, fates, |change| {
                change.content().is_none()
            });
        }
        for (inode, of_file) in files {
            if let Some((first, _)) = of_file.iter().find(|(_, fate)| *fate != Fate::Kept) {
                let content = match self.contents.get(&of_file) {
                    Some(content) => content.clone(),
                    None => {
                        let mut old = self.operations.disk_before(*first, self.at);
                        self.redo(&mut old, *first, fates, |change| {
                            change.content() == Some(inode)
                        });
                        let content = old.content(inode).clone();
                        self.contents.insert(of_file, content.clone());
                        content
                    }
                };
                disk.put_content(inode, content);
            }
        }
        disk
    }

    /// Does again what has such a change, from one operation on, as far as it was not lost.
    fn redo(&self, disk: &mut Disk, first: usize, fates: &Fates, wanted: impl Fn(&Change) -> bool) {
        let done = self.operations.all.iter().enumerate().skip(first);
        let done = done.take_while(|(_, operation)| operation.begin <= self.at);
        for (number, operation) in done.filter(|(_, operation)| wanted(&operation.change)) {
            match fates.get(&number).unwrap_or(&Fate::Kept) {
                Fate::Kept => disk.apply(&operation.change),
                Fate::Lost => {}
                Fate::Torn(length) => disk.apply(&cut(&operation.change, *length)),
                Fate::Zeroed(length) => disk.apply(&zeroed(&operation.change, *length)),
            }
        }
    }
}

fn cut(change: &Change, length: usize) -> Change {
    let mut change = change.clone();
    if let Change::Write { bytes, .. } = &mut change {
        *bytes = bytes[..length.min(bytes.len())].to_vec().into();
    }
    change
}

fn zeroed(change: &Change, length: usize) -> Change {
    let mut change = change.clone();
    if let Change::Write { bytes, .. } = &mut change {
        let mut there = bytes.to_vec();
        let length = length.min(there.len());
        there[length..].fill(0);
        *bytes = there.into();
    }
    change
}

#[test]
fn a_write_is_torn_at_each_of_its_bytes_and_every_set_of_names_is_lost() {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::crash::{Depth, fates};
    use super::trace::calls;

    let written = b"uvwxyz";
    let text = b"7 openat(5</t>, \"a\", O_WRONLY|O_CREAT, 0600) = 3</t/a>\n\
                 7 openat(5</t>, \"b\", O_WRONLY|O_CREAT, 0600) = 4</t/b>\n\
                 7 write(3</t/a>, \"uvwxyz\", 6) = 6\n\
                 7 fsync(3</t/a>) = 0\n";
    let start = Disk::empty();
    let operations = Operations::of(&calls(text), start, Path::new("/t"), &["a", "b"]);
    let mut found = BTreeSet::new();
    let mut before = 0;
    for at in operations.moments() {
        let mut aftermath = Aftermath::new(&operations, at);
        for fates in fates(&operations, at, before, Depth::Every) {
            let disk = aftermath.disk(&fates);
            let content = |name| Some(disk.content(disk.find(Path::new(name))?).bytes().to_vec());
            found.insert((at, content("a"), content("b").is_some()));
        }
        before = at;
    }
    let mut wanted = BTreeSet::new();
    let mut add = |at, content: Option<&[u8]>, has_b| {
        wanted.insert((at, content.map(<[u8]>::to_vec), has_b));
    };
    add(0, None, false);
    add(0, Some(b""), false);
    for has_b in [true, false] {
        for at in [1, 2, 3] {
            add(at, None, has_b);
        }
        add(1, Some(b""), has_b);
        for content in [&b""[..], &[0; 6], written] {
            add(2, Some(content), has_b);
        }
        add(3, Some(written), has_b);
    }
    for length in 0..written.len() {
        let mut zeroed = written.to_vec();
        zeroed[length..].fill(0);
        add(2, Some(&written[..length]), true);
        add(2, Some(&zeroed), true);
    }
    assert_eq!(found, wanted);
}
