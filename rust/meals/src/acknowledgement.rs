//! Acknowledgements: what a hub signs when it holds a terminal's records, and what a box keeps as its proof of that.

use crate::batch::array;
use crate::error::MealsError;
use crate::key::{Key, PublicKey, SIGNATURE_BYTES, is_signed_by};
use crate::merkle::Hash;

/// Bytes of an acknowledgement.
pub const ACKNOWLEDGEMENT_BYTES: usize = 184;
const SIGNED_BYTES: usize = ACKNOWLEDGEMENT_BYTES - SIGNATURE_BYTES;
const MAGIC: [u8; 4] = *b"EDA\x01";

/// A hub holds all records of one terminal's epoch up to a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// National number of the school.
    pub school: u32,
    /// Number of the terminal in the school.
    pub terminal: u32,
    /// Epoch of the records.
    pub epoch: u32,
    /// Sequence of the last record that the hub holds, with all before it.
    pub sequence: u64,
    /// Meals among them.
    pub meals: u64,
    /// Reversals among them.
    pub reversals: u64,
    /// Prices of the meals less those of the reversals, in tiyn.
    pub sum: i64,
    /// SHA-256 of the last record: by its chain it fixes everything before it.
    pub head: Hash,
    /// The hub's Unix time in microseconds.
    pub time: i64,
    /// The hub's public key.
    pub key: PublicKey,
}

impl Acknowledgement {
    /// The signed bytes.
    #[must_use]
    pub fn sign(&self, key: &Key) -> [u8; ACKNOWLEDGEMENT_BYTES] {
        let mut signed = [0; ACKNOWLEDGEMENT_BYTES];
        let body = Self {
            key: key.public(),
            ..self.clone()
        }
        .encode();
        signed[..SIGNED_BYTES].copy_from_slice(&body);
        signed[SIGNED_BYTES..].copy_from_slice(&key.sign(&body));
        signed
    }

    /// Reads one and checks that it was signed with the key that it names.
    ///
    /// # Errors
    /// [`MealsError::Batch`]: it is cut short, none, or altered.
    pub fn decode(bytes: &[u8]) -> Result<Self, MealsError> {
        let refused = |what: &str| {
            Err(MealsError::Batch {
                what: what.to_owned(),
            })
        };
        let Ok(raw) = <&[u8; ACKNOWLEDGEMENT_BYTES]>::try_from(bytes) else {
            return refused("an acknowledgement has 184 bytes");
        };
        if raw[..4] != MAGIC {
            return refused("it does not begin as an acknowledgement does");
        }
        let (signed, signature) = raw.split_at(SIGNED_BYTES);
        let found = Self {
            school: u32::from_le_bytes(array(signed, 4)),
            terminal: u32::from_le_bytes(array(signed, 8)),
            epoch: u32::from_le_bytes(array(signed, 12)),
            sequence: u64::from_le_bytes(array(signed, 16)),
            meals: u64::from_le_bytes(array(signed, 24)),
            reversals: u64::from_le_bytes(array(signed, 32)),
            sum: i64::from_le_bytes(array(signed, 40)),
            head: array(signed, 48),
            time: i64::from_le_bytes(array(signed, 80)),
            key: array(signed, 88),
        };
        if !is_signed_by(&found.key, signed, &array::<SIGNATURE_BYTES>(signature, 0)) {
            return refused("its signature does not fit: it was altered");
        }
        Ok(found)
    }

    fn encode(&self) -> [u8; SIGNED_BYTES] {
        let mut raw = [0; SIGNED_BYTES];
        raw[..4].copy_from_slice(&MAGIC);
        raw[4..8].copy_from_slice(&self.school.to_le_bytes());
        raw[8..12].copy_from_slice(&self.terminal.to_le_bytes());
        raw[12..16].copy_from_slice(&self.epoch.to_le_bytes());
        raw[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        raw[24..32].copy_from_slice(&self.meals.to_le_bytes());
        raw[32..40].copy_from_slice(&self.reversals.to_le_bytes());
        raw[40..48].copy_from_slice(&self.sum.to_le_bytes());
        raw[48..80].copy_from_slice(&self.head);
        raw[80..88].copy_from_slice(&self.time.to_le_bytes());
        raw[88..120].copy_from_slice(&self.key);
        raw
    }
}
