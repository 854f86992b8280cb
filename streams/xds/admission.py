"""What of penstock.xds can be served: judged before anything of it is, since one record must not end a publisher.

It knows neither topics nor assemblies, and says nothing itself.
"""

from __future__ import annotations

from engine.changes import Garbage
from engine.fields import Malformed, fields
from engine.seal import Sealer, UnsealError
from engine.update import Fragment, FragmentKind
from streams.xds.messages import clusters_of_route

_SPLICED = {FragmentKind.ROUTE_CONFIG, FragmentKind.VIRTUAL_HOST}
"""They stand beside others in one resource: bytes that are no message would break it for all of them."""


def admit(fragment: Fragment, sealer: Sealer, key_file: str = "") -> None:
    """Raises Garbage, with what to do about it, for a fragment that nobody can serve."""
    if fragment.sealed:
        try:
            sealer.unseal(fragment.payload, str(fragment.key).encode())
        except UnsealError as error:
            msg = (
                f"{error}: what reads this Kafka must have one sealing key. Copy the key of the machine that resolves "
                f"to {key_file or 'the key file of this one'}, and start penstock again"
            )
            raise Garbage(msg) from error
        return
    try:
        if fragment.key.kind is FragmentKind.ROUTE:
            clusters_of_route(fragment.payload)
        elif fragment.key.kind in _SPLICED:
            for _ in fields(fragment.payload):
                pass
    except Malformed as error:
        msg = f"not an Envoy {fragment.key.kind}: {error}. Start the resolver again, which replaces it"
        raise Garbage(msg) from error


def clear(fragment: Fragment, sealer: Sealer) -> bytes:
    """The payload of a fragment that was admitted, unsealed."""
    return sealer.unseal(fragment.payload, str(fragment.key).encode()) if fragment.sealed else fragment.payload
