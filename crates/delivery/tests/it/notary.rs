//! The notary's key in a directory, and its signatures, verified with the openssl program.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use delivery::{KEY_FILE, Notary, SignatureVersion};

fn openssl(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).current_dir(directory).output().expect("openssl");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn openssl_verifies_certificate_and_signatures() {
    let directory = tempfile::tempdir().unwrap();
    let notary = Notary::open(None).unwrap();
    let certificate = notary.certificate().unwrap();
    let digits = certificate.file_name.strip_prefix("SimpleNotificationService-").unwrap();
    let digits = digits.strip_suffix(".pem").unwrap();
    assert!(digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digits}");

    let here = directory.path();
    std::fs::write(here.join("certificate.pem"), &certificate.pem).unwrap();
    let verified =
        openssl(here, &["verify", "-check_ss_sig", "-CAfile", "certificate.pem", "certificate.pem"]);
    assert_eq!(verified.trim(), "certificate.pem: OK");
    let text = openssl(here, &["x509", "-in", "certificate.pem", "-noout", "-text"]);
    for expected in [
        "Subject: CN = sns.amazonaws.com",
        "Issuer: CN = sns.amazonaws.com",
        "Public-Key: (2048 bit)",
        "Exponent: 65537",
        "DNS:sns.us-east-1.amazonaws.com",
        "DNS:sns.cn-north-1.amazonaws.com.cn",
        "Not After : Dec 31 23:59:59 9999 GMT",
        "CA:FALSE",
    ] {
        assert!(text.contains(expected), "{expected} is missing in {text}");
    }

    std::fs::write(
        here.join("key.pem"),
        openssl(here, &["x509", "-in", "certificate.pem", "-noout", "-pubkey"]),
    )
    .unwrap();
    std::fs::write(here.join("text"), "Message\nhello\nMessageId\n1\n").unwrap();
    for (version, hash) in [(SignatureVersion::V1, "-sha1"), (SignatureVersion::V2, "-sha256")] {
        let signature = notary.sign(version, "Message\nhello\nMessageId\n1\n").unwrap();
        let signature = base64::engine::general_purpose::STANDARD.decode(signature).unwrap();
        std::fs::write(here.join("signature"), signature).unwrap();
        let verified =
            openssl(here, &["dgst", hash, "-verify", "key.pem", "-signature", "signature", "text"]);
        assert_eq!(verified.trim(), "Verified OK");
    }
}

#[test]
fn the_key_stays_the_same_over_a_restart_and_is_its_owner_s_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(KEY_FILE);
    let first = Notary::open(Some(directory.path())).unwrap();
    assert!(!path.exists(), "no key before it is needed");
    first.prepare().unwrap();
    assert!(path.exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let second = Notary::open(Some(directory.path())).unwrap();
    assert_eq!(first.certificate().unwrap(), second.certificate().unwrap());
    for version in [SignatureVersion::V1, SignatureVersion::V2] {
        assert_eq!(first.sign(version, "text").unwrap(), second.sign(version, "text").unwrap());
    }
    let names: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [KEY_FILE]);
}

#[test]
fn a_damaged_key_is_an_error_that_names_the_file_and_leaves_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(KEY_FILE);
    Notary::open(Some(directory.path())).unwrap().prepare().unwrap();
    let whole = std::fs::read_to_string(&path).unwrap();
    for damaged in [String::new(), "key".into(), whole[..500].to_owned(), whole.replace("PRIVATE", "PUBLIC")]
    {
        std::fs::write(&path, &damaged).unwrap();
        let error = Notary::open(Some(directory.path())).err().unwrap().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
    }
}

#[test]
fn threads_that_sign_at_once_use_one_key() {
    let directory = tempfile::tempdir().unwrap();
    let notary = Notary::open(Some(directory.path())).unwrap();
    let signatures: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| notary.sign(SignatureVersion::V1, "text").unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(signatures.iter().all(|signature| *signature == signatures[0]));
}
