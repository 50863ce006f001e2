"""Examples of the OpenAPI document."""

from typing import Any, Final

from api.registry.examples import RESIDENT_ID

Json = dict[str, Any]

PERIOD: Final[Json] = {
    "name": "2026-Q3",
    "first": "2026-07-01",
    "last": "2026-09-30",
    "known_until": "2026-09-30",
}
DEFINITION: Final[Json] = {
    "code": "htn.control_rate",
    "version": 1,
    "title_zh": "管理人群血压控制率",
    "title_en": "Control rate, blood pressure",
    "formula": "managed and under control at the most recent follow-up of the period"
    " / managed in the period",
    "source": "国家基本公共卫生服务规范(第三版, 2017); clinical decision table 1.3",
    "unit": "persons",
    "people": "managed",
}
FIGURES: Final[Json] = {
    "period": PERIOD,
    "by": "team",
    "computed_at": "2026-10-01T01:00:00Z",
    "items": [
        {
            **DEFINITION,
            "figures": [
                {
                    "centre_id": "cx-longgang",
                    "team_id": "cx-longgang-3",
                    "numerator": 363,
                    "denominator": 500,
                    "ratio": "0.726",
                    "percent": "72.6%",
                },
                {
                    "centre_id": "cx-longgang",
                    "team_id": "cx-longgang-4",
                    "numerator": 0,
                    "denominator": 0,
                    "ratio": None,
                    "percent": None,
                },
            ],
        }
    ],
}
CSV: Final = (
    "\ufeffperiod,known_until,code,version,title_zh,title_en,centre_id,team_id,numerator,"
    "denominator,ratio,percent,formula,source,computed_at\r\n"
    "2026-Q3,2026-09-30,load.residents,1,人均签约服务居民数,Residents for each member of a team,"
    "cx-longgang,cx-longgang-3,2210,6,368.3333,,registered residents / places in teams,"
    "product decision,2026-10-01T01:00:00+00:00\r\n"
)
PEOPLE: Final[Json] = {
    "definition": DEFINITION,
    "period": PERIOD,
    "items": [
        {
            "resident_id": RESIDENT_ID,
            "team_id": "cx-longgang-3",
            "numerator": 0,
            "denominator": 1,
        }
    ],
    "next_cursor": None,
}
CLOSING: Final[Json] = {"centre_ids": ["cx-longgang"]}
_CLOSED: Final[Json] = {
    "centre_id": "cx-longgang",
    "period": "2026-Q3",
    "author": "8f14e45f-ceea-4671-9c2b-6a1f0c1d2e3f",
    "closed_at": "2026-10-08T01:00:00Z",
}
CLOSINGS: Final[Json] = {"items": [_CLOSED]}
CLOSING_PAGE: Final[Json] = {**CLOSINGS, "next_cursor": None}
CLOSED: Final[Json] = {
    "period": PERIOD,
    "closings": [_CLOSED],
    "compared_at": "2026-10-20T01:00:00Z",
    "items": [
        {
            "code": "htn.control_rate",
            "definition": DEFINITION,
            "figures": [
                {
                    "centre_id": "cx-longgang",
                    "team_id": "cx-longgang-3",
                    "closed": {
                        "version": 1,
                        "numerator": 363,
                        "denominator": 500,
                        "percent": "72.6%",
                    },
                    "present": {
                        "version": 1,
                        "numerator": 364,
                        "denominator": 500,
                        "percent": "72.8%",
                    },
                    "numerator_change": 1,
                    "denominator_change": 0,
                }
            ],
        }
    ],
}
