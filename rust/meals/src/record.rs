//! One record: 128 bytes, little endian, described byte by byte in `docs/reference/ledger-format.md`.

use sha2::{Digest, Sha256};

use crate::sabotage::{Bug, is};

/// Bytes of a record.
pub const RECORD_BYTES: usize = 128;
/// First bytes of every record.
pub const MAGIC: [u8; 3] = *b"EDM";
/// Version of the format, the fourth byte of every record.
pub const FORMAT_VERSION: u8 = 1;
/// Longest name of a slot in bytes.
pub const SLOT_BYTES: usize = 12;

/// A record as it stands in a file.
pub type RawRecord = [u8; RECORD_BYTES];

/// What a record says. Zero is no kind, so that unused space is never a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// A terminal's first record of an epoch; its reference is the last record of that terminal before.
    Opened = 1,
    /// A meal was given.
    Meal = 2,
    /// The green light for a meal was on; its reference is the meal.
    Shown = 3,
    /// A meal is taken back; its reference is the meal.
    Reversal = 4,
    /// Somebody came in.
    Arrival = 5,
    /// Somebody went out.
    Departure = 6,
    /// Another signing key from here on.
    KeyChange = 7,
    /// The clock was set.
    ClockStep = 8,
    /// Another roster from here on.
    RosterChange = 9,
    /// A day's account was closed.
    DayClosed = 10,
}

impl Kind {
    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Opened,
            2 => Self::Meal,
            3 => Self::Shown,
            4 => Self::Reversal,
            5 => Self::Arrival,
            6 => Self::Departure,
            7 => Self::KeyChange,
            8 => Self::ClockStep,
            9 => Self::RosterChange,
            10 => Self::DayClosed,
            _ => return None,
        })
    }
}

/// Bits of [`Record::flags`].
pub mod flags {
    /// The record's time is earlier than the one before it.
    pub const CLOCK_WENT_BACK: u16 = 1;
    /// Entered by a person, without a card.
    pub const MANUAL: u16 = 1 << 1;
    /// The time is not to be relied on (no clock source after a power cut).
    pub const CLOCK_UNSURE: u16 = 1 << 2;
    /// Everything before this record was on the disk before this record was written.
    pub const BEGINS_WRITE: u16 = 1 << 15;
    /// What a caller may set; the rest is the ledger's own.
    pub const OF_CALLER: u16 = MANUAL | CLOCK_UNSURE;
}

/// An earlier record of the same terminal. Epoch 0 is never drawn: (0, 0) refers to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Reference {
    /// Epoch of that record.
    pub epoch: u32,
    /// Its sequence number in that epoch.
    pub sequence: u64,
}

/// The fields of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub kind: Kind,
    /// How the card proved itself: 0 a number anybody can copy, 1 and up stronger (see the format page).
    pub assurance: u8,
    /// See [`flags`].
    pub flags: u16,
    /// National number of the school.
    pub school: u32,
    /// Number of the terminal in the school; 0 is the ledger itself.
    pub terminal: u32,
    /// 32 random bits drawn when the ledger was opened for writing.
    pub epoch: u32,
    /// Version of the entitlement (roster) that was decided by.
    pub entitlement: u32,
    /// Number of the record within (school, terminal, epoch), from 1, without gaps.
    pub sequence: u64,
    /// Our number of the pupil.
    pub pupil: u64,
    /// Unix time in microseconds.
    pub time: i64,
    /// Local day that the meal counts for, as yyyymmdd.
    pub day: u32,
    /// Price in tiyn.
    pub price: u32,
    /// Name of the slot: ASCII, padded with zeros.
    pub slot: [u8; SLOT_BYTES],
    /// An earlier record of the same terminal.
    pub reference: Reference,
    /// First 8 bytes of a hash of the card, never the card's number.
    pub card: u64,
    /// Category of the pupil that day, as a number of the roster's.
    pub category: u16,
    /// Why somebody did it by hand, as a number of the roster's; 0 for what a card did.
    pub reason: u16,
    /// SHA-256 of the record before it (all 128 bytes); zeros in the ledger's first record.
    pub previous: [u8; 32],
}

