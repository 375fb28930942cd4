"""The site file: what it gives, and for each mistake the line, the column, what was meant, and no secret."""

from __future__ import annotations

import contextlib
import datetime
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edusense import Site, errors
from edusense.site.loading import MAX_BYTES
from edusense.site.template import new_site

WHOLE = """\
[site]
id = "shymkent-051"
number = 51001
timezone = "Asia/Almaty"
uplink_kbit = 30_000
data = "/var/lib/edusense"
[recording]
data = "/srv/clips"
budget_gb = 400
[credentials.cameras]
user = "edusense"
password = "file:/etc/edusense/cameras.secret"
[[rooms]]
id = "205"
kind = "classroom"
seats = 28
[[rooms]]
id = "canteen"
kind = "canteen"
[[cameras]]
id = "205-front"
room = "205"
address = "10.20.0.51"
mac = "00:1A:2b:3c:4d:5e"
template = "generic/onvif-t"
credentials = "cameras"
watch = "sub"
keep = "main"
record = "events"
[[readers]]
id = "canteen-left"
driver = "rdm6300"
port = "/dev/serial/by-id/usb-1a86"
[[terminals]]
id = "canteen-left"
number = 1
kind = "meals"
room = "canteen"
reader = "canteen-left"
[meals]
roster = "roster.csv"
[[meals.slots]]
id = "lunch"
from = "11:00"
to = "14:30"
price = "450.00"
[[zones]]
id = "attic-door"
camera = "205-front"
polygon = [[0.1, 0.2], [0.4, 0.2], [0.4, 0.9], [0.1, 0.9]]
kind = "forbidden"
hours = "always"
alert = ["ops-centre"]
[[destinations]]
id = "ops-centre"
driver = "https-json"
url = "https://ops.example.kz/alerts"
"""


def wrong(text: str) -> list[errors.SiteError]:
    with pytest.raises(errors.SiteError) as caught:
        Site.loads(text, path="school.toml")
    return [caught.value, *caught.value.others]


def with_line(old: str, new: str) -> str:
    assert WHOLE.count(old) == 1
    return WHOLE.replace(old, new)


def place_of(fragment: str, text: str = WHOLE, within: str = "") -> tuple[int, int]:
    """Line and column (from 1) of `within` inside the line that holds `fragment`."""
    for number, line in enumerate(text.splitlines(), 1):
        if fragment in line:
            return number, line.index(within or fragment) + 1
    raise AssertionError(fragment)


def test_the_file_of_the_design_loads_with_its_own_names():
    site = Site.loads(WHOLE)
    assert (site.site.id, site.site.number, site.site.uplink_kbit) == ("shymkent-051", 51001, 30_000)
    assert site.recording.budget_gb == 400
    assert site.credentials["cameras"].user == "edusense"
    camera = site.camera("205-front")
    assert (camera.address, camera.mac, camera.watch, camera.keep) == (
        "10.20.0.51",
        "00:1a:2b:3c:4d:5e",
        "sub",
        "main",
    )
    assert site.readers[0].address == "rdm6300:/dev/serial/by-id/usb-1a86"
    slot = site.meals.slots[0]
    assert (slot.from_, slot.to, slot.price_tiyn) == (datetime.time(11), datetime.time(14, 30), 45_000)
    assert site.zones[0].alert == ["ops-centre"]
    assert site.credentials_of(camera) is site.credentials["cameras"]


def test_paths_start_from_the_site_file(tmp_path: Path, monkeypatch):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/school.toml").write_text(new_site())
    monkeypatch.chdir(tmp_path)
    site = Site.load("inner/school.toml")
    assert site.path == tmp_path / "inner/school.toml"
    assert site.roster_path() == tmp_path / "inner/roster.csv"
    assert site.data_folder() == tmp_path / "inner/data"
    assert site.recording_folder() == tmp_path / "inner/data/clips"
    assert site.path_of("/etc/x") == Path("/etc/x")


