"""Meals: a card's tap becomes a record that cannot be lost, doubled or altered unnoticed.

`Ledger` holds the records, `Roster` says who may eat, `Terminal` turns a card into a `Verdict`.
"""

from __future__ import annotations

from edusense.meals.acknowledgements import Acknowledgement, Acknowledgements, Totals
from edusense.meals.batches import Batch, batches_of, make_batch
from edusense.meals.calendar import Calendar, Closure
from edusense.meals.clock import MealClock, Moment
from edusense.meals.export import MEAL_COLUMNS, meal_rows, terminal_rows
from edusense.meals.keys import KeyRing, SigningKey, read_public_key
from edusense.meals.ledger import Holding, Ledger, Problem, Receipts, TornTail, Verification
from edusense.meals.proofs import Proof, prove
from edusense.meals.pupil import Pupil
from edusense.meals.record import DTYPE, Flag, Kind, RecordKey, Status, day_number, kind_name
from edusense.meals.roster import Change, Roster, RosterCheck
from edusense.meals.rules import RULES, Case, Refusal, Served
from edusense.meals.slots import Slot, find_slot
from edusense.meals.store import RosterBook, RosterStore
from edusense.meals.streams import Stream, Streams
from edusense.meals.terminal import REASONS, Terminal, Verdict, card_hash
from edusense.meals.words import LANGUAGES, Sentence, title

__all__ = [
    "DTYPE",
    "LANGUAGES",
    "MEAL_COLUMNS",
    "REASONS",
    "RULES",
    "Acknowledgement",
    "Acknowledgements",
    "Batch",
    "Calendar",
    "Case",
    "Change",
    "Closure",
    "Flag",
    "Holding",
    "KeyRing",
    "Kind",
    "Ledger",
    "MealClock",
    "Moment",
    "Problem",
    "Proof",
    "Pupil",
    "Receipts",
    "RecordKey",
    "Refusal",
    "Roster",
    "RosterBook",
    "RosterCheck",
    "RosterStore",
    "Sentence",
    "Served",
    "SigningKey",
    "Slot",
    "Status",
    "Stream",
    "Streams",
    "Terminal",
    "TornTail",
    "Totals",
    "Verdict",
    "Verification",
    "batches_of",
    "card_hash",
    "day_number",
    "find_slot",
    "kind_name",
    "make_batch",
    "meal_rows",
    "prove",
    "read_public_key",
    "terminal_rows",
    "title",
]