/// Why 128 bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// All zero: unused space.
    Empty,
    /// Does not begin with the magic bytes.
    Magic,
    /// A newer version of the format.
    Version(u8),
    /// The sum over the record is another.
    Sum {
        /// As written in the record.
        stored: u32,
        /// As computed over its first 124 bytes.
        computed: u32,
    },
    /// A kind this version does not know.
    Kind(u8),
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => write!(f, "zeros where a record was written"),
            Self::Magic => write!(f, "does not begin with the bytes of a record"),
            Self::Version(version) => {
                write!(f, "format version {version}, newer than {FORMAT_VERSION}")
            }
            Self::Sum { stored, computed } => {
                write!(f, "CRC32C is {stored:08x}, computed {computed:08x}")
            }
            Self::Kind(kind) => write!(f, "record kind {kind} is unknown to this version"),
        }
    }
}

macro_rules! fields {
    ($raw:expr, $type:ty, $at:expr) => {{
        let mut bytes = [0; size_of::<$type>()];
        bytes.copy_from_slice(&$raw[$at..$at + size_of::<$type>()]);
        <$type>::from_le_bytes(bytes)
    }};
}

impl Record {
    /// A record with all fields empty, to be filled in.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            assurance: 0,
            flags: 0,
            school: 0,
            terminal: 0,
            epoch: 0,
            entitlement: 0,
            sequence: 0,
            pupil: 0,
            time: 0,
            day: 0,
            price: 0,
            slot: [0; SLOT_BYTES],
            reference: Reference::default(),
            card: 0,
            category: 0,
            reason: 0,
            previous: [0; 32],
        }
    }

    /// The record as it is written, with its sum.
    #[must_use]
    pub fn encode(&self) -> RawRecord {
        let mut raw = [0; RECORD_BYTES];
        raw[0..3].copy_from_slice(&MAGIC);
        raw[3] = FORMAT_VERSION;
        raw[4] = self.kind as u8;
        raw[5] = self.assurance;
        raw[6..8].copy_from_slice(&self.flags.to_le_bytes());
        raw[8..12].copy_from_slice(&self.school.to_le_bytes());
        raw[12..16].copy_from_slice(&self.terminal.to_le_bytes());
        raw[16..20].copy_from_slice(&self.epoch.to_le_bytes());
        raw[20..24].copy_from_slice(&self.entitlement.to_le_bytes());
        raw[24..32].copy_from_slice(&self.sequence.to_le_bytes());
        raw[32..40].copy_from_slice(&self.pupil.to_le_bytes());
        raw[40..48].copy_from_slice(&self.time.to_le_bytes());
        raw[48..52].copy_from_slice(&self.day.to_le_bytes());
        raw[52..56].copy_from_slice(&self.price.to_le_bytes());
        raw[56..68].copy_from_slice(&self.slot);
        raw[68..72].copy_from_slice(&self.reference.epoch.to_le_bytes());
        raw[72..80].copy_from_slice(&self.reference.sequence.to_le_bytes());
        raw[80..88].copy_from_slice(&self.card.to_le_bytes());
        raw[88..90].copy_from_slice(&self.category.to_le_bytes());
        raw[90..92].copy_from_slice(&self.reason.to_le_bytes());
        raw[92..124].copy_from_slice(&self.previous);
        let sum = crc32c::crc32c(&raw[..124]);
        raw[124..].copy_from_slice(&sum.to_le_bytes());
        raw
    }

    /// Reads a record and checks its sum.
    ///
    /// # Errors
    /// The first [`Flaw`] found: empty, magic, version, sum, kind, in this order.
    pub fn decode(raw: &RawRecord) -> Result<Self, Flaw> {
        if raw[..3] != MAGIC {
            return Err(if raw.iter().all(|byte| *byte == 0) {
                Flaw::Empty
            } else {
                Flaw::Magic
            });
        }
        let stored = fields!(raw, u32, 124);
        let computed = crc32c::crc32c(&raw[..124]);
        if stored != computed && !is(Bug::SumIgnored) {
            return Err(Flaw::Sum { stored, computed });
        }
        if raw[3] != FORMAT_VERSION {
            return Err(Flaw::Version(raw[3]));
        }
        let kind = Kind::from_number(raw[4]).ok_or(Flaw::Kind(raw[4]))?;
        Ok(Self::fields_of(raw, kind))
    }

    /// The fields as a caller filled them in: nothing is checked but the kind (0 stands for a meal).
    #[must_use]
    pub fn from_caller(raw: &RawRecord) -> Option<Self> {
        let kind = if raw[4] == 0 {
            Kind::Meal
        } else {
            Kind::from_number(raw[4])?
        };
        Some(Self::fields_of(raw, kind))
    }

    fn fields_of(raw: &RawRecord, kind: Kind) -> Self {
        let mut slot = [0; SLOT_BYTES];
        slot.copy_from_slice(&raw[56..68]);
        let mut previous = [0; 32];
        previous.copy_from_slice(&raw[92..124]);
        Self {
            kind,
            assurance: raw[5],
            flags: fields!(raw, u16, 6),
            school: fields!(raw, u32, 8),
            terminal: fields!(raw, u32, 12),
            epoch: fields!(raw, u32, 16),
            entitlement: fields!(raw, u32, 20),
            sequence: fields!(raw, u64, 24),
            pupil: fields!(raw, u64, 32),
            time: fields!(raw, i64, 40),
            day: fields!(raw, u32, 48),
            price: fields!(raw, u32, 52),
            slot,
            reference: Reference {
                epoch: fields!(raw, u32, 68),
                sequence: fields!(raw, u64, 72),
            },
            card: fields!(raw, u64, 80),
            category: fields!(raw, u16, 88),
            reason: fields!(raw, u16, 90),
            previous,
        }
    }

    /// Whether day and slot can stand in a record of its kind: a calendar date, a name of ASCII letters, digits and signs.
    ///
    /// All that is about a meal has both. A passage and a closed day have a day; the rest may have one.
    #[must_use]
    pub fn has_day_and_slot(&self) -> bool {
        let (month, day) = (self.day / 100 % 100, self.day % 100);
        let length = self
            .slot
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(SLOT_BYTES);
        let of_meal = matches!(self.kind, Kind::Meal | Kind::Shown | Kind::Reversal);
        let of_day =
            of_meal || matches!(self.kind, Kind::Arrival | Kind::Departure | Kind::DayClosed);
        let date = (19_700_101..=99_991_231).contains(&self.day)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day);
        (date || (!of_day && self.day == 0))
            && (length > 0 || !of_meal)
            && self.slot[..length].iter().all(u8::is_ascii_graphic)
            && self.slot[length..].iter().all(|byte| *byte == 0)
    }
}

