"""Card number -> pseudonym, by a keyed hash: the same on the gateways and in the contract system.

It must never change, or every resident becomes a stranger; a golden value in the tests guards it.
"""

import hashlib
import hmac
import unicodedata
from typing import Final

_DOMAIN: Final = b"suifang/v1/resident\x00"  # So that the key's other uses never collide.
_HEX_CHARACTERS: Final = 32  # 128 bits: no two of a billion residents meet.


def pseudonym(key: bytes, card_number: str) -> str:
    """Turn a card number into ``r-`` and 32 lower-case hex characters.

    Full-width digits, a lower-case check letter and blanks around make no difference.

    >>> pseudonym(b"k" * 32, " 99000019490101001x") == pseudonym(b"k" * 32, "99000019490101001X")
    True
    """
    number = unicodedata.normalize("NFKC", card_number).strip().upper()
    # An unpaired surrogate is no text, yet must not become an error that quotes it.
    digest = hmac.new(key, _DOMAIN + number.encode(errors="surrogatepass"), hashlib.sha256)
    return f"r-{digest.hexdigest()[:_HEX_CHARACTERS]}"