@pytest.mark.parametrize(
    ("old", "new", "cls", "within", "hint"),
    [
        (
            'timezone = "Asia/Almaty"',
            'time_zone = "Asia/Almaty"',
            errors.SiteUnknownKeyError,
            "time_zone",
            "`timezone`",
        ),
        ("number = 51001", 'number = "51001"', errors.SiteValueError, '"51001"', "number = 51001"),
        ("number = 51001", "number = 0", errors.SiteValueError, "0", None),
        ("number = 51001", "number = 4294967296", errors.SiteValueError, "4294967296", None),
        ("number = 51001", "number = true", errors.SiteValueError, "true", None),
        ('"Asia/Almaty"', '"Asia/Almata"', errors.SiteValueError, '"Asia/Almata"', "Asia/Almaty"),
        ('"Asia/Almaty"', '"../../etc/passwd"', errors.SiteValueError, '"../', None),
        ("seats = 28", "seats = 28.5", errors.SiteValueError, "28.5", None),
        ("seats = 28", "seats = [28]", errors.SiteValueError, "[28]", None),
        ('kind = "classroom"', 'kind = "clasroom"', errors.SiteValueError, '"clasroom"', "classroom"),
        ('room = "205"', 'room = "206"', errors.SiteReferenceError, '"206"', "205"),
        (
            'reader = "canteen-left"',
            'reader = "canteen-lefft"',
            errors.SiteReferenceError,
            '"canteen-lefft"',
            "canteen-left",
        ),
        ('credentials = "cameras"', 'credentials = "camera"', errors.SiteReferenceError, '"camera"', "cameras"),
        ('camera = "205-front"', 'camera = "205-frnt"', errors.SiteReferenceError, '"205-frnt"', "205-front"),
        (
            'alert = ["ops-centre"]',
            'alert = ["ops-centre", "opscentre"]',
            errors.SiteReferenceError,
            '"opscentre"',
            "ops-centre",
        ),
        ("00:1A:2b:3c:4d:5e", "00:1A:2b:3c:4d", errors.SiteValueError, '"00', "mac = "),
        ('address = "10.20.0.51"', 'address = "10.20.0.511"', errors.SiteValueError, '"10', "10.20.0.51"),
        ('address = "10.20.0.51"', 'address = "rtsp://10.20.0.51/x"', errors.SiteValueError, '"rtsp', "url ="),
        ('address = "10.20.0.51"', 'address = "10.20.0.51:70000"', errors.SiteValueError, '"10', None),
        ('id = "shymkent-051"', 'id = "Shymkent 051"', errors.SiteValueError, '"Shymkent', "shymkent-051"),
        ('id = "lunch"', 'id = "lunch-for-all"', errors.SiteValueError, '"lunch-for-all"', "lunch-for-al"),
        ('to = "14:30"', 'to = "11:00"', errors.SiteValueError, '"11:00"', None),
        ('to = "14:30"', 'to = "10:00"', errors.SiteValueError, '"10:00"', "two of them"),
        ('to = "14:30"', 'to = "24:00"', errors.SiteValueError, '"24:00"', "23:59"),
        ('to = "14:30"', "to = 1430", errors.SiteValueError, "1430", None),
        ('price = "450.00"', "price = 450.0", errors.SiteValueError, "450.0", '"450.00"'),
        ('price = "450.00"', "price = 450", errors.SiteValueError, "450", '"450.00"'),
        ('price = "450.00"', 'price = "450.005"', errors.SiteValueError, '"450.005"', None),
        ('price = "450.00"', 'price = "450,00"', errors.SiteValueError, '"450,00"', '"450.00"'),
        ("[0.4, 0.2]", "[1.4, 0.2]", errors.SiteValueError, "1.4", None),
        ("[0.4, 0.2]", "[nan, 0.2]", errors.SiteValueError, "nan", None),
        ("[0.4, 0.2]", "[0.4]", errors.SiteValueError, "[0.4]", None),
        (
            "[[0.1, 0.2], [0.4, 0.2], [0.4, 0.9], [0.1, 0.9]]",
            "[[0.1, 0.2], [0.4, 0.2]]",
            errors.SiteValueError,
            "[[0.1",
            None,
        ),
        (
            "[[0.1, 0.2], [0.4, 0.2], [0.4, 0.9], [0.1, 0.9]]",
            "[[0, 0], [1, 1], [1, 0], [0, 1]]",
            errors.SiteValueError,
            "[[0,",
            "order",
        ),
        (
            "[[0.1, 0.2], [0.4, 0.2], [0.4, 0.9], [0.1, 0.9]]",
            "[[0, 0], [1, 1], [0.5, 0.5]]",
            errors.SiteValueError,
            "[[0,",
            None,
        ),
        ('hours = "always"', 'hours = "monday"', errors.SiteValueError, '"monday"', "mon-fri"),
        ('url = "https://ops.example.kz/alerts"', 'url = "ops"', errors.SiteValueError, '"ops"', "https"),
        (
            'template = "generic/onvif-t"',
            'template = "../../secret"',
            errors.SiteValueError,
            '"../',
            "firmware_configs",
        ),
    ],
)
def test_a_mistake_has_a_place_and_says_what_was_meant(old, new, cls, within, hint):
    text = with_line(old, new)
    first, *others = wrong(text)
    assert not others
    assert type(first) is cls
    assert (first.line, first.column) == place_of(new, text, within)
    assert first.path == "school.toml"
    assert first.exit_status == 3
    if hint is not None:
        assert hint in (first.hint or "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('address = "10.20.0.51"', 'adress = "10.20.0.51"'),
        ("number = 51001", "nubmer = 51001"),
        ('kind = "classroom"', 'knd = "classroom"'),
    ],
)
def test_a_required_key_that_is_misspelt_is_one_mistake(old, new):
    text = with_line(old, new)
    first, *others = wrong(text)
    assert not others
    assert type(first) is errors.SiteUnknownKeyError
    assert (first.line, first.column) == place_of(new, text, None)
    assert first.hint == f"perhaps `{old.partition(' ')[0]}`"


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ('[[rooms]]\nid = "205"\nkind = "gym"', "id"),
        ('[[cameras]]\nid = "205-front"\nroom = "205"\naddress = "10.20.0.52"', "id"),
        ('[[cameras]]\nid = "new"\nroom = "205"\naddress = "10.20.0.52"\nmac = "00-1a-2B-3c-4d-5e"', "mac"),
        ('[[cameras]]\nid = "new"\nroom = "205"\naddress = "10.20.0.51"', "address"),
        ('[[readers]]\nid = "canteen-left"\ndriver = "ccid"', "id"),
        ('[[readers]]\nid = "new"\ndriver = "wiegand"\nport = "/dev/serial/by-id/usb-1a86"', "port"),
        ('[[terminals]]\nid = "canteen-left"\nnumber = 2\nroom = "canteen"', "id"),
        ('[[terminals]]\nid = "new"\nnumber = 1\nroom = "canteen"', "number"),
        ('[[terminals]]\nid = "new"\nnumber = 2\nroom = "canteen"\nreader = "canteen-left"', "reader"),
    ],
)
def test_what_is_given_twice_names_the_second_place_and_the_first_line(table, key):
    text = WHOLE + table + "\n"
    first, *others = wrong(text)
    assert not others
    assert type(first) is errors.SiteDuplicateError
    lines = text.splitlines()
    assert first.line is not None
    assert first.line > WHOLE.count("\n")
    assert lines[first.line - 1].startswith(f"{key} = ")
    assert "is on line" in (first.hint or "")


