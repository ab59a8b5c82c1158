//! The one file that a model is: versioned, checksummed, and refused whole when anything does not fit.
//!
//! ```text
//! "WATTLEM\n" | major u16 | minor u16 | length u64 | payload (JSON, length bytes) | SHA-256 of all before (32 bytes)
//! ```
//!
//! Numbers are little-endian. A reader takes every minor version of a major version it knows (new fields have
//! defaults) and refuses newer major versions. The checksum guards against damage, not against forgery.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wattle_contract::Timestamp;

use crate::Error;
use crate::dataset::Exclusions;
use crate::drift::Stability;
use crate::evaluate::{Baseline, Evaluation};
use crate::features::{FeatureSchema, node_schema, service_schema};
use crate::latency::LatencyModel;
use crate::power::PowerModel;

const MAGIC: &[u8; 8] = b"WATTLEM\n";
/// Newest major version of the format that is read, and the one that is written.
pub const MAJOR: u16 = 1;
/// Minor version that is written.
pub const MINOR: u16 = 0;
const HEAD: usize = 8 + 2 + 2 + 8;
const SUM: usize = 32;

/// A trained model with everything that is needed to judge it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// What it was trained on.
    pub provenance: Provenance,
    /// Columns of a node.
    pub node_schema: FeatureSchema,
    /// Columns of a service on a node.
    pub service_schema: FeatureSchema,
    /// Hash of the node's columns.
    pub node_schema_hash: String,
    /// Hash of the service's columns.
    pub service_schema_hash: String,
    /// Unit of the power target.
    pub power_unit: String,
    /// Unit of the latency targets.
    pub latency_unit: String,
    /// Scores on the held-out windows.
    pub evaluation: Evaluation,
    /// What a guess without a model would be.
    pub baseline: Baseline,
    /// How the utilisation of nodes was spread, to tell when it no longer is.
    #[serde(default)]
    pub stability: Stability,
    /// Watts of a node; `None` when no node had a meter.
    pub power: Option<PowerModel>,
    /// Median latency of a service on a node.
    pub p50: Option<LatencyModel>,
    /// 95th percentile of the same.
    pub p95: Option<LatencyModel>,
}

/// What a model was trained on and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// First instant of the training rows.
    pub from: Timestamp,
    /// First instant after them.
    pub until: Timestamp,
    /// Windows.
    pub windows: usize,
    /// Rows, power and latency together.
    pub rows: usize,
    /// Rows of power.
    pub power_rows: usize,
    /// Rows of latency.
    pub latency_rows: usize,
    /// What was left out.
    pub excluded: Exclusions,
    /// Seed of everything random.
    pub seed: u64,
    /// How rows were split, in words.
    pub split: String,
    /// Version of the program.
    pub program: String,
}

impl Artifact {
    /// Writes the file.
    ///
    /// # Errors
    /// [`Error::Malformed`] when a number in the model is not finite.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let payload = serde_json::to_vec(self).map_err(|error| Error::Malformed(error.to_string()))?;
        let mut bytes = Vec::with_capacity(HEAD + payload.len() + SUM);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&MAJOR.to_le_bytes());
        bytes.extend_from_slice(&MINOR.to_le_bytes());
        bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&payload);
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum);
        Ok(bytes)
    }

    /// Reads a file, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Foreign`], [`Error::Version`], [`Error::Truncated`], [`Error::Checksum`], [`Error::Malformed`] or
    /// [`Error::Schema`], in this order.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let known = bytes.len().min(MAGIC.len());
        if bytes[..known] != MAGIC[..known] || bytes.is_empty() {
            return Err(Error::Foreign);
        }
        let short = |expected: usize| Error::Truncated { got: bytes.len(), expected };
        let head = bytes.get(..HEAD).ok_or_else(|| short(HEAD + SUM))?;
        let major = u16::from_le_bytes([head[8], head[9]]);
        let minor = u16::from_le_bytes([head[10], head[11]]);
        if major != MAJOR {
            return Err(Error::Version { major, minor, supported: MAJOR });
        }
        let mut length = [0; 8];
        length.copy_from_slice(&head[12..HEAD]);
        let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
        let end = HEAD.saturating_add(length);
        let whole = end.saturating_add(SUM);
        if bytes.len() < whole {
            return Err(short(whole));
        }
        if bytes.len() > whole {
            return Err(Error::Malformed(format!("{} bytes follow its end", bytes.len() - whole)));
        }
        let (got, expected) = (Sha256::digest(&bytes[..end]), &bytes[end..]);
        if got.as_slice() != expected {
            return Err(Error::Checksum { got: hex::encode(got), expected: hex::encode(expected) });
        }
        let artifact: Self =
            serde_json::from_slice(&bytes[HEAD..end]).map_err(|error| Error::Malformed(error.to_string()))?;
        artifact.check()?;
        let residuals = [
            artifact.power.as_ref().and_then(|power| power.residual.as_ref()),
            artifact.p50.as_ref().and_then(|p50| p50.residual.as_ref()),
            artifact.p95.as_ref().and_then(|p95| p95.residual.as_ref()),
        ];
        if residuals.into_iter().flatten().any(|residual| !residual.is_sound()) {
            return Err(Error::Malformed("a tree leads out of itself".to_owned()));
        }
        Ok(artifact)
    }

    /// Gives the identity of a file that [`Self::to_bytes`] wrote: its SHA-256 as hex.
    ///
    /// # Errors
    /// As [`Self::to_bytes`].
    pub fn id(&self) -> Result<String, Error> {
        let bytes = self.to_bytes()?;
        Ok(hex::encode(&bytes[bytes.len() - SUM..]))
    }

    /// Checks that the model was trained on the features that this program extracts.
    ///
    /// # Errors
    /// [`Error::Schema`] when it was not.
    pub fn check(&self) -> Result<(), Error> {
        for (target, schema, found) in [
            ("node", node_schema(), (&self.node_schema, &self.node_schema_hash)),
            ("service", service_schema(), (&self.service_schema, &self.service_schema_hash)),
        ] {
            let expected = schema.hash();
            if *found.1 != expected || found.0.hash() != expected {
                return Err(Error::Schema { target, found: found.1.clone(), expected });
            }
        }
        Ok(())
    }
}
