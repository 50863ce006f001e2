"""Mail: plain text, in both languages, with pseudonyms and counts and nothing else about people.

A mail is never encrypted for its reader, so it must never hold a name, a measured value or what
somebody suffers from. ``Message-ID`` is the message's own id: a second copy shows as such.
"""

import asyncio
import smtplib
import ssl
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from api.local_days import LOCAL
from api.notify.notifiers import Message, NotSentError, Recipient
from api.notify.settings import EmailSettings, read_secret

_SUBJECTS: Final = {
    "page": "[Suifang] 危急预警 critical alert",
    "notice": "[Suifang] 预警待处理 alerts waiting",
    "digest": "[Suifang] 班次汇总 shift digest",
}
_FINAL: Final = 500  # Source: RFC 5321, 4.2.1: 5yz is permanent.


class EmailNotifier:
    """Sends by one mail server, a connection for each mail. Never blocks the loop."""

    name = "email"

    def __init__(self, settings: EmailSettings, *, send_s_max: float) -> None:
        self._settings = settings
        self._send_s_max = send_s_max
        self._password = (
            "" if settings.password_file is None else read_secret(settings.password_file)
        )
        self._tls = ssl.create_default_context()
        if settings.ca_file is not None:
            self._tls.load_verify_locations(settings.ca_file)

    def reaches(self, recipient: Recipient) -> bool:
        """Whether there is an address."""
        return recipient.email is not None

    async def send(self, message: Message, *, at: datetime) -> None:
        """One attempt. The thread ends by its own time limit when this is cancelled."""
        mail = compose(message, sender=self._settings.sender, at=at)
        await asyncio.to_thread(self._deliver, mail)

    def _deliver(self, mail: EmailMessage) -> None:
        try:
            with self._connect() as server:
                if self._settings.security == "starttls":
                    server.starttls(context=self._tls)
                if self._settings.user is not None:
                    server.login(self._settings.user, self._password)
                server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            msg = f"the mail server refused the recipient ({min(codes, default=0)})"
            raise NotSentError(msg, final=min(codes, default=0) >= _FINAL) from error
        except smtplib.SMTPResponseException as error:
            msg = f"the mail server answered {error.smtp_code}"
            raise NotSentError(msg) from error
        except (smtplib.SMTPException, OSError) as error:
            msg = f"the mail server cannot be used: {type(error).__name__}"
            raise NotSentError(msg) from error

    def _connect(self) -> smtplib.SMTP:
        where = (self._settings.host, self._settings.port)
        if self._settings.security == "tls":
            return smtplib.SMTP_SSL(*where, timeout=self._send_s_max, context=self._tls)
        return smtplib.SMTP(*where, timeout=self._send_s_max)


def compose(message: Message, *, sender: str, at: datetime) -> EmailMessage:
    """The mail of one message."""
    mail = EmailMessage()
    mail["Subject"] = f"{_SUBJECTS[message.kind]} ({len(message.alerts)})"
    mail["From"] = sender
    mail["To"] = message.recipient.email or ""
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # Source: RFC 3834: no answers by machines.
    mail.set_content("\n".join(_lines(message)))
    return mail


def _lines(message: Message) -> list[str]:
    lines = [f"{name}: {count}" for name, count in message.counts.items()]
    for each in message.alerts:
        raised = each.raised_at.astimezone(LOCAL).strftime("%Y-%m-%d %H:%M")
        held = ", 夜间 held" if each.held else ""
        who = each.resident_id or "未认领 unclaimed"
        lines.append(f"- {each.severity} {raised} {who} ({each.rung}{held}) alert {each.alert_id}")
    lines.append("请登录查看并确认。 Log in to look, and acknowledge.")
    return lines
