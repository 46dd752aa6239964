//! A domain's definition: domain.json.

use domstate::store::Definition;

use super::memory::Memory;

thread_local! {
    static FILE: Memory = Memory::new();
}

/// Reads `bytes` as a definition.
pub fn definition(bytes: &[u8]) {
    FILE.with(|memory| {
        memory.hold(bytes);
        let path = memory.path();
        match Definition::load(&path) {
            Err(error) => assert!(!format!("{error:#}").is_empty()),
            Ok(definition) => {
                assert!(!definition.argv.is_empty());
                memory.hold(format!("{:#}\n", definition.to_json()).as_bytes());
                let back = Definition::load(&path).unwrap();
                assert_eq!(back, definition);
            }
        }
    });
}
