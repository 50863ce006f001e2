"""The promise: a value, key or table that does not fit is told once, at exactly its line."""

import tomllib

import pytest

from rules.profiles import check_profile
from tests.unit.rules.rules_profile_text import WUZHOU, append, change, line_of, rename, said

ABOVE = 'not "above" or "at_or_above"; write comparator = "above" or comparator = "at_or_above"'
MMHG = "not a number from 50 to 300 with at most 13 decimals; state the limit in mmHg as its"
MMOL_L = "not a number from 0.6 to 55 with at most 4 decimals; state the limit in mmol/L as its"
SOURCE = 'write source = "…", the document and section'
TIME_ZONE = "not a zone of the tz database that keeps one offset; write time_zone ="
DATE = "not a date; write valid_from = 2026-01-31, the first local day on which it applies"
DAYS = "not a list of whole days above 0 that ascend; write escalation_days = [7, 14] or other"


@pytest.mark.parametrize(
    ("table", "name", "line", "problem"),
    [
        ("[bp_office]", "unit", 'unit = "kPa"', 'is "kPa", not "mmHg"; write unit = "mmHg"'),
        (
            "[glucose_fasting]",
            "unit",
            'unit = "mg/dL"',
            'is "mg/dL", not "mmol/L"; write unit = "mmol/L"',
        ),
        ("[bp_interarm]", "unit", "unit = 1", 'is 1, not "mmHg"; write unit = "mmHg"'),
        (
            "[bp_home]",
            "comparator",
            'comparator = "at_or_below"',
            f'is "at_or_below", {ABOVE}',
        ),
        ("[bp_interarm]", "comparator", "comparator = []", f"is [], {ABOVE}"),
        (
            "[glucose_emergency_low]",
            "comparator",
            'comparator = "above"',
            'is "above", not "at_or_below"; write comparator = "at_or_below"',
        ),
        (
            "[bp_home]",
            "unit",
            'unit = "毫米汞柱"',
            'is "毫米汞柱", not "mmHg"; write unit = "mmHg"',
        ),
        (
            "[bp_home]",
            "unit",
            f'unit = "{"m" * 38}"',
            f'is "{"m" * 38}", not "mmHg"; write unit = "mmHg"',
        ),
        ("[bp_office]", "systolic", 'systolic = "140"', f'is "140", {MMHG} source gives it'),
        ("[bp_office]", "systolic", "systolic = true", f"is true, {MMHG} source gives it"),
        ("[bp_office]", "systolic", "systolic = nan", f"is NaN, {MMHG} source gives it"),
        ("[bp_office]", "systolic", "systolic = inf", f"is Infinity, {MMHG} source gives it"),
        ("[bp_office]", "systolic", "systolic = 49.9", f"is 49.9, {MMHG} source gives it"),
        ("[bp_emergency]", "systolic", "systolic = 301", f"is 301, {MMHG} source gives it"),
        (
            "[bp_office]",
            "systolic",
            "systolic = 1e99999999999999999999",
            f"is NaN, {MMHG} source gives it",
        ),
        (
            "[bp_office]",
            "systolic",
            "systolic = 140.00000000000001",
            f"is 140.00000000000001, {MMHG} source gives it",
        ),
        (
            "[bp_office]",
            "diastolic",
            "diastolic = 201",
            (
                "is 201, not a number from 20 to 200 with at most 13 decimals; "
                "state the limit in mmHg as its source gives it"
            ),
        ),
        ("[glucose_fasting]", "limit", "limit = 0.5", f"is 0.5, {MMOL_L} source gives it"),
        ("[glucose_fasting]", "limit", "limit = 7.00001", f"is 7.00001, {MMOL_L} source gives it"),
        (
            "[glucose_fasting]",
            "limit",
            "limit = 7.0000000000000000000000000000000000000001",
            f"is 7.00000000000000000000000000000000000000…, {MMOL_L} source gives it",
        ),
        ("[glucose_fasting]", "limit", "limit = {a = 1}", f"is a table, {MMOL_L} source gives it"),
        (
            "[bp_interarm]",
            "limit",
            "limit = 0",
            (
                "is 0, not a number from 1 to 250 with at most 13 decimals; "
                "state the limit in mmHg as its source gives it"
            ),
        ),
        ("[session]", "source", 'source = " "', f'is " ", not the name of a document; {SOURCE}'),
        ("[[bp_home.tier]]", "source", "source = 3", f"is 3, not the name of a document; {SOURCE}"),
        (
            "[[bp_home.tier]]",
            "age_min",
            "age_min = 0",
            "is 0, not a whole number from 1 to 120; state the number of completed years",
        ),
        (
            "[bp_screening]",
            "age_min",
            "age_min = 121",
            "is 121, not a whole number from 1 to 120; state the number of completed years",
        ),
        (
            "[bp_screening]",
            "severity",
            'severity = "high"',
            'is "high", not "info" or "warn"; write severity = "info" or severity = "warn"',
        ),
        (
            "[bp_screening]",
            "due_days",
            "due_days = 14.0",
            "is 14.0, not a whole number from 1 to 3650; state the number of days",
        ),
        (
            "[bp_screening.suspected]",
            "days_high",
            "days_high = 4",
            "is 4, not a whole number from 3 to 3; state the number of days",
        ),
        (
            "[followup]",
            "second_days",
            "second_days = 0",
            "is 0, not a whole number from 1 to 3650; state the number of days",
        ),
        (
            "[followup]",
            "referral_days",
            "referral_days = true",
            "is true, not a whole number from 1 to 3650; state the number of days",
        ),
        (
            "[followup]",
            "unsatisfied_for_referral",
            "unsatisfied_for_referral = 1",
            "is 1, not a whole number from 2 to 100; state the number of assessments",
        ),
        (
            "[followup]",
            "adverse_reactions_for_referral",
            "adverse_reactions_for_referral = 101",
            "is 101, not a whole number from 2 to 100; state the number of visits",
        ),
        (
            "[followup]",
            "face_to_face_per_year",
            "face_to_face_per_year = 0",
            "is 0, not a whole number from 1 to 100; state the number of visits",
        ),
        (
            "[followup]",
            "escalation_days",
            "escalation_days = [7, 7]",
            f"is [7, 7], {DAYS} days, the earliest first",
        ),
        (
            "[followup]",
            "escalation_days",
            "escalation_days = [0, 7]",
            f"is [0, 7], {DAYS} days, the earliest first",
        ),
        (
            "[followup]",
            "escalation_days",
            "escalation_days = 7",
            f"is 7, {DAYS} days, the earliest first",
        ),
        (
            "[session]",
            "wait_minutes",
            "wait_minutes = -1",
            "is -1, not a whole number from 0 to 3650; state the number of minutes",
        ),
        (
            "[assessment]",
            "span_hours",
            "span_hours = 3651",
            "is 3651, not a whole number from 1 to 3650; state the number of hours",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_told_at_its_line(
    table: str, name: str, line: str, problem: str
) -> None:
    text = change(WUZHOU, table, name, line)
    key = table.strip("[]").replace("tier", "tier[0]")

    assert said(text) == [f"wuzhou.toml:{line_of(text, table, name)}: {key}.{name}: {problem}"]


@pytest.mark.parametrize(
    ("name", "line", "problem"),
    [
        ("valid_from", "valid_from = 2015", f"is 2015, {DATE}"),
        ("valid_from", "valid_from = 2015-01-01T00:00:00", f"is 2015-01-01 00:00:00, {DATE}"),
        ("time_zone", 'time_zone = "Asia/Nowhere"', f'is "Asia/Nowhere", {TIME_ZONE}'),
        ("time_zone", 'time_zone = "Asia"', f'is "Asia", {TIME_ZONE}'),
        ("time_zone", 'time_zone = "Europe/Berlin"', f'is "Europe/Berlin", {TIME_ZONE}'),
        ("time_zone", "time_zone = 8", f"is 8, {TIME_ZONE}"),
        (
            "id",
            'id = "Wu-zhou"',
            (
                'is "Wu-zhou", not lower-case letters, digits and _; '
                'write id = "my_centre", as the file is named'
            ),
        ),
        (
            "version",
            'version = ""',
            'is "", not letters, digits, . and _; write version = "1", or a higher one',
        ),
    ],
)
def test_a_name_or_date_that_does_not_fit_is_told_at_its_line(
    name: str, line: str, problem: str
) -> None:
    text = change(WUZHOU, "", name, line)
    zone = ' "Asia/Shanghai"' if name == "time_zone" else ""

    assert said(text) == [f"wuzhou.toml:{line_of(text, '', name)}: {name}: {problem}{zone}"]


@pytest.mark.parametrize(
    ("table", "name", "remedy"),
    [
        ("[bp_office]", "unit", 'write unit = "mmHg"'),
        ("[glucose_screening_random]", "unit", 'write unit = "mmol/L"'),
        ("[bp_interarm]", "limit", "state the limit in mmHg as its source gives it"),
        ("[[bp_home.tier]]", "age_min", "state the number of completed years"),
        ("[[bp_home.tier]]", "systolic", "state the limit in mmHg as its source gives it"),
        ("[bp_screening.suspected]", "source", SOURCE),
        ("[session]", "third_reading_mmhg", "state the limit in mmHg as its source gives it"),
        ("[assessment]", "source", SOURCE),
    ],
)
def test_a_missing_key_is_told_at_its_table(table: str, name: str, remedy: str) -> None:
    text = change(WUZHOU, table, name, None)
    key = table.strip("[]").replace("tier", "tier[0]")

    assert said(text) == [f"wuzhou.toml:{line_of(text, table)}: {key}.{name}: is missing; {remedy}"]


def test_missing_names_and_tables_are_told_at_the_first_line() -> None:
    text = change(WUZHOU, "", "valid_from", None)
    without_alerting = text[: text.index("[alerting]")]

    assert said(without_alerting) == [
        (
            "wuzhou.toml:1: alerting: is missing; "
            "write [alerting] with emergency_repeat_hours, late_hours, source"
        ),
        (
            "wuzhou.toml:1: valid_from: is missing; "
            "write valid_from = 2026-01-31, the first local day on which it applies"
        ),
    ]


def test_every_missing_table_is_told() -> None:
    names = {problem.key for problem in check_profile("", file="wuzhou.toml")}

    assert names == {*tomllib.loads(WUZHOU)} - {"glucose_screening_random"}


def test_a_missing_table_is_told_with_the_keys_it_needs() -> None:
    text = WUZHOU.replace("bp_screening", "nothing_like_it")

    assert (
        "wuzhou.toml:1: bp_screening: is missing; "
        "write [bp_screening] with unit, comparator, systolic, diastolic, source, severity"
    ) in said(text)


@pytest.mark.parametrize(
    ("text", "at", "key", "nearest"),
    [
        (
            change(WUZHOU, "[bp_office]", "unit", 'unti = "mmHg"'),
            ("[bp_office]", "unti"),
            "bp_office.unti",
            "did you mean unit?",
        ),
        (
            change(WUZHOU, "[[bp_home.tier]]", "age_min", "age_min = 65\nage_max = 80"),
            ("[[bp_home.tier]]", "age_max"),
            "bp_home.tier[0].age_max",
            "did you mean age_min?",
        ),
        (
            append(WUZHOU, "colour = 3"),
            ("colour", ""),
            "alerting.colour",
            "there may be emergency_repeat_hours, late_hours, source",
        ),
        (
            rename(WUZHOU, "[session]", "[sessions]"),
            ("[sessions]", ""),
            "sessions",
            "did you mean session?",
        ),
        (
            rename(WUZHOU, "[bp_screening.suspected]", "[bp_screening.suspectd]"),
            ("[bp_screening.suspectd]", ""),
            "bp_screening.suspectd",
            "did you mean suspected?",
        ),
        (
            rename(WUZHOU, "[glucose_screening_random]", "[glucose_screening_randm]"),
            ("[glucose_screening_randm]", ""),
            "glucose_screening_randm",
            "did you mean glucose_screening_random?",
        ),
        (
            append(WUZHOU, '["bp home"]'),
            ('["bp home"]', ""),
            '"bp home"',
            "did you mean bp_home?",
        ),
    ],
)
def test_an_unknown_key_is_told_once_with_the_nearest_known_name(
    text: str, at: tuple[str, str], key: str, nearest: str
) -> None:
    assert said(text) == [
        f"wuzhou.toml:{line_of(text, *at)}: {key}: is not a key the rules know; {nearest}"
    ]


def test_one_misspelt_key_hides_no_other_that_is_missing() -> None:
    text = change(WUZHOU, "[bp_office]", "systolic", "sistolic = 140")
    text = change(text, "[bp_office]", "diastolic", None)
    table = line_of(text, "[bp_office]")

    assert said(text) == [
        (
            f"wuzhou.toml:{table}: bp_office.diastolic: is missing; "
            "state the limit in mmHg as its source gives it"
        ),
        (
            f"wuzhou.toml:{line_of(text, '[bp_office]', 'sistolic')}: bp_office.sistolic: "
            "is not a key the rules know; did you mean systolic?"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        pytest.param(
            rename(WUZHOU, "[[bp_home.tier]]", "[bp_home.tier]"),
            line_of(WUZHOU, "[[bp_home.tier]]"),
            "bp_home.tier: is a table, not a list of tables; "
            "write [[bp_home.tier]] with age_min, systolic, diastolic, source",
            id="tier-no-list",
        ),
        pytest.param(
            change(WUZHOU, "[bp_office]", "source", 'source = "x"\ntier = [1]'),
            line_of(WUZHOU, "[bp_office]", "source") + 1,
            "bp_office.tier: is [1], not a list of tables; "
            "write [[bp_office.tier]] with age_min, systolic, diastolic, source",
            id="tier-no-tables",
        ),
        pytest.param(
            change(WUZHOU, "[bp_office]", "source", 'source = "x"\ntier = 1'),
            line_of(WUZHOU, "[bp_office]", "source") + 1,
            "bp_office.tier: is 1, not a list of tables; "
            "write [[bp_office.tier]] with age_min, systolic, diastolic, source",
            id="tier-a-number",
        ),
        pytest.param(
            rename(WUZHOU, "[bp_screening.suspected]", "[[bp_screening.suspected]]"),
            line_of(WUZHOU, "[bp_screening.suspected]"),
            "bp_screening.suspected: is [a table], not a table; "
            "write [bp_screening.suspected] with days_high, within_days, due_days, source",
            id="table-a-list",
        ),
        pytest.param(
            append(WUZHOU, "source.a = 1").replace('source = "Decision table 2.5 (D)"\n', ""),
            line_of(WUZHOU, "[alerting]", "source"),
            f"alerting.source: is a table, not the name of a document; {SOURCE}",
            id="source-a-table",
        ),
    ],
)
def test_a_table_that_is_none_is_told_at_its_line(text: str, line: int, problem: str) -> None:
    assert said(text) == [f"wuzhou.toml:{line}: {problem}"]
