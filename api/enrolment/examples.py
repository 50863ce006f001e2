"""Examples of the OpenAPI document. The request is a real one, of a key that nobody has kept."""

from typing import Any, Final

Json = dict[str, Any]

REQUEST: Final = """\
-----BEGIN CERTIFICATE REQUEST-----
MIG6MGICAQAwADBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBfva00m5HRp0OqH
a691eTWtRqk2IysMJWrgQXJrfXlRJCqgezjbxTv5wOI0Ye6UdIpx1+qdLExWMVji
K/PbvCCgADAKBggqhkjOPQQDAgNIADBFAiEA5EytiCbzYHGBoknSR2ErtRqPLn8l
gmJFCMI4i7rPr3ICIEixcP63ggOnileo85r4psEFZpVInkeIlt388iXyeQWT
-----END CERTIFICATE REQUEST-----
"""
ENROLMENT: Final[Json] = {"token": "sfe-<number>-<secret>", "request": REQUEST}
RENEWAL: Final[Json] = {
    "fingerprint": "7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730",
    "request": REQUEST,
    "signature": "MEUCIQC38r2kHG2F/02d9dTm1bK+dcqrOGttZKs5MEY5tklCzAIgV0b1B+jQq1l/0jv2"
    "wpU0Hy1vOqHIqyLiSp7P1SjYhHU=",
}
CERTIFICATE: Final[Json] = {
    "gateway_id": "cx-longgang-gw-1",
    "centre_id": "cx-longgang",
    "serial": "5f1fa600737559660a4e",
    "certificate": "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n",
    "chain": ["-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n"],
    "valid_from": "2026-03-02T01:00:00Z",
    "valid_until": "2026-05-31T01:00:00Z",
}
