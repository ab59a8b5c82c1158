//! PEM files: what is in them, and whether they changed since.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use wattle_contract::route::Certificate;

/// Files that were read, each as it was then.
#[derive(Debug, Default)]
pub(crate) struct Files(BTreeMap<PathBuf, Option<Stamp>>);

/// What of a file changes when it is written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        Some(Self { modified: about.modified().ok(), length: about.len() })
    }
}

impl Files {
    /// Says whether one of the files is not as it was when it was read.
    pub(crate) fn have_changed(&self) -> bool {
        self.0.iter().any(|(path, stamp)| Stamp::of(path) != *stamp)
    }

    fn read<T: PemObject>(&mut self, path: &Path, what: &str) -> Result<Vec<T>, String> {
        // Looked at before it is read: what is written in between counts as a change.
        self.0.insert(path.to_owned(), Stamp::of(path));
        let failed = |error: pem::Error| format!("{what} {}: {}", path.display(), reason(&error));
        let items: Vec<T> = T::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
        if items.is_empty() {
            return Err(format!("{what} {}: nothing of that kind is in it (PEM is expected)", path.display()));
        }
        Ok(items)
    }

    /// Reads a certificate chain, leaf first, and its key.
    pub(super) fn certificate(
        &mut self,
        certificate: &Certificate,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
        match certificate {
            Certificate::Files { chain, key } => {
                let chain = self.read(chain, "certificate chain")?;
                let key = self.read(key, "private key")?.swap_remove(0);
                Ok((chain, key))
            }
            Certificate::Credential(name) => Err(secret(name)),
        }
    }

    /// Reads certificates that are trusted.
    pub(super) fn trust(&mut self, path: &Path) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        for certificate in self.read::<CertificateDer<'static>>(path, "trusted certificates")? {
            let bad = |error| format!("trusted certificates {}: {error}", path.display());
            roots.add(certificate).map_err(bad)?;
        }
        Ok(roots)
    }

    /// Reads lists of revoked certificates.
    pub(super) fn revocations(
        &mut self,
        path: Option<&Path>,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
        path.map_or_else(|| Ok(Vec::new()), |path| self.read(path, "revocation list"))
    }
}

/// Says that a Secret cannot be read.
pub(super) fn secret(name: &str) -> String {
    format!("{name}: Secrets are not read by this build; give the certificate as files")
}

fn reason(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}
