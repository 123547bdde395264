//! The bytes of a result, with a checksum: a number that somebody has changed is not reported as the bench's.

use super::CellResult;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Beside the fields of a result.
const CHECKSUM: &str = "sha256";

impl CellResult {
    /// What `result.json` holds.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let bytes = serde_json::to_vec(self)?;
        let checksum = checksum(&serde_json::from_slice(&bytes)?);
        Ok([format!("{{\"{CHECKSUM}\":\"{checksum}\",").as_bytes(), &bytes[1..]].concat())
    }

    /// Reads that; results of older versions, and of other programs, have no checksum.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let wrong = |error: serde_json::Error| format!("not the result of a cell ({error})");
        let result = serde_json::from_slice(bytes).map_err(wrong)?;
        let mut value: Value = serde_json::from_slice(bytes).map_err(wrong)?;
        match value.as_object_mut().and_then(|fields| fields.remove(CHECKSUM)) {
            Some(written) if written != checksum(&value) => Err("changed since the bench wrote it: its checksum is another".into()),
            _ => Ok(result),
        }
    }
}

/// Of what it says, however it is written.
fn checksum(value: &Value) -> String {
    let mut hash = Sha256::new();
    update(&mut hash, value);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// By the names of fields: their order is that of the program that wrote them last.
fn update(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            hash.update(format!("{{{}", fields.len()));
            for (name, value) in fields {
                hash.update(format!("{name:?}:"));
                update(hash, value);
            }
        }
        Value::Array(values) => {
            hash.update(format!("[{}", values.len()));
            values.iter().for_each(|value| update(hash, value));
        }
        one => hash.update(format!("{one},")),
    }
}
