"""``GET /v1/cases/worklist``: the worklist of one team as a file to print.

Bounded by ``ROWS_MAX``; it must never hold an ID number, and names only for who may see them and
asks for them. Whoever is on it is in the audit log before it leaves.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from psycopg.rows import DictRow
from pydantic import Field

from api import spreadsheets
from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cases import examples, queries
from api.cases.schemas import CaseFilters, CaseQuery
from api.cursors import PAGE_ROWS_MAX, Name
from api.errors import ForbiddenError
from api.local_days import local_day
from api.registry.personal import open_names
from api.services import Running, Services

router = APIRouter()
ROWS_MAX: Final = 4 * PAGE_ROWS_MAX
"""A team has about 2,000 residents (product.md): a longer list is not one to be printed."""
_HEADINGS: Final = (
    "序号",
    "居民编号",
    "团队",
    "病种",
    "状态",
    "风险",
    "应随访日期",
    "是否逾期",
    "待转诊随访",
    "连续不满意次数",
)
_CONDITIONS: Final = {"hypertension": "高血压", "diabetes": "2型糖尿病"}
# The console's words, so that a list on paper says of a case what the page says; a test compares.
_SEVERITIES: Final = {"critical": "危急", "high": "紧急", "warn": "注意", "info": "提示"}
_STATES: Final = {
    "none": "无待办",
    "controlled": "控制满意",
    "second_followup_open": "待二次随访",
    "second_followup_overdue": "二次随访逾期",
    "referral_recommended": "建议转诊",
    "emergency_referral": "紧急转诊",
    "referral_followup_overdue": "转诊随访逾期",
    "referral_closed": "转诊结案",
    "screening": "筛查复测",
    "screening_referral": "转诊确诊",
    "closed": "已结案",
}
_YES_NO: Final = {True: "是", False: "否"}


class WorklistQuery(CaseFilters):
    """Filters of the worklist; a team is needed."""

    team: Annotated[Name, Field(description="Whose worklist")]
    names: Annotated[
        bool, Field(description="With residents' names, which needs `residents:read`")
    ] = False


@router.get(
    "/worklist",
    response_class=Response,
    responses={
        200: examples.as_response(examples.WORKLIST, "The list", spreadsheets.MEDIA_TYPE),
    },
)
async def print_worklist(
    running: Running,
    principal: Annotated[Principal, require(Permission.CASES_READ)],
    query: Annotated[WorklistQuery, Query()],
) -> Response:
    """One team's cases by risk and due day, as CSV (UTF-8 with byte order mark) to be printed.

    At most 2,000 lines. With `names=true` the residents' names, never their ID numbers; who saw
    them is on record.
    """
    rows, names = await read_whole(running, principal, query, names=query.names)
    headers = spreadsheets.download(f"worklist-{local_day(running.clock())}.csv")
    return Response(_as_text(rows, names), media_type=spreadsheets.MEDIA_TYPE, headers=headers)


async def read_whole(
    running: Services, principal: Principal, query: CaseFilters, *, names: bool
) -> tuple[list[DictRow], Mapping[str, str] | None]:
    """The first ``ROWS_MAX`` cases by risk and due day, and names by pseudonym if asked.

    Who is on it is on record when this returns.

    Raises:
        ForbiddenError: Names are asked by who may not see them.
    """
    if names and not principal.may(Permission.RESIDENTS_READ):
        msg = "names need residents:read; leave `names` out"
        raise ForbiddenError(msg)
    today = local_day(running.clock())
    rows: list[DictRow] = []
    after: tuple[Any, ...] | None = None
    filters = query.model_dump(include={*CaseFilters.model_fields})
    asked = CaseQuery(**filters, sort="risk", limit=PAGE_ROWS_MAX)
    async with running.database.reading(principal) as connection:
        while len(rows) < ROWS_MAX:
            statement = queries.list_sorted(principal, asked, after=after, today=today)
            page = await statement.run(connection)
            rows += page[:PAGE_ROWS_MAX]
            if len(page) <= PAGE_ROWS_MAX:
                break
            after = queries.key_of(rows[-1], "risk")
        seen = [row["resident_id"] for row in rows]
        opened = await open_names(running, connection, seen) if names else None
    await running.audit.saw(principal, "print_worklist", seen)
    if opened is not None:
        await running.audit.saw(principal, "read_names", opened)
    return rows, opened


def _as_text(rows: Sequence[DictRow], names: Mapping[str, str] | None) -> str:
    headings = [*_HEADINGS[:2], *([] if names is None else ["姓名"]), *_HEADINGS[2:]]
    lines = [spreadsheets.BYTE_ORDER_MARK + spreadsheets.as_line(headings)]
    for number, row in enumerate(rows, start=1):
        cells: list[spreadsheets.Cell] = [
            number,
            row["resident_id"],
            *([] if names is None else [names.get(row["resident_id"])]),
            row["team_id"],
            _CONDITIONS[row["condition"]],
            _STATES.get(row["state"], row["state"]),
            _SEVERITIES.get(row["severity"] or ""),
            row["due"],
            _YES_NO[row["overdue"]],
            _YES_NO[row["waiting_for_referral"]],
            row["consecutive_unsatisfied"],
        ]
        lines.append(spreadsheets.as_line(cells))
    return "".join(lines)
