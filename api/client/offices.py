"""The client's part for offices: figures, exports, webhooks, contacts, the audit log."""

from collections.abc import Iterator
from typing import Literal

from api.audit.schemas import AuditOut
from api.client.asking import Asking, at
from api.exports.schemas import Completeness
from api.indicators.closing_schemas import ClosedOut, ClosingIn, ClosingOut, ClosingsOut
from api.indicators.schemas import FiguresOut, PersonOut
from api.notify.schemas import ContactIn, ContactOut, HoursIn, HoursOut
from api.webhooks.schemas import ReplayIn, SecretIn, WebhookIn, WebhookOut

Place = Literal["centres", "teams"]


class OfficeCalls(Asking):
    """Figures, exports, webhooks, contacts and hours, the audit log."""

    # --- figures --------------------------------------------------------------------------------

    def get_indicators(self, period: str, **filters: str | None) -> FiguresOut:
        """Figures of a period (2026-Q3); ``by``, ``code``, ``team``, ``centre``."""
        return self._read(at("indicators"), FiguresOut, {"period": period, **filters})

    def get_indicators_csv(self, period: str, **filters: str | None) -> str:
        """The same as a table."""
        query = {"period": period, **filters}
        return self._ask.ask("GET", at("indicators", "csv"), query=query).text

    def list_indicator_residents(
        self, code: str, period: str, **filters: str | None
    ) -> Iterator[PersonOut]:
        """The persons behind a figure."""
        path = at("indicators", code, "residents")
        return self._pages(path, PersonOut, {"period": period, **filters})

    def close_period(self, period: str, content: ClosingIn) -> ClosingsOut:
        """Keep the figures of a period for good."""
        return self._write("PUT", at("indicators", "periods", period), ClosingsOut, content)

    def get_closed_period(self, period: str, **filters: str | None) -> ClosedOut:
        """Figures as they were closed, and what they would be now."""
        return self._read(at("indicators", "periods", period), ClosedOut, filters)

    def list_closings(self, **filters: str | None) -> Iterator[ClosingOut]:
        """Who closed what."""
        return self._pages(at("indicators", "periods"), ClosingOut, filters)

    # --- exports --------------------------------------------------------------------------------

    def export_followups(
        self, since: str, until: str, *, form: Literal["csv", "json"] = "csv", **filters: str
    ) -> bytes:
        """Visits of some local days with the national form's fields, whole."""
        query = {"from": since, "to": until, "format": form, **filters}
        return self._ask.ask("GET", at("exports", "followups"), query=query).content

    def get_completeness(self, since: str, until: str, **filters: str) -> Completeness:
        """How many visits fill each field, by team."""
        query = {"from": since, "to": until, **filters}
        return self._read(at("exports", "followups", "completeness"), Completeness, query)

    # --- webhooks -------------------------------------------------------------------------------

    def put_webhook(self, id_: str, content: WebhookIn) -> WebhookOut:
        """Subscribe. The answer that makes it shows its secret, and no other does."""
        return self._write("PUT", at("webhooks", id_), WebhookOut, content)

    def get_webhook(self, id_: str) -> WebhookOut:
        """How it stands."""
        return self._read(at("webhooks", id_), WebhookOut)

    def list_webhooks(self) -> Iterator[WebhookOut]:
        """Your subscriptions."""
        return self._pages(at("webhooks"), WebhookOut, {})

    def delete_webhook(self, id_: str) -> None:
        """Unsubscribe."""
        self._delete(at("webhooks", id_))

    def rotate_secret(self, id_: str, content: SecretIn) -> WebhookOut:
        """A new secret, shown once; the one before signs for a while."""
        return self._write("POST", at("webhooks", id_, "secrets"), WebhookOut, content)

    def replay(self, id_: str, content: ReplayIn) -> WebhookOut:
        """Go on behind a number of the feed."""
        return self._write("POST", at("webhooks", id_, "replay"), WebhookOut, content)

    # --- whom to tell ---------------------------------------------------------------------------

    def put_contact(self, staff: str, content: ContactIn) -> ContactOut:
        """How somebody is told about alerts, and as what."""
        return self._write("PUT", at("staff", staff, "contact"), ContactOut, content)

    def get_contact(self, staff: str) -> ContactOut:
        """As it was written."""
        return self._read(at("staff", staff, "contact"), ContactOut)

    def delete_contact(self, staff: str) -> None:
        """Tell them no more; nothing keeps the addresses."""
        self._delete(at("staff", staff, "contact"))

    def put_duty_hours(self, kind: Place, id_: str, content: HoursIn) -> HoursOut:
        """When only critical alerts are told there, and when shifts begin."""
        return self._write("PUT", at(kind, id_, "duty-hours"), HoursOut, content)

    def get_duty_hours(self, kind: Place, id_: str) -> HoursOut:
        """As they were written."""
        return self._read(at(kind, id_, "duty-hours"), HoursOut)

    # --- the audit log --------------------------------------------------------------------------

    def list_audit(self, **filters: str | None) -> Iterator[AuditOut]:
        """Who saw or changed whom."""
        return self._pages(at("audit"), AuditOut, filters)