def test_an_encoders_channels_share_an_address():
    more = '[[cameras]]\nid = "channel-2"\nroom = "205"\naddress = "10.20.0.51"\nwatch = "channel2"\n'
    assert len(Site.loads(WHOLE + more).cameras) == 2


def test_slots_that_overlap_are_refused_and_slots_that_touch_are_not():
    touching = '[[meals.slots]]\nid = "tea"\nfrom = "14:30"\nto = "15:00"\nprice = "100"\n'
    text = WHOLE.replace("[[zones]]", touching + "[[zones]]")
    assert [slot.id for slot in Site.loads(text).meals.slots] == ["lunch", "tea"]
    (error,) = wrong(text.replace('from = "14:30"', 'from = "14:29"'))
    assert "overlaps slot `lunch`" in error.message
    assert error.line == place_of('from = "14:30"', text)[0]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "neither"),
        ('address = "10.20.0.51"\nurl = "rtsp://10.20.0.51/x"', "both"),
        ('address = "10.20.0.51"\nkeep_url = "rtsp://10.20.0.51/x"', "goes with `url`"),
    ],
)
def test_a_camera_has_one_way_in(lines, said):
    (error,) = wrong(with_line('address = "10.20.0.51"', lines))
    assert said in error.message
    assert "205-front" in error.message


