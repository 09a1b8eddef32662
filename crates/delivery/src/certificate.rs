//! The self-signed certificate of the key that signs SNS's messages.

use std::str::FromStr;

use rsa::RsaPrivateKey;
use rsa::pkcs1v15::{Signature, SigningKey};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder, Result};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::Ia5String;
use x509_cert::der::{DateTime, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages, SubjectAltName};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{EncodePublicKey, SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use x509_cert::time::{Time, Validity};

/// AWS's regions (general reference, "Service endpoints"), for which the certificate has names.
const REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];
const REGIONS_CHINA: &[&str] = &["cn-north-1", "cn-northwest-1"];

/// Creates the certificate of a key. The same key gives the same certificate.
pub(crate) fn of(key: &RsaPrivateKey) -> Result<Certificate> {
    let public_key = key.to_public_key().to_public_key_der()?;
    let hash = Sha256::digest(public_key.as_bytes());
    // Positive, and not longer than 20 bytes (RFC 5280, 4.1.2.2).
    let mut serial = hash[..16].to_vec();
    serial[0] = serial[0] & 0x7f | 0x40;
    // The validity is the same for every key: the server's clock may be virtual, and the receiver's is
    // unknown.
    let not_before = Time::from(DateTime::new(2020, 1, 1, 0, 0, 0)?);
    let builder = CertificateBuilder::new(
        Profile,
        SerialNumber::new(&serial)?,
        Validity::new(not_before, Time::INFINITY),
        SubjectPublicKeyInfo::try_from(public_key.as_bytes())?,
    )?;
    builder.build::<_, Signature>(&SigningKey::<Sha256>::new(key.clone()))
}

struct Profile;

impl BuilderProfile for Profile {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        // As in AWS's own certificate.
        Name::from_str("CN=sns.amazonaws.com").unwrap_or_default()
    }

    fn build_extensions(
        &self,
        _: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> Result<Vec<Extension>> {
        let names = REGIONS
            .iter()
            .map(|region| format!("sns.{region}.amazonaws.com"))
            .chain(REGIONS_CHINA.iter().map(|region| format!("sns.{region}.amazonaws.com.cn")))
            .chain(["sns.amazonaws.com".to_owned()])
            .map(|name| Ok(GeneralName::DnsName(Ia5String::new(&name)?)))
            .collect::<Result<Vec<_>>>()?;
        let subject = tbs.subject();
        Ok(vec![
            SubjectAltName(names).to_extension(subject, &[])?,
            BasicConstraints { ca: false, path_len_constraint: None }.to_extension(subject, &[])?,
            KeyUsage(KeyUsages::DigitalSignature.into()).to_extension(subject, &[])?,
        ])
    }
}

/// Returns the name of the file under which receivers request a certificate.
pub(crate) fn file_name(certificate: &Certificate) -> Result<String> {
    let hash = Sha256::digest(certificate.to_der()?);
    Ok(format!("SimpleNotificationService-{}.pem", hex::encode(&hash[..16])))
}
