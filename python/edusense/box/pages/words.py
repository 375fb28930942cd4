"""The words of the kiosk itself, in Kazakh, Russian and English. Those of verdicts are `edusense.meals.words`."""

from __future__ import annotations

from typing import Final

__all__ = ["WORDS"]

WORDS: Final[dict[str, dict[str, str]]] = {
    "hold": {"kk": "Картаңызды тигізіңіз", "ru": "Приложите карту", "en": "Hold your card here"},
    "served": {"kk": "берілді", "ru": "выдано", "en": "served"},
    "inside": {"kk": "ғимаратта", "ru": "в здании", "en": "inside"},
    "no-slot": {"kk": "Қазір тамақ берілмейді", "ru": "Сейчас питания нет", "en": "No meal is on now"},
    "offline": {
        "kk": "Терминал байланыста емес",
        "ru": "Нет связи с терминалом",
        "en": "No connection to the terminal",
    },
    "reader": {
        "kk": "Карта оқығыш қосылмаған",
        "ru": "Считыватель не подключён",
        "en": "The card reader is not connected",
    },
    "cannot-record": {
        "kk": "Жазу мүмкін емес: қағаз тізім жүргізіңіз",
        "ru": "Запись невозможна: ведите бумажный список",
        "en": "Cannot record: keep a list on paper",
    },
    "clock-unsure": {
        "kk": "Күн мен уақытты тексеріңіз",
        "ru": "Проверьте дату и время",
        "en": "Check date and time",
    },
    "sound": {
        "kk": "Дыбысты қосу үшін басыңыз",
        "ru": "Нажмите, чтобы включить звук",
        "en": "Touch to switch sound on",
    },
    "by-hand": {"kk": "Қолмен", "ru": "Вручную", "en": "By hand"},
    "operator": {"kk": "Кім енгізеді?", "ru": "Кто вводит?", "en": "Who is it?"},
    "pin": {"kk": "PIN-код", "ru": "PIN-код", "en": "PIN"},
    "wrong-pin": {"kk": "PIN-код қате", "ru": "Неверный PIN-код", "en": "Wrong PIN"},
    "no-operators": {
        "kk": "PIN-коды бар оператор жоқ",
        "ru": "Нет операторов с PIN-кодом",
        "en": "No operator has a PIN",
    },
    "what": {"kk": "Не істейміз?", "ru": "Что сделать?", "en": "What is to be done?"},
    "enter": {"kk": "Тамақты енгізу", "ru": "Ввести питание", "en": "Enter a meal"},
    "reverse": {"kk": "Тамақты қайтару", "ru": "Отменить питание", "en": "Take a meal back"},
    "clock": {"kk": "Уақытты растау", "ru": "Подтвердить время", "en": "Confirm the time"},
    "class": {"kk": "Сынып", "ru": "Класс", "en": "Class"},
    "pupil": {"kk": "Оқушы", "ru": "Ученик", "en": "Pupil"},
    "meal": {"kk": "Қай тамақ?", "ru": "Какое питание?", "en": "Which meal?"},
    "why": {"kk": "Себебі", "ru": "Причина", "en": "Why"},
    "card-forgotten": {"kk": "Карта үйде қалған", "ru": "Карта дома", "en": "Card forgotten"},
    "card-lost": {"kk": "Карта жоғалған", "ru": "Карта потеряна", "en": "Card lost"},
    "card-broken": {"kk": "Карта бұзылған", "ru": "Карта сломана", "en": "Card broken"},
    "reader-broken": {"kk": "Оқығыш бұзылған", "ru": "Считыватель сломан", "en": "Reader broken"},
    "paper-list": {"kk": "Қағаз тізімнен", "ru": "Из бумажного списка", "en": "From the paper list"},
    "wrong-child": {"kk": "Басқа бала", "ru": "Другой ребёнок", "en": "Wrong child"},
    "not-eaten": {"kk": "Тамақ ішпеген", "ru": "Не ел(а)", "en": "Not eaten"},
    "mistake": {"kk": "Қате", "ru": "Ошибка", "en": "Mistake"},
    "right": {"kk": "Уақыт дұрыс", "ru": "Время верное", "en": "The time is right"},
    "set": {"kk": "Осы уақытты қою", "ru": "Установить это время", "en": "Set this time"},
    "back": {"kk": "Артқа", "ru": "Назад", "en": "Back"},
    "done": {"kk": "Дайын", "ru": "Готово", "en": "Done"},
    "failed": {"kk": "Орындалмады", "ru": "Не получилось", "en": "It did not work"},
    "nothing": {"kk": "Тізім бос", "ru": "Список пуст", "en": "Nothing here"},
}
"""By key and language."""
