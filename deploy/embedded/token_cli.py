"""``suifang token``: a bearer token for the private stack's API, to try things out as anybody."""

import json
import sys
from datetime import timedelta
from typing import Annotated, Final

import typer

from api.auth.permissions import CARE, Role
from deploy.embedded.errors import StackError
from deploy.embedded.issuer import Issuer
from deploy.embedded.stack import Stack
from gateway.wire.times import utc_now

app: Final = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_MINUTES_MAX: Final = 1_440


@app.callback(invoke_without_command=True)
def token(
    *,
    role: Annotated[
        list[Role] | None, typer.Option(help="May be repeated; default contract_system.")
    ] = None,
    team: Annotated[list[str] | None, typer.Option(help="A team; may be repeated.")] = None,
    centre: Annotated[list[str] | None, typer.Option(help="A centre; may be repeated.")] = None,
    subject: Annotated[str, typer.Option(help="Who it says it is.")] = "tester",
    minutes: Annotated[int, typer.Option(min=1, max=_MINUTES_MAX, help="How long.")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Print a token that the private stack's API believes: curl -H "Authorization: Bearer $(…)".

    A doctor sees the residents of --team, a centre_admin those of --centre; a contract_system or
    supervisor everybody, or those of --centre.
    """
    roles = frozenset(role or [Role.CONTRACT_SYSTEM])
    if len(roles) > 1 and not roles <= CARE:
        msg = f"only {', '.join(sorted(CARE))} go together; the others stand alone"
        raise typer.BadParameter(msg, param_hint="--role")
    issuer = Issuer(Stack.of_checkout().home)
    try:
        made = issuer.issue(
            subject=subject,
            roles=roles,
            teams=team or [],
            centres=centre or [],
            at=utc_now(),
            lifetime=timedelta(minutes=minutes),
        )
    except StackError as error:
        sys.stderr.write(f"suifang token: {error}\n")
        raise typer.Exit(1) from error
    sys.stdout.write((json.dumps({"token": made}) if as_json else made) + "\n")