def test_all_errors_of_a_file_are_told_in_its_order():
    text = WHOLE.replace("seats = 28", 'seats = "many"').replace('room = "205"', 'room = "999"')
    text = text.replace('hours = "always"', 'hours = "now"').replace("uplink_kbit", "uplink")
    found = wrong(text)
    assert [type(error) for error in found] == [
        errors.SiteUnknownKeyError,
        errors.SiteValueError,
        errors.SiteReferenceError,
        errors.SiteValueError,
    ]
    assert [error.line for error in found] == sorted(error.line or 0 for error in found)
    assert len(found[0].to_json()["others"]) == 3
    again = pickle.loads(pickle.dumps(found[0]))
    assert (str(again), again.hint, len(again.others)) == (str(found[0]), found[0].hint, 3)


@pytest.mark.parametrize(
    "line",
    [
        'password = "hunter2"',
        'password = "file:"',
        'password = "env:hunter2 "',
        'password = ["hunter2"]',
        "password = 702215",
        'pasword = "hunter2"',
        'password = "hunter2',
        'user = ["hunter2"]',
    ],
)
def test_a_secret_in_the_file_is_never_repeated(line):
    key = "user" if line.startswith("user") else "password"
    old = 'user = "edusense"' if key == "user" else 'password = "file:/etc/edusense/cameras.secret"'
    found = wrong(with_line(old, line))
    assert found[0].line == place_of(old)[0] or any(error.line == place_of(old)[0] for error in found)
    for error in found:
        told = f"{error}{error!r}{error.hint}{error.to_json()}{error.__cause__!r}{error.__context__!r}"
        assert "hunter2" not in told
        assert "702215" not in told
    if line == 'password = "hunter2"':
        assert type(found[0]) is errors.SiteSecretError
        assert "file:" in (found[0].hint or "")


@pytest.mark.parametrize(
    "line",
    [
        'url = "rtsp://admin:hunter2@10.20.0.51/x"',
        'url = "rtsp://10.20.0.51:554/user=admin&password=hunter2&channel=1&stream=0.sdp"',
        'url = "rtsp://10.20.0.51/live?channel=1&pwd=hunter2"',
        'address = "admin:hunter2@10.20.0.51"',
        'url = "//:hunter2@["',
    ],
)
def test_a_password_in_an_address_is_a_secret_too(line):
    found = wrong(with_line('address = "10.20.0.51"', line))
    assert type(found[0]) is errors.SiteSecretError
    assert "hunter2" not in "".join(f"{error}{error.hint}" for error in found)


@pytest.mark.parametrize("key", ["password", "passwd", "PWD", "secret"])
def test_a_password_among_a_cameras_keys_is_told_where_it_belongs(key):
    found = wrong(with_line('credentials = "cameras"', f'{key} = "hunter2"'))
    assert type(found[0]) is errors.SiteSecretError
    assert "[credentials.NAME]" in (found[0].hint or "")
    assert "hunter2" not in "".join(f"{error}{error.hint}" for error in found)


def test_a_place_that_names_nothing_is_not_taken_for_a_secret():
    found = wrong(with_line("file:/etc/edusense/cameras.secret", "env:"))
    assert type(found[0]) is errors.SiteValueError
    assert "name of a variable" in found[0].message


@pytest.mark.parametrize(
    "address",
    ["http://10.20.0.52:8000", "10.20.0.52:2020/onvif/service", "https://camera-7.school.local/", "[fe80::1]"],
)
def test_an_address_may_stand_as_a_search_prints_it(address):
    assert Site.loads(with_line("10.20.0.51", address)).cameras[0].address == address


def test_a_file_that_is_not_utf8_names_the_byte(tmp_path: Path):
    path = tmp_path / "school.toml"
    path.write_bytes('[site]\nid = "школа"'.encode() + "\n# шк".encode("cp1251"))
    with pytest.raises(errors.SiteEncodingError) as caught:
        Site.load(path)
    assert (caught.value.line, caught.value.column) == (3, 3)
    assert "0xf8" in caught.value.message
    path.write_bytes(WHOLE.encode("utf-16"))
    with pytest.raises(errors.SiteEncodingError, match="1:1") as caught:
        Site.load(path)
    assert "UTF-16" in (caught.value.hint or "")


