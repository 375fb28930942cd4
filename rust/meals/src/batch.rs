//! Batches: a run of one terminal's records, signed as a whole, in the bytes that go to the city by wire or on a stick.
//!
//! The layout is in `docs/reference/batch-format.md`. The same records and the same key always give the same bytes, so that
//! whoever gets a batch twice can see that it is one.

use crate::error::MealsError;
use crate::key::{KEY_BYTES, Key, PublicKey, SIGNATURE_BYTES, is_signed_by};
use crate::merkle::{self, Hash};
use crate::record::{Kind, RECORD_BYTES, RawRecord, Record, chain};

/// Bytes before the records.
pub const HEADER_BYTES: usize = 176;
/// Bytes of the header that are signed.
pub const SIGNED_BYTES: usize = HEADER_BYTES - SIGNATURE_BYTES;
/// Most records of one batch.
pub const MOST_BATCH_RECORDS: usize = 65_536;
/// Most bytes of one batch: what is longer need not be read.
pub const MOST_BATCH_BYTES: usize = HEADER_BYTES + MOST_BATCH_RECORDS * (FIELDS + 1 + 32);

const MAGIC: [u8; 4] = *b"EDB\x01";
/// Bytes of a record before its hash of the one before it: what a row carries.
const FIELDS: usize = 92;

/// What a batch says of itself; the signature holds for all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// National number of the school.
    pub school: u32,
    /// Number of the terminal in the school.
    pub terminal: u32,
    /// Epoch of all records.
    pub epoch: u32,
    /// Sequence of the first record.
    pub first: u64,
    /// How many records.
    pub count: u32,
    /// How many of them are meals.
    pub meals: u32,
    /// How many of them are reversals.
    pub reversals: u32,
    /// Prices of the meals less those of the reversals, in tiyn.
    pub sum: i64,
    /// Merkle root over the records.
    pub root: Hash,
    /// Public key of the box that signed.
    pub key: PublicKey,
}

impl Header {
    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> [u8; SIGNED_BYTES] {
        let mut raw = [0; SIGNED_BYTES];
        raw[..4].copy_from_slice(&MAGIC);
        raw[4..8].copy_from_slice(&self.school.to_le_bytes());
        raw[8..12].copy_from_slice(&self.terminal.to_le_bytes());
        raw[12..16].copy_from_slice(&self.epoch.to_le_bytes());
        raw[16..24].copy_from_slice(&self.first.to_le_bytes());
        raw[24..28].copy_from_slice(&self.count.to_le_bytes());
        raw[28..32].copy_from_slice(&self.meals.to_le_bytes());
        raw[32..36].copy_from_slice(&self.reversals.to_le_bytes());
        raw[40..48].copy_from_slice(&self.sum.to_le_bytes());
        raw[48..80].copy_from_slice(&self.root);
        raw[80..112].copy_from_slice(&self.key);
        raw
    }

    /// Reads a header and checks that it was signed with the key that it names; whose key that is, the caller has to know.
    ///
    /// # Errors
    /// [`MealsError::Batch`]: it is cut short, no header of a batch, or altered.
    pub fn decode(bytes: &[u8]) -> Result<Self, MealsError> {
        let Some((raw, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(refused(format!(
                "{} bytes are too few for the header of a batch",
                bytes.len()
            )));
        };
        if raw[..3] != MAGIC[..3] {
            return Err(refused("it does not begin as a batch does"));
        }
        if raw[3] != MAGIC[3] {
            return Err(refused(format!("format version {} is not known", raw[3])));
        }
        let (signed, signature) = raw.split_at(SIGNED_BYTES);
        let header = Self {
            school: number(signed, 4),
            terminal: number(signed, 8),
            epoch: number(signed, 12),
            first: u64::from(number(signed, 16)) | u64::from(number(signed, 20)) << 32,
            count: number(signed, 24),
            meals: number(signed, 28),
            reversals: number(signed, 32),
            sum: (u64::from(number(signed, 40)) | u64::from(number(signed, 44)) << 32)
                .cast_signed(),
            root: array(signed, 48),
            key: array(signed, 80),
        };
        if header.encode() != signed
            || !is_signed_by(&header.key, signed, &array::<SIGNATURE_BYTES>(signature, 0))
        {
            return Err(refused("its signature does not fit: it was altered"));
        }
        if header.count == 0
            || header.count as usize > MOST_BATCH_RECORDS
            || header.first == 0
            || header.first.checked_add(u64::from(header.count)).is_none()
        {
            return Err(refused(format!(
                "{} records from number {} cannot be a batch",
                header.count, header.first
            )));
        }
        Ok(header)
    }

    /// Sequence of the last record.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.first + u64::from(self.count) - 1
    }
}

/// A batch that was read, and found to be what its signature says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// What it says of itself.
    pub header: Header,
    /// The records as they stand in the ledger, byte for byte.
    pub records: Vec<RawRecord>,
}