/// The hash by which the next record holds on to this one.
#[must_use]
pub fn chain(raw: &RawRecord) -> [u8; 32] {
    Sha256::digest(raw).into()
}

/// Whether these bytes can be what is left of a record whose writing was cut off: a beginning, then zeros to the end.
#[must_use]
pub(crate) fn looks_torn(raw: &RawRecord) -> bool {
    let begins = raw[..3]
        .iter()
        .zip(MAGIC)
        .take_while(|(found, magic)| **found == *magic)
        .count();
    begins > 0
        && (begins == MAGIC.len() || raw[begins..].iter().all(|byte| *byte == 0))
        && raw[RECORD_BYTES - 1] == 0
}

/// The bit whose change makes these bytes a sound record, if one bit does.
///
/// CRC32C has a distance of at least 4 at this length, so at most one single bit can: a record found so was written whole and
/// rotted afterwards.
#[must_use]
pub(crate) fn flipped_bit(raw: &RawRecord) -> Option<usize> {
    let mut tried = *raw;
    (0..RECORD_BYTES * 8).find(|bit| {
        tried[bit / 8] ^= 1 << (bit % 8);
        let sound = Record::decode(&tried).is_ok();
        tried[bit / 8] ^= 1 << (bit % 8);
        sound
    })
}
