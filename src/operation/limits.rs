//! QEMU's limits for a migration, which hold for a file too.

use serde_json::{Value, json};

use crate::qemu::{Control, ControlError};

/// QEMU's default limit for a migration, in bytes per second: meant for a network, and obeyed into a file too.
const DEFAULT_BANDWIDTH: u64 = 128 << 20;

/// How long a guest may stand at the end of a migration, in milliseconds: QEMU's default, and the most that it takes.
const DEFAULT_DOWNTIME: u64 = 300;
const MAX_DOWNTIME: u64 = 2_000_000;

/// Lifts that limit. One that a user has set holds.
pub(super) fn lift_limit(control: &mut Control) -> Result<(), ControlError> {
    replace_limit(control, "max-bandwidth", DEFAULT_BANDWIDTH, 0)
}

/// Lets a migration come to its end now, however long the guest stands for it.
pub(super) fn lift_downtime(control: &mut Control) -> Result<(), ControlError> {
    let arguments = json!({"downtime-limit": MAX_DOWNTIME});
    control
        .execute("migrate-set-parameters", Some(arguments))
        .map(|_| ())
}

/// Undoes both.
pub(super) fn restore_limit(control: &mut Control) -> Result<(), ControlError> {
    replace_limit(control, "max-bandwidth", 0, DEFAULT_BANDWIDTH)?;
    replace_limit(control, "downtime-limit", MAX_DOWNTIME, DEFAULT_DOWNTIME)
}

fn replace_limit(
    control: &mut Control,
    name: &str,
    from: u64,
    to: u64,
) -> Result<(), ControlError> {
    let parameters = control.execute("query-migrate-parameters", None)?;
    if parameters.get(name).and_then(Value::as_u64) == Some(from) {
        control.execute("migrate-set-parameters", Some(json!({name: to})))?;
    }
    Ok(())
}
