//! Pages of the documentation that are made from the code.

use std::path::Path;

/// Compare a file of the documentation with what it is made of, or write it.
pub(crate) fn is_up_to_date(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(&path, made).unwrap();
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stands == made, "docs/{name} is not what it is made of; `BLESS=1` with this test writes it again");
}
