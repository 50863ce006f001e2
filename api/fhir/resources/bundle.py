"""What was found as a Bundle of type searchset.

``total`` is left out: counting what nobody asked to see would cost more than the page, and a
guess would be worse than nothing (FHIR R4, 3.1.1.4.14 lets a server leave it out).
"""

from collections.abc import Sequence

from api.fhir.codes import Json


def build_found(
    resources: Sequence[Json], *, base: str, self_link: str, next_link: str | None
) -> Json:
    """A page of what was found. Pure.

    Args:
        resources: In the order of the page.
        base: Address of the service, without a slash at its end.
        self_link: What was asked.
        next_link: Where the next page is; None: there is none.
    """
    links = [{"relation": "self", "url": self_link}]
    if next_link is not None:
        links.append({"relation": "next", "url": next_link})
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "link": links}
    if resources:  # FHIR has no empty lists.
        bundle["entry"] = [
            {
                "fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}",
                "resource": resource,
                "search": {"mode": "match"},
            }
            for resource in resources
        ]
    return bundle
