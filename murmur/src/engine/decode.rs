use serde::de::DeserializeOwned;

use crate::event::Event;

/// From a payload to an event. Deterministic; the error is the reason that the dead letter carries.
pub type Decode<E> = fn(&[u8]) -> Result<E, String>;

/// One JSON object per payload. Fields that the event does not have are skipped without being built.
pub fn json<E: Event + DeserializeOwned>(payload: &[u8]) -> Result<E, String> {
    // Checking the payload as a whole is cheaper than checking every string in it.
    let text = std::str::from_utf8(payload).map_err(|error| format!("not UTF-8: {error}"))?;
    serde_json::from_str(text).map_err(|error| format!("not a `{}` in JSON: {error}", E::NAME))
}