/// Makes a batch of records that follow one another.
///
/// # Errors
/// [`MealsError::Batch`]: they are none or too many, not sound, or not a run of one terminal's epoch.
pub fn seal(records: &[RawRecord], key: &Key) -> Result<Vec<u8>, MealsError> {
    let header = describe(records, key.public())?;
    let signed = header.encode();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + records.len() * (FIELDS + 33));
    bytes.extend_from_slice(&signed);
    bytes.extend_from_slice(&key.sign(&signed));
    let mut before = None;
    for raw in records {
        bytes.extend_from_slice(&raw[..FIELDS]);
        // Where records of several terminals alternate, the one before is in no batch of this terminal.
        let linked = before == Some(array(raw, FIELDS));
        bytes.push(u8::from(!linked));
        if !linked {
            bytes.extend_from_slice(&raw[FIELDS..FIELDS + 32]);
        }
        before = Some(chain(raw));
    }
    Ok(bytes)
}

/// Reads a batch and checks all that can be checked without knowing the school: signature, root, totals, every record.
///
/// # Errors
/// [`MealsError::Batch`] with the first thing that is wrong.
pub fn open(bytes: &[u8]) -> Result<Batch, MealsError> {
    let header = Header::decode(bytes)?;
    let mut rest = &bytes[HEADER_BYTES..];
    let mut before: Option<Hash> = None;
    let mut records = Vec::new();
    for _ in 0..header.count {
        let cut = || refused("it is cut short");
        let (fields, left) = rest.split_at_checked(FIELDS).ok_or_else(cut)?;
        let (link, left) = left.split_first().ok_or_else(cut)?;
        let mut raw = [0; RECORD_BYTES];
        raw[..FIELDS].copy_from_slice(fields);
        rest = left;
        let previous = match (link, before) {
            (0, Some(before)) => before,
            (1, _) => {
                let (previous, left) = rest.split_first_chunk().ok_or_else(cut)?;
                rest = left;
                *previous
            }
            _ => return Err(refused("a record in it does not say what it follows")),
        };
        raw[FIELDS..124].copy_from_slice(&previous);
        let sum = crc32c::crc32c(&raw[..124]);
        raw[124..].copy_from_slice(&sum.to_le_bytes());
        before = Some(chain(&raw));
        records.push(raw);
    }
    if !rest.is_empty() {
        return Err(refused(format!(
            "{} bytes follow its last record",
            rest.len()
        )));
    }
    let found = describe(&records, header.key)?;
    if found != header {
        let what = if found.root == header.root {
            "its totals are not those of its records"
        } else {
            "its records are not those that were signed"
        };
        return Err(refused(what));
    }
    Ok(Batch { header, records })
}

/// The header that these records have to have.
fn describe(records: &[RawRecord], key: [u8; KEY_BYTES]) -> Result<Header, MealsError> {
    let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
    if records.is_empty() || records.len() > MOST_BATCH_RECORDS {
        return Err(refused(format!(
            "{count} records: a batch has 1 to {MOST_BATCH_RECORDS}"
        )));
    }
    let mut header: Option<Header> = None;
    let mut leaves = Vec::with_capacity(records.len());
    for (index, raw) in records.iter().enumerate() {
        let record = Record::decode(raw)
            .map_err(|flaw| refused(format!("its record number {index} is not sound: {flaw}")))?;
        leaves.push(merkle::leaf(raw));
        let header = header.get_or_insert(Header {
            school: record.school,
            terminal: record.terminal,
            epoch: record.epoch,
            first: record.sequence,
            count,
            meals: 0,
            reversals: 0,
            sum: 0,
            root: [0; 32],
            key,
        });
        let follows = (record.school, record.terminal, record.epoch)
            == (header.school, header.terminal, header.epoch)
            && record.sequence.checked_sub(header.first) == Some(index as u64)
            && record.sequence > 0;
        if !follows {
            return Err(refused(format!(
                "its record number {index} ({}/{:08x}/{}) does not follow the one before it",
                record.terminal, record.epoch, record.sequence
            )));
        }
        match record.kind {
            Kind::Meal => {
                header.meals += 1;
                header.sum += i64::from(record.price);
            }
            Kind::Reversal => {
                header.reversals += 1;
                header.sum -= i64::from(record.price);
            }
            _ => {}
        }
    }
    let mut header = header.ok_or_else(|| refused("it has no record"))?;
    header.root = merkle::root(&leaves);
    Ok(header)
}

fn refused(what: impl Into<String>) -> MealsError {
    MealsError::Batch { what: what.into() }
}

fn number(raw: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(raw, at))
}

pub(crate) fn array<const N: usize>(raw: &[u8], at: usize) -> [u8; N] {
    let mut found = [0; N];
    found.copy_from_slice(&raw[at..at + N]);
    found
}
