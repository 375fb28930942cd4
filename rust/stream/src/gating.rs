//! The gate of one camera as its watch uses it: bits read, groups counted, verdicts brought to it when they are there.

use edusense_bitstream::{AccessUnit, Reader};
use edusense_motion::{Gate, GateState};

/// What is shown of a gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateStatus {
    /// How far it is to be believed; None where it is not asked.
    pub state: Option<GateState>,
    /// Surprise of the last picture, log2 of bits, above the usual.
    pub level: f32,
    /// Surprise above which it fires.
    pub threshold: f32,
    /// Bits that noise takes: a quiet picture's bits a macroblock at QP 26, where that is known.
    pub noise: Option<f32>,
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

/// The gate, or its absence.
pub(crate) struct Gating {
    gate: Option<Box<Gate>>,
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
        let Some(gate) = &self.gate else {
            return GateStatus {
                state: None,
                level: 0.0,
                threshold: 0.0,
                noise: None,
            };
        };
        let reading = gate.reading();
        GateStatus {
            state: Some(gate.state()),
            level: reading.level,
            threshold: reading.threshold,
            noise: gate.noise(),
        }
    }

    /// None where it is not asked.
    pub(crate) fn state(&self) -> Option<GateState> {
        self.gate.as_ref().map(|gate| gate.state())
    }
}
