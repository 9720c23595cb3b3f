//! Certificates of authorities that nobody else knows, made by `openssl`.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Two authorities, `ca.pem` and `other.pem`, and `server.crt` with `server.key` for 127.0.0.1, by the first one.
pub fn make(folder: &Path) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
        let output = output.unwrap_or_else(|error| panic!("openssl, which makes certificates: {error}"));
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    for name in ["ca", "other"] {
        openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tests-{name} -keyout {name}.key -out {name}.pem"
        ));
    }
    openssl("req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout server.key -out server.csr");
    fs::write(folder.join("server.ext"), "subjectAltName=IP:127.0.0.1\n").unwrap_or_else(|error| panic!("{error}"));
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.crt",
    );
}
