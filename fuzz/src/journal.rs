//! A journal: bytes -> records -> fold -> answer.

use std::fs::File;

use domstate::domain::{Fold, Record, Timestamp};
use domstate::journal::{
    Position, encode, fold_from_json, fold_to_json, parse_line, read_evidence, read_records,
};

use super::answers::{answers, is_success, may_tell_success};
use super::memory::Memory;

/// What `explain` would show at most here.
const EVIDENCE_LINES: usize = 50;

/// Evidence is the same lines parsed once more: not each time.
const EVIDENCE_EVERY: usize = 4;

thread_local! {
    static JOURNAL: Memory = Memory::new();
}

/// Reads `bytes` as a journal.
pub fn journal(bytes: &[u8]) {
    JOURNAL.with(|memory| {
        let file = memory.hold(bytes);
        let (records, end) = read(file, 0);
        assert!(end.offset <= bytes.len() as u64);
        let whole = fold(Fold::default(), &records);
        assert_comes_back(&whole);
        for answer in answers(&whole) {
            assert!(!is_success(&answer) || records.iter().any(may_tell_success));
        }
        records.iter().for_each(assert_encodes);
        let hash = hash_of(bytes);
        if hash.is_multiple_of(EVIDENCE_EVERY) {
            let (_, evidence) = read_evidence(file, EVIDENCE_LINES).unwrap();
            assert!(evidence.len() <= EVIDENCE_LINES);
        }

        // The same in two parts, as by a supervisor that slept in between: its writer was in the middle of a line.
        let cut = hash % (bytes.len() + 1);
        let (first, half) = read(memory.hold(&bytes[..cut]), 0);
        let kept = assert_comes_back(&fold(Fold::default(), &first));
        let (rest, _) = read(memory.hold(bytes), half.offset);
        assert_eq!(fold(kept, &rest), whole, "cut at {cut}");
    });
}

fn read(file: &File, offset: u64) -> (Vec<Record>, Position) {
    let mut records = Vec::new();
    let end = read_records(file, offset, &mut |record| records.push(record)).unwrap();
    (records, end)
}

fn fold(mut fold: Fold, records: &[Record]) -> Fold {
    records.iter().for_each(|record| fold.apply(record));
    fold
}

/// As text, and back.
fn assert_comes_back(fold: &Fold) -> Fold {
    let text = fold_to_json(fold).to_string();
    let back = fold_from_json(&serde_json::from_str(&text).unwrap());
    assert_eq!(back.as_ref(), Some(fold), "{text}");
    back.unwrap()
}

fn assert_encodes(record: &Record) {
    let Some(line) = encode(record.at.unwrap_or(Timestamp(0)), &record.event) else {
        return;
    };
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 2);
    let back = parse_line(line.trim_ascii()).map(|back| back.event);
    assert_eq!(back.as_ref(), Some(&record.event));
}

/// By which what is tried of these bytes is chosen: always the same.
fn hash_of(bytes: &[u8]) -> usize {
    bytes.iter().fold(7_usize, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(usize::from(*byte))
    })
}
