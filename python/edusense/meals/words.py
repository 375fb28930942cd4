"""What a terminal says, in Kazakh, Russian and English: the title of each verdict, and the sentence below it.

A `Sentence` is a key and its values; the language is chosen where it is shown. A rule of somebody else's brings its
own words with `Sentence.own`.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LANGUAGES", "TITLES", "Sentence", "title"]

LANGUAGES: Final = ("kk", "ru", "en")

TITLES: Final[Mapping[str, Mapping[str, str]]] = {
    "meal": {"kk": "Ас болсын!", "ru": "Приятного аппетита!", "en": "Enjoy your meal!"},
    "arrival": {"kk": "Қош келдіңіз!", "ru": "Добро пожаловать!", "en": "Welcome!"},
    "departure": {"kk": "Сау болыңыз!", "ru": "До свидания!", "en": "Goodbye!"},
    "unknown-card": {"kk": "Карта белгісіз", "ru": "Неизвестная карта", "en": "Unknown card"},
    "blocked-card": {"kk": "Карта бұғатталған", "ru": "Карта заблокирована", "en": "Blocked card"},
    "other-school": {"kk": "Басқа мектеп", "ru": "Другая школа", "en": "Other school"},
    "clock-not-trusted": {
        "kk": "Күн мен уақыт расталмаған",
        "ru": "Дата и время не подтверждены",
        "en": "Date and time not confirmed",
    },
    "no-consent": {"kk": "Ата-ана келісімі жоқ", "ru": "Нет согласия родителей", "en": "No parents' consent"},
    "not-on-list": {"kk": "Тізімде жоқ", "ru": "Нет в списке", "en": "Not on the list"},
    "closed-day": {"kk": "Бүгін тамақ берілмейді", "ru": "Сегодня питания нет", "en": "No meals today"},
    "outside-slot": {"kk": "Тамақ уақыты емес", "ru": "Не время питания", "en": "Not meal time"},
    "already-served": {"kk": "Тамақ берілген", "ru": "Питание уже получено", "en": "Already served"},
    "cannot-record": {"kk": "Жазу мүмкін емес", "ru": "Запись невозможна", "en": "Cannot record"},
}
"""What stands large on the screen: by reason, and by kind for green."""

_SENTENCES: Final[Mapping[str, Mapping[str, str]]] = {
    "nobody": {
        "kk": "{card} картасы ешкімге тіркелмеген",
        "ru": "карта {card} ни за кем не закреплена",
        "en": "nobody has the card {card}",
    },
    "drawn-anew": {
        "kk": "{card} нөмірі әр оқылған сайын өзгереді (телефон немесе жасырын карта): ол ешкімді білдірмейді",
        "ru": "номер {card} меняется при каждом считывании (телефон или скрытая карта) и никого не обозначает",
        "en": "{card} is drawn anew at each reading (a telephone, or a card set to privacy) and identifies nobody",
    },
    "ambiguous": {
        "kk": "{card} нөмірі {count} оқушының картасына сәйкес келеді",
        "ru": "номер {card} подходит картам {count} учеников",
        "en": "the number {card} fits the cards of {count} pupils",
    },
    "token": {
        "kk": "`{token}` коды бұл құрылғыға белгілі ваучер емес",
        "ru": "код `{token}` — не ваучер, известный этому устройству",
        "en": "the code `{token}` is no voucher that this box knows",
    },
    "lost": {
        "kk": "карта {since} жоғалған деп белгіленген",
        "ru": "карта отмечена потерянной {since}",
        "en": "the card was reported lost on {since}",
    },
    "blocked": {
        "kk": "карта {since} бұғатталған",
        "ru": "карта заблокирована {since}",
        "en": "the card was blocked on {since}",
    },
    "replaced": {
        "kk": "карта {since} ауыстырылған",
        "ru": "карта заменена {since}",
        "en": "the card was replaced on {since}",
    },
    "other-school": {
        "kk": "№ {school} мектептің оқушысы",
        "ru": "числится в школе № {school}",
        "en": "belongs to school {school}",
    },
    "consent-none": {
        "kk": "ата-анасының келісімі тіркелмеген",
        "ru": "согласие родителей не зарегистрировано",
        "en": "no consent of the parents is on file",
    },
    "consent-later": {
        "kk": "ата-анасының келісімі {day} басталады",
        "ru": "согласие родителей действует с {day}",
        "en": "the parents' consent begins on {day}",
    },
    "voucher-none": {"kk": "ваучері жоқ", "ru": "нет ваучера", "en": "has no voucher"},
    "voucher-from": {
        "kk": "ваучер {begin} басталады",
        "ru": "ваучер действует с {begin}",
        "en": "the voucher runs from {begin}",
    },
    "voucher-span": {
        "kk": "ваучер мерзімі: {begin} – {end}",
        "ru": "ваучер действует с {begin} по {end}",
        "en": "the voucher runs from {begin} to {end}",
    },
    "not-listed": {
        "kk": "{period} тізімінде жоқ",
        "ru": "нет в списке на {period}",
        "en": "is not on the list of {period}",
    },
    "list-over": {
        "kk": "{period} тізімінің мерзімі өткен, жаңасы жоқ",
        "ru": "список на {period} закончился, нового нет",
        "en": "the list of {period} has ended, and there is no new one",
    },
    "staff": {"kk": "мектеп қызметкері", "ru": "сотрудник школы", "en": "works in the school"},
    "closed": {"kk": "{day}: {why}", "ru": "{day}: {why}", "en": "{day} is closed: {why}"},
    "slots": {
        "kk": "қазір {now}; тамақ уақыты: {slots}",
        "ru": "сейчас {now}; питание: {slots}",
        "en": "it is {now}; meals: {slots}",
    },
    "shift": {
        "kk": "{shift}-ауысым; тамақ уақыты: {slots}",
        "ru": "{shift}-я смена; питание: {slots}",
        "en": "learns in shift {shift}; meals: {slots}",
    },
    "served": {
        "kk": "тамақ {at} берілген",
        "ru": "питание получено в {at}",
        "en": "already served at {at}",
    },
    "served-elsewhere": {
        "kk": "тамақ {at} берілген, {terminal}-терминал",
        "ru": "питание получено в {at}, терминал {terminal}",
        "en": "already served at {at} at terminal {terminal}",
    },
    "served-unsure": {
        "kk": "{at} жазылған, сол сәтте ток сөнген",
        "ru": "записано в {at}, прямо перед отключением света",
        "en": "recorded at {at}, just before the power failed",
    },
    "clock-gap": {
        "kk": "соңғы жазбадан бері {hours} сағат өтті; күнді растаңыз",
        "ru": "с последней записи прошло {hours} ч; подтвердите дату",
        "en": "{hours} h since the last record; confirm the date",
    },
    "clock-edge": {
        "kk": "сағат шамамен {now}, «{slot}» шегінде; күн мен уақытты растаңыз",
        "ru": "на часах около {now}, на границе «{slot}»; подтвердите дату и время",
        "en": "it is about {now}, at the edge of {slot}; confirm date and time",
    },
    "cannot-record": {
        "kk": "жазу мүмкін емес: {error}",
        "ru": "запись невозможна: {error}",
        "en": "cannot record: {error}",
    },
    "came": {"kk": "{at} келді", "ru": "вход в {at}", "en": "came in at {at}"},
    "left": {"kk": "{at} кетті", "ru": "выход в {at}", "en": "went out at {at}"},
    "allergens": {"kk": "Аллергия: {what}", "ru": "Аллергия: {what}", "en": "Allergy: {what}"},
    "text": {"kk": "{text}", "ru": "{text}", "en": "{text}"},
}

_CLOSURES: Final[Mapping[str, Mapping[str, str]]] = {
    "holiday": {"kk": "мереке", "ru": "праздник", "en": "holiday"},
    "vacation": {"kk": "каникул", "ru": "каникулы", "en": "vacation"},
    "sanitary-day": {"kk": "санитарлық күн", "ru": "санитарный день", "en": "sanitary day"},
    "weather": {"kk": "ауа райына байланысты", "ru": "из-за погоды", "en": "because of the weather"},
    "quarantine": {"kk": "карантин", "ru": "карантин", "en": "quarantine"},
    "weekend": {"kk": "демалыс күні", "ru": "выходной", "en": "no day with meals"},
    "other": {"kk": "жабық", "ru": "закрыто", "en": "closed by the school"},
}


@dataclass(frozen=True)
class Sentence:
    """Something to say, in whichever language it is asked for.

    >>> Sentence("consent-later", {"day": datetime.date(2026, 10, 6)}).text("ru")
    'согласие родителей действует с 06.10.2026'
    >>> Sentence.own(en="no second soup", ru="второй суп не положен").text("kk")
    'второй суп не положен'
    """

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, str] | None = None
    """By language, for a sentence that is not in the book."""

    @classmethod
    def own(cls, **words: str) -> Sentence:
        """A sentence in one's own words, by language (`kk`, `ru`, `en`); braces stand for themselves."""
        return cls("text", words=words)

    def text(self, language: str = "en") -> str:
        """The sentence.

        Args:
            language: one of `LANGUAGES`; where there are no words in it, Russian and English are tried.
        """
        if self.words is not None:
            order = (language, "ru", "en", *self.words)
            return next(self.words[name] for name in order if name in self.words)
        template = _SENTENCES[self.key][language]
        return template.format(**{name: _shown(value, language) for name, value in self.values.items()})

    def to_json(self) -> dict[str, str]:
        """The sentence in every language."""
        return {language: self.text(language) for language in LANGUAGES}


def title(what: str, language: str) -> str:
    """What stands large on the screen.

    Args:
        what: a reason, or `meal`, `arrival`, `departure`.
        language: one of `LANGUAGES`.

    >>> title("already-served", "kk")
    'Тамақ берілген'
    >>> title("two-hours-apart", "en")
    'Two hours apart'
    """
    words = TITLES.get(what)
    return what.replace("-", " ").capitalize() if words is None else words[language]


def _shown(value: Any, language: str) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat() if language == "en" else f"{value:%d.%m.%Y}"
    if isinstance(value, tuple):  # why a day is closed: its kind, and somebody's own words
        kind, note = value
        word = _CLOSURES.get(kind, {}).get(language, str(kind))
        return word if not note else f"{word} ({note})"
    return str(value)
