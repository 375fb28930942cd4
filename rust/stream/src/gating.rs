//! The gate of one camera as its watch uses it: bits read, groups counted, verdicts brought to it when they are there.

use edusense_bitstream::{AccessUnit, Reader};
use edusense_motion::{Gate, GateState, Record, Trust};

use crate::habits::{Habit, Habits};

/// What is shown of a gate.
#[derive(Clone, Debug, PartialEq)]
pub struct GateStatus {
    /// How far it is to be believed; None where it is not asked.
    pub state: Option<GateState>,
    /// Surprise of the last picture, log2 of bits, above the usual.
    pub level: f32,
    /// Surprise above which it fires.
    pub threshold: f32,
    /// Bits that noise takes: a quiet picture's bits a macroblock at QP 26, where that is known.
    pub noise: Option<f32>,
    /// What probes have shown at such noise, older ones weighed less.
    pub record: Record,
    /// What hides motion from it, as far as the stream shows that.
    pub habits: Vec<Habit>,
}

impl GateStatus {
    /// Whether its silence means that nothing moves.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.state == Some(GateState::Trusted)
    }

    /// The word for its state.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.state.map_or("unused", GateState::name)
    }

    /// What that means, and what to do about it.
    #[must_use]
    pub fn words(&self) -> &'static str {
        self.state.map_or(
            "the gate is not asked: looks are made by the clock",
            GateState::words,
        )
    }
}

/// Raised when what is kept changes its layout or meaning.
const VERSION: u8 = 1;

/// The gate, or its absence.
pub(crate) struct Gating {
    gate: Option<Box<Gate>>,
    trust: Box<Trust>,
    habits: Habits,
    reader: Reader,
    /// What pixels have said since the last group ended, about groups before it.
    verdict: Option<bool>,
    fired_in_group: bool,
    began: bool,
    /// The first bytes of the key picture with which the parameters were last told: they hold the sequence's parameter set.
    parameters: [u8; 24],
}

impl Gating {
    pub(crate) fn new(enabled: bool) -> Self {
        Self {
            gate: enabled.then(|| Box::new(Gate::new())),
            trust: Box::default(),
            habits: Habits::default(),
            reader: Reader::new(),
            verdict: None,
            fired_in_group: false,
            began: false,
            parameters: [0; 24],
        }
    }

    /// Takes the next picture; true while the gate fires.
    pub(crate) fn push(&mut self, unit: &AccessUnit) -> bool {
        let Some(gate) = &mut self.gate else {
            return false;
        };
        // What cannot be read costs the gate a picture, no more: whether it can be decoded is another's question.
        let Ok(facts) = self.reader.facts(unit) else {
            return gate.reading().fired;
        };
        self.habits.push(&facts, unit.data.len(), unit.pts);
        if facts.key && std::mem::replace(&mut self.began, true) {
            // A verdict comes after the group that it is about has ended. That something moved is true of the groups that fired
            // before it; that nothing did says nothing about this one, if it fired itself.
            let verdict = self
                .verdict
                .take()
                .filter(|moved| *moved || !self.fired_in_group);
            gate.end_of_gop(verdict);
            self.fired_in_group = false;
        }
        let fired = gate.push(facts).fired;
        self.fired_in_group |= fired;
        fired
    }

    /// This key picture tells parameters. If they are not those of before, what was learned is worth nothing: a camera that is
    /// merely called again tells the same ones.
    pub(crate) fn told(&mut self, key: &AccessUnit) {
        let mut parameters = [0; 24];
        parameters
            .iter_mut()
            .zip(&key.data)
            .for_each(|(to, from)| *to = *from);
        if parameters != self.parameters {
            *self = Self {
                parameters,
                ..Self::new(self.gate.is_some())
            };
        }
    }

    /// What pixels said of a whole group.
    pub(crate) fn verdict(&mut self, moved: bool) {
        self.verdict = Some(moved || self.verdict == Some(true));
    }

    pub(crate) fn status(&self) -> GateStatus {
        let habits = self.habits.found();
        let Some(gate) = &self.gate else {
            return GateStatus {
                state: None,
                level: 0.0,
                threshold: 0.0,
                noise: None,
                record: Record::default(),
                habits,
            };
        };
        let reading = gate.reading();
        GateStatus {
            state: self.state(),
            level: reading.level,
            threshold: reading.threshold,
            noise: gate.noise(),
            record: self.trust.record(gate.noise()),
            habits,
        }
    }

    /// None where it is not asked.
    pub(crate) fn state(&self) -> Option<GateState> {
        let gate = self.gate.as_ref()?;
        Some(self.trust.state(gate.state(), gate.noise()))
    }

    /// A probe was looked at: whether the gate had fired, and whether pixels moved. `weight`: how many it stands for.
    pub(crate) fn probe(&mut self, fired: bool, moved: bool, weight: f32, at_s: f64) {
        if let Some(gate) = &self.gate
            && gate.state() != GateState::Learning
        {
            self.trust.probe(gate.noise(), fired, moved, weight, at_s);
        }
    }

    /// What was learned, to be kept over a restart; None while there is nothing.
    ///
    /// Little-endian: version; the parameters that it is about; when the last probe was, and four counts for each class of
    /// noise; the gate.
    pub(crate) fn kept(&self) -> Option<Vec<u8>> {
        let gate = self.gate.as_ref()?.kept()?;
        let mut bytes = vec![VERSION];
        bytes.extend(self.parameters);
        bytes.extend(self.trust.at_s().unwrap_or(f64::NAN).to_le_bytes());
        for record in self.trust.records() {
            let counts = [record.hits, record.moved, record.false_fires, record.quiet];
            bytes.extend(counts.iter().flat_map(|count| count.to_le_bytes()));
        }
        bytes.extend(gate);
        Some(bytes)
    }

    /// Goes on from what was kept. False, and nothing changed, where it is not asked, or the bytes are not what `kept` gave.
    pub(crate) fn restore(&mut self, bytes: &[u8]) -> bool {
        let restored = || {
            let (head, bytes) = bytes.split_first()?;
            let (parameters, bytes) = bytes.split_first_chunk::<24>()?;
            let (at_s, mut bytes) = bytes.split_first_chunk()?;
            let mut records = [Record::default(); 4];
            for record in &mut records {
                for count in [
                    &mut record.hits,
                    &mut record.moved,
                    &mut record.false_fires,
                    &mut record.quiet,
                ] {
                    let (value, rest) = bytes.split_first_chunk()?;
                    *count = f32::from_le_bytes(*value);
                    bytes = rest;
                }
            }
            let gate = Gate::restored(bytes).filter(|_| *head == VERSION)?;
            let trust = Trust::restored(records, Some(f64::from_le_bytes(*at_s)));
            Some((*parameters, gate, trust))
        };
        if self.gate.is_none() {
            return false;
        }
        let Some((parameters, gate, trust)) = restored() else {
            return false;
        };
        *self = Self {
            gate: Some(Box::new(gate)),
            trust: Box::new(trust),
            parameters,
            ..Self::new(true)
        };
        true
    }
}
