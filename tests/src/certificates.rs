//! Certificates of authorities that nobody else knows, made by `openssl`.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Two authorities, `ca.pem` and `other.pem`, and `server.crt` with `server.key` for 127.0.0.1, by the first one.
pub fn make(folder: &Path) {
    for name in ["ca", "other"] {
        authority(folder, name);
    }
    by(folder, "ca", "server");
}

fn authority(folder: &Path, name: &str) {
    openssl(
        folder,
        &format!("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tests-{name} -keyout {name}.key -out {name}.pem"),
    );
}

/// `NAME.crt` and `NAME.key` for 127.0.0.1, by the authority `CA.pem`; the subject's common name is NAME.
pub fn by(folder: &Path, ca: &str, name: &str) {
    named(folder, ca, name, "IP:127.0.0.1");
}

/// The same with another alternative name, as `openssl` writes it: `URI:spiffe://shop.example/web`.
pub fn named(folder: &Path, ca: &str, name: &str, alternative: &str) {
    openssl(folder, &format!("req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"));
    let extensions = format!("{name}.ext");
    fs::write(folder.join(&extensions), format!("subjectAltName={alternative}\n"))
        .unwrap_or_else(|error| panic!("{error}"));
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -days 2 -extfile {extensions} \
             -out {name}.crt"
        ),
    );
}

/// The key `NAME.key` once more, in `NAME.locked`, which opens with this password.
pub fn lock(folder: &Path, name: &str, password: &str) {
    let arguments = format!("pkcs8 -topk8 -v2 aes-256-cbc -in {name}.key -out {name}.locked -passout");
    openssl_with(folder, &arguments, &[&format!("pass:{password}")]);
}

fn openssl(folder: &Path, arguments: &str) {
    openssl_with(folder, arguments, &[]);
}

/// With arguments that may have spaces behind those that have none.
fn openssl_with(folder: &Path, arguments: &str, more: &[&str]) {
    let output = Command::new("openssl").args(arguments.split(' ')).args(more).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("openssl, which makes certificates: {error}"));
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