def test_columns_count_characters_and_a_byte_order_mark_takes_none():
    (error,) = wrong('\ufeff[site]\nid = "a"\nnumber = 1\n[[rooms]]\nid = "b"\nkind = "gym"\nname = { "ж" = 1 }')
    assert (error.line, error.column) == (7, 8)
    error, *_ = wrong("\ufeffsite = 1")
    assert (error.line, error.column) == (1, 8)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[site\nid = 1", (1, 6)),
        ('[site]\nid = "a"\nid = "b"', (3, 1)),
        ("[site]\nid = a", (2, 6)),
        ("a = " + "[" * 5000, (1, 85)),
        ("[site]\nid = '\0'", (2, 7)),
    ],
)
def test_what_is_not_toml_has_a_place(text, place):
    error, *others = wrong(text)
    assert type(error) is errors.SiteSyntaxError
    assert not others
    assert error.line == place[0]
    assert abs((error.column or 0) - place[1]) <= 1
    assert error.hint


def test_files_that_are_no_site_file(tmp_path: Path):
    for path, said in [(tmp_path / "none.toml", "no such file"), (tmp_path, "folder")]:
        with pytest.raises(errors.SiteFileError, match=said) as caught:
            Site.load(path)
        assert caught.value.hint
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    with pytest.raises(errors.SiteFileError, match="empty"):
        Site.load(empty)
    empty.write_text("# only words\n")
    with pytest.raises(errors.SiteFileError, match="comments"):
        Site.load(empty)
    huge = tmp_path / "huge.toml"
    with huge.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(errors.SiteFileError, match="4 MiB"):
        Site.load(huge)


def test_a_large_school_loads_at_once():
    rooms = "".join(f'[[rooms]]\nid = "r{index}"\nkind = "classroom"\n' for index in range(300))
    cameras = "".join(
        f'[[cameras]]\nid = "c{index}"\nroom = "r{index % 300}"\naddress = "10.0.{index // 250}.{index % 250}"\n'
        for index in range(1000)
    )
    site = Site.loads(f'[site]\nid = "a"\nnumber = 1\n{rooms}{cameras}')
    assert len(site.cameras) == 1000
    assert site.place("cameras", 999, "room") == (3 + 900 + 999 * 4 + 3, 8)


def test_a_device_that_is_not_there_is_named_with_the_nearest():
    site = Site.loads(WHOLE)
    with pytest.raises(errors.UsageError, match="no camera `205-frnt`") as caught:
        site.camera("205-frnt")
    assert "205-front" in (caught.value.hint or "")
    with pytest.raises(errors.UsageError) as caught:
        site.terminal("x")
    assert "canteen-left" in (caught.value.hint or "")


def test_a_site_cannot_be_changed_and_shows_no_secret(monkeypatch):
    monkeypatch.setenv("CAMERA_PASSWORD", "hunter2")
    site = Site.loads(with_line("file:/etc/edusense/cameras.secret", "env:CAMERA_PASSWORD"))
    assert site.credentials["cameras"].secret() == "hunter2"
    assert "hunter2" not in f"{site!r}{site.model_dump()}{site.to_json()}"
    with pytest.raises(ValueError, match="frozen"):
        site.site.number = 2  # type: ignore[misc]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_site_or_a_site_error(text: str):
    with contextlib.suppress(errors.SiteError):
        Site.loads(text)


_LEAF = st.one_of(st.text(max_size=6), st.integers(-5, 70000), st.floats(), st.booleans(), st.just([]), st.just({}))


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["site", "rooms", "cameras", "readers", "terminals", "meals", "zones", "credentials", "x"]),
        st.one_of(
            _LEAF,
            st.lists(
                st.dictionaries(
                    st.sampled_from(["id", "room", "kind", "number", "reader", "alert", "camera", "port"]), _LEAF
                )
                | _LEAF,
                max_size=3,
            ),
            st.dictionaries(st.sampled_from(["id", "slots", "from", "roster"]), st.lists(_LEAF, max_size=2) | _LEAF),
        ),
    )
)
def test_any_shape_of_data_is_refused_with_places_and_without_a_crash(data):
    from edusense import _native

    changes = [("set", [name], value) for name, value in data.items()]
    text = _native.edit_toml("", changes)
    for error in wrong(text) if data else []:
        assert error.line is None or 1 <= error.line <= text.count("\n") + 1
