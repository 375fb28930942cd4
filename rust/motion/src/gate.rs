//! The gate: whether something moves, guessed from the bits of each picture without decoding it.
//!
//! Motion costs an encoder bits. How many a quiet picture costs depends on its position in the group of pictures far more than on
//! chance, so each picture is compared with what pictures at the same position cost before, corrected for the quantiser; a
//! trimmed mean of half a second takes the chance out, and the threshold sets itself so that a wanted share of quiet groups
//! fires. The rule was chosen by experiment; constants and their reasons stand beside them.
//!
//! Where noise takes most of the bits (strict constant bit rate, a dark room), motion drowns in it. The gate measures that
//! itself ([`Gate::noise`]) and says how far it is to be believed ([`Gate::state`]).

use edusense_bitstream::{PictureFacts, SliceFacts};

/// Positions with an entry of their own; later ones share the last.
const POSITIONS: usize = 64;

/// Bands of a picture that are judged apart, where a camera sends several slices.
const BANDS: usize = 4;

/// Groups from which the table is learned.
const LEARNING_GROUPS: u32 = 6;

/// Half a second at 25 pictures a second: shorter loses events, longer adds delay.
const WINDOW: usize = 13;

/// Values dropped at each end of the window: single odd pictures do not count.
const TRIMMED: usize = 3;

/// Bits a macroblock added to each picture, so that a few bits more or less of a skipped picture are nothing.
const FLOOR: f32 = 4.0;

/// log2 of bits for one step of QP, seen from quiet pictures; a coefficient's step size alone would say 1/6.
const QP_SLOPE: f32 = 0.5;

/// The threshold never goes below this.
const LOWEST_THRESHOLD: f32 = 0.08;

/// Nor above this: more than 16 times the usual bits is motion whatever came before.
const HIGHEST_THRESHOLD: f32 = 4.0;

/// Groups that fired and were not looked at, after which their level is taken for the usual one.
const PATIENCE_GROUPS: u8 = 15;

/// Share of quiet groups that should fire: one in fifty costs a key picture every 100 s.
const WANTED_SHARE: f32 = 0.02;

/// What the gate thinks of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateReading {
    /// Surprise: log2 of bits above the usual, averaged over half a second.
    pub level: f32,
    /// Surprise above which the gate fires.
    pub threshold: f32,
    /// Something may be moving.
    pub fired: bool,
    /// The gate does not know this stream yet, and does not fire.
    pub learning: bool,
}

/// How far the gate is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateState {
    /// It does not know the stream yet: the clock chooses what is looked at.
    Learning,
    /// Its silence means that nothing larger than 0.4 % of the picture moves, in 98 of 100 cases.
    Trusted,
    /// It sees large motion: it orders the looks, and the clock adds some.
    Helper,
    /// Noise takes nearly all the bits: the clock alone chooses.
    Off,
}

impl GateState {
    /// The word that users read and scripts compare.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Trusted => "trusted",
            Self::Helper => "helper",
            Self::Off => "off",
        }
    }

    /// What it means for the camera's owner, and what to do about it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Learning => "the gate is learning this stream",
            Self::Trusted => "the gate sees small motion",
            Self::Helper => {
                "noise takes many of the bits and hides small motion: set the camera to variable bit rate with noise reduction"
            }
            Self::Off => {
                "noise or a constant bit rate hides motion from the gate: set the camera to variable bit rate, or lower the rate"
            }
        }
    }
}

/// log2 of bits, 0 to 32, in steps of 1/2048: half of a float, and finer than the rule's smallest useful step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Log2Bits(u16);

impl Log2Bits {
    fn new(value: f32) -> Self {
        // 1 is kept apart from 0, which says that the position was never seen.
        Self((value * 2048.0).round().clamp(1.0, 65535.0) as u16)
    }

    fn get(self) -> Option<f32> {
        (self.0 > 0).then(|| f32::from(self.0) / 2048.0)
    }
}

/// What is usual: the part of the state that is put back after a group with motion.
#[derive(Clone, Copy, Debug)]
struct Usual {
    bits: [[Log2Bits; POSITIONS]; BANDS],
    /// QP + 64 in steps of 1/256; 0 where it was never seen.
    qp: [u16; POSITIONS],
    level: [f32; BANDS],
}

