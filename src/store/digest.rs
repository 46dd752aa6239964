//! By what damage to a file is known.

/// FNV-1a, 64 bits (Fowler, Noll, Vo): against accidents, not against forgers.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