impl Usual {
    const UNKNOWN: Self = Self {
        bits: [[Log2Bits(0); POSITIONS]; BANDS],
        qp: [0; POSITIONS],
        level: [0.0; BANDS],
    };

    fn qp(&self, at: usize) -> Option<f32> {
        (self.qp[at] > 0).then(|| f32::from(self.qp[at]) / 256.0 - 64.0)
    }

    fn set_qp(&mut self, at: usize, qp: f32) {
        self.qp[at] = ((qp + 64.0) * 256.0).round().clamp(1.0, 65535.0) as u16;
    }
}

/// The last surprises of one band.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    values: [f32; WINDOW],
    filled: u8,
    next: u8,
}

impl Window {
    fn push(&mut self, value: f32) {
        self.values[usize::from(self.next)] = value;
        self.next = (self.next + 1) % WINDOW as u8;
        self.filled = (self.filled + 1).min(WINDOW as u8);
    }

    fn trimmed_mean(&self) -> f32 {
        let filled = usize::from(self.filled);
        let mut sorted = self.values;
        let sorted = &mut sorted[..filled];
        sorted.sort_unstable_by(f32::total_cmp);
        let cut = filled * TRIMMED / WINDOW;
        let middle = &sorted[cut..filled - cut];
        middle.iter().sum::<f32>() / middle.len().max(1) as f32
    }
}

/// The gate of one stream: less than 2 kB, whatever the stream.
#[derive(Clone, Debug)]
pub struct Gate {
    usual: Usual,
    /// As it was before the groups that have fired and were not judged yet.
    safe: Usual,
    windows: [Window; BANDS],
    threshold: f32,
    wanted_share: f32,
    level: f32,
    groups: u32,
    macroblocks: u32,
    /// Where the bands begin, in macroblocks; empty while that is not known.
    layout: [u32; BANDS],
    bands: u8,
    /// Pictures in a row whose slices did not lie as the layout says.
    odd: u8,
    position: u16,
    pictures: u16,
    unjudged: u8,
    fired_in_group: bool,
    after_key: bool,
    all_intra: bool,
    state: GateState,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A gate that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::with_share(WANTED_SHARE)
    }

    /// A gate that lets about this share of quiet groups fire: 0.01 to 0.2 make sense.
    #[must_use]
    pub fn with_share(wanted_share: f32) -> Self {
        Self {
            usual: Usual::UNKNOWN,
            safe: Usual::UNKNOWN,
            windows: [Window::default(); BANDS],
            threshold: 0.3,
            wanted_share: wanted_share.clamp(0.001, 0.5),
            level: 0.0,
            groups: 0,
            macroblocks: 0,
            layout: [0; BANDS],
            bands: 0,
            odd: 0,
            position: 0,
            pictures: 0,
            unjudged: 0,
            fired_in_group: false,
            after_key: false,
            all_intra: false,
            state: GateState::Learning,
        }
    }

    /// Takes the next picture in decoding order.
    pub fn push(&mut self, facts: PictureFacts) -> GateReading {
        if facts.macroblocks != self.macroblocks && facts.macroblocks > 0 {
            if self.macroblocks > 0 {
                *self = Self::with_share(self.wanted_share);
            }
            self.macroblocks = facts.macroblocks;
        }
        self.pictures = self.pictures.saturating_add(1);
        if facts.key {
            // Two key pictures in a row: there is nothing between them to go by, so they themselves are compared (MJPEG).
            self.all_intra = std::mem::replace(&mut self.after_key, true);
            self.position = 0;
            if !self.all_intra {
                return self.reading();
            }
        } else {
            self.all_intra = false;
            self.after_key = false;
            self.position = self.position.saturating_add(1);
        }
        let at = if self.all_intra {
            POSITIONS
        } else {
            usize::from(self.position).min(POSITIONS)
        } - 1;
        let bits = self.band_bits(&facts);
        if self.groups < LEARNING_GROUPS {
            self.learn(at, &bits, facts.qp());
        } else {
            self.judge(at, &bits, facts.qp());
        }
        self.reading()
    }

    /// Ends a group of pictures: to be called before the key picture of the next one is pushed.
    ///
    /// `pixels_moved`: what a look at pixels of this group (or of the groups that fired just before it) showed; None where
    /// nobody looked. What was learned during motion is forgotten when pixels confirm it; until somebody has looked it can
    /// still be.
    pub fn end_of_gop(&mut self, pixels_moved: Option<bool>) {
        // Where every picture is a key picture, a second or so of them counts as a group.
        if self.all_intra && self.pictures < 2 * WINDOW as u16 {
            return;
        }
        let fired = std::mem::take(&mut self.fired_in_group);
        self.pictures = 0;
        if self.groups < LEARNING_GROUPS {
            self.groups += 1;
            self.safe = self.usual;
            self.decide();
            return;
        }
        if (fired || self.unjudged > 0) && pixels_moved == Some(true) {
            self.usual = self.safe;
            self.unjudged = 0;
            return;
        }
        let step = if fired {
            1.0 - self.wanted_share
        } else {
            -self.wanted_share
        };
        self.threshold = (self.threshold + 0.05 * step).clamp(LOWEST_THRESHOLD, HIGHEST_THRESHOLD);
        if fired && pixels_moved.is_none() && self.unjudged < PATIENCE_GROUPS {
            self.unjudged += 1;
        } else {
            self.safe = self.usual;
            self.unjudged = 0;
        }
        self.decide();
    }

    /// N: median bits of a quiet picture a macroblock, as they would be at QP 26; None until that is known.
    ///
    /// Up to 4 the gate is good, up to 8 fair; above 64 it is blind.
    #[must_use]
    pub fn noise(&self) -> Option<f32> {
        if self.macroblocks == 0 {
            return None;
        }
        let macroblocks = self.macroblocks as f32;
        let mut each = [0.0f32; POSITIONS];
        let mut count = 0;
        for at in 0..POSITIONS {
            let mut bits = 0.0;
            let mut seen = false;
            for band in self.usual.bits.iter().take(usize::from(self.bands)) {
                if let Some(log2) = band[at].get() {
                    bits += (log2.exp2() - self.floor()).max(0.0);
                    seen = true;
                }
            }
            if seen {
                each[count] =
                    bits / macroblocks * ((self.usual.qp(at).unwrap_or(26.0) - 26.0) / 6.0).exp2();
                count += 1;
            }
        }
        let each = &mut each[..count];
        each.sort_unstable_by(f32::total_cmp);
        each.get(count / 2).copied()
    }

    /// How far the gate is to be believed.
    #[must_use]
    pub fn state(&self) -> GateState {
        self.state
    }

    /// The last reading again.
    #[must_use]
    pub fn reading(&self) -> GateReading {
        let learning = self.groups < LEARNING_GROUPS;
        let fired = !learning && self.level > self.threshold;
        GateReading {
            level: self.level,
            threshold: self.threshold,
            fired,
            learning,
        }
    }

    /// Bits added to each band.
    fn floor(&self) -> f32 {
        (FLOOR * self.macroblocks as f32 / f32::from(self.bands.max(1))).max(1.0)
    }

    /// log2 of each band's bits.
    fn band_bits(&mut self, facts: &PictureFacts) -> [f32; BANDS] {
        let slices = facts.slices();
        let (layout, bands) = bands_of(slices, facts.slice_count, self.macroblocks);
        if self.bands == 0
            || self.groups == 0 && self.bands != 1 && (layout, bands) != (self.layout, self.bands)
        {
            // Slices cut by size lie differently in each picture: they tell nothing about places.
            let moving = self.bands != 0;
            (self.layout, self.bands) = if moving {
                ([0; BANDS], 1)
            } else {
                (layout, bands)
            };
            self.usual = Usual::UNKNOWN;
        } else if (layout, bands) != (self.layout, self.bands) && self.bands > 1 {
            self.odd += 1;
            if self.odd > 2 {
                let threshold = self.threshold;
                *self = Self {
                    macroblocks: self.macroblocks,
                    bands: 1,
                    threshold,
                    ..Self::with_share(self.wanted_share)
                };
            }
        } else {
            self.odd = 0;
        }
        let mut bits = [0.0f32; BANDS];
        if self.bands == 1 {
            bits[0] = facts.vcl_bits as f32;
        } else {
            for slice in slices {
                let band = self.layout[..usize::from(self.bands)]
                    .iter()
                    .rposition(|start| slice.first_macroblock >= *start);
                bits[band.unwrap_or(0)] += slice.bits as f32;
            }
        }
        let floor = self.floor();
        bits.map(|bits| (bits + floor).log2())
    }

    fn learn(&mut self, at: usize, bits: &[f32; BANDS], qp: Option<f32>) {
        let weight = 1.0 / (self.groups + 1) as f32;
        for (band, new) in self
            .usual
            .bits
            .iter_mut()
            .zip(bits)
            .take(usize::from(self.bands))
        {
            let old = band[at].get().unwrap_or(*new);
            band[at] = Log2Bits::new(old + (new - old) * weight);
        }
        if let Some(new) = qp {
            let old = self.usual.qp(at).unwrap_or(new);
            self.usual.set_qp(at, old + (new - old) * weight);
        }
    }

    fn judge(&mut self, at: usize, bits: &[f32; BANDS], qp: Option<f32>) {
        let usual_qp = self.usual.qp(at).or(qp);
        let finer = match (qp, usual_qp) {
            (Some(qp), Some(usual)) => (qp - usual).clamp(-4.0, 4.0),
            _ => 0.0,
        };
        let mut highest = f32::NEG_INFINITY;
        for (band, new) in bits.iter().enumerate().take(usize::from(self.bands)) {
            let old = self.usual.bits[band][at].get().unwrap_or(*new);
            let surprise = new - old + QP_SLOPE * finer;
            let level = &mut self.usual.level[band];
            let step = if surprise < -0.5 {
                0.5 * (new - old)
            } else {
                0.03 * ((surprise - *level) / 0.1).clamp(-1.0, 1.0)
            };
            self.usual.bits[band][at] = Log2Bits::new(old + step);
            let window = &mut self.windows[band];
            window.push(surprise);
            let above = window.trimmed_mean() - *level;
            *level += 0.001 * if above > 0.0 { 1.0 } else { -1.0 };
            highest = highest.max(above);
        }
        if let (Some(qp), Some(usual)) = (qp, usual_qp) {
            self.usual
                .set_qp(at, usual + 0.06 * (qp - usual).clamp(-1.0, 1.0));
        }
        self.level = if highest.is_finite() { highest } else { 0.0 };
        self.fired_in_group |= self.level > self.threshold;
    }

    /// Chooses the state by the noise, with a fifth of hysteresis so that it does not waver.
    fn decide(&mut self) {
        if self.groups < LEARNING_GROUPS {
            return;
        }
        let Some(noise) = self.noise() else {
            self.state = GateState::Helper;
            return;
        };
        let slack = |better: bool| if better { 1.2 } else { 1.0 };
        self.state = if noise <= 8.0 * slack(self.state == GateState::Trusted) {
            GateState::Trusted
        } else if noise
            <= 64.0 * slack(matches!(self.state, GateState::Trusted | GateState::Helper))
        {
            GateState::Helper
        } else {
            GateState::Off
        };
    }
}

/// Where the bands begin: a band a slice up to four, otherwise four bands of about equal height.
fn bands_of(slices: &[SliceFacts], count: u32, macroblocks: u32) -> ([u32; BANDS], u8) {
    let mut layout = [0; BANDS];
    let told = macroblocks > 0
        && slices
            .iter()
            .skip(1)
            .all(|slice| slice.first_macroblock > 0);
    if count <= 1 || count as usize > edusense_bitstream::MAX_SLICES || !told {
        return (layout, 1);
    }
    if slices.len() <= BANDS {
        layout
            .iter_mut()
            .zip(slices)
            .for_each(|(start, slice)| *start = slice.first_macroblock);
        return (layout, slices.len() as u8);
    }
    for (band, start) in layout.iter_mut().enumerate() {
        let wanted = (u64::from(macroblocks) * band as u64 / BANDS as u64) as u32;
        *start = slices
            .iter()
            .map(|slice| slice.first_macroblock)
            .min_by_key(|first| first.abs_diff(wanted))
            .unwrap_or(0);
    }
    (layout, BANDS as u8)
}

#[path = "gate_kept.rs"]
mod kept;

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
